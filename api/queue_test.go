package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
)

// queued puts a request with its job into a response site, as an import does.
func (s *site) queued(t *testing.T, user string, facts ...domain.Fact) (id string, job int64) {
	t.Helper()
	id = uuid.NewString()
	s.append(eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{
		domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: json.RawMessage(`{"iata":"AMS"}`), Priority: 7, User: user}}})
	if len(facts) > 0 {
		s.append(eventstore.Write{Stream: domain.ResponseStream(id), Facts: facts})
	}
	err := s.db.Owner.QueryRow(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, priority, queue)
		VALUES (jsonb_build_object('request', $1::text), 'answer', 10000, 2, 'answers') RETURNING id`, id).Scan(&job)
	if err != nil {
		t.Fatal(err)
	}
	return id, job
}

func TestQueueIsSeenTo(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("oper", "wide", domain.RoleOperator)
	op := core.token("oper")
	alice := core.userID("alice")
	waiting, _ := core.queued(t, alice)
	_, second := core.queued(t, alice, domain.ResponseStarted{Responder: "sql", Attempt: 1})
	failed, done := core.queued(t, alice, domain.ResponseStarted{Responder: "sql", Attempt: 1}, domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 1})
	for _, sql := range []string{
		`UPDATE river_job SET state = 'retryable', attempt = 1, attempted_at = now(), scheduled_at = now() + interval '1 hour', attempted_by = '{worker-1}',
			errors = ARRAY['{"error":"timeout: the source did not answer"}'::jsonb] WHERE id = ` + fmt.Sprint(second),
		`UPDATE river_job SET state = 'completed', finalized_at = now() WHERE id = ` + fmt.Sprint(done),
	} {
		if _, err := core.db.Owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	page := core.call("GET", "/admin/queue?limit=1", op, "")
	page.want(t, 200, "")
	item := page.body["items"].([]any)[0].(map[string]any)
	if item["state"] != "retryable" || item["last_error"] != "timeout: the source did not answer" || item["last_error_code"] != "timeout" || item["next_attempt_at"] == nil || item["worker"] != "worker-1" ||
		item["request_status"] != "processing" || item["type"] != "airport" || item["username"] != "alice" || item["priority"] != 7.0 || page.Header.Get("Link") == "" {
		t.Errorf("listed %v", item)
	}
	counts := page.body["counts"].(map[string]any)
	if counts["available"] != 1.0 || counts["retryable"] != 1.0 || len(page.body["periodic"].([]any)) < 2 || page.body["leader"] != nil {
		t.Errorf("at a glance: %s", page.text)
	}
	rest := core.call("GET", "/admin/queue?cursor="+page.body["next_cursor"].(string), op, "")
	if items := rest.body["items"].([]any); len(items) != 1 || items[0].(map[string]any)["request_id"] != waiting || rest.body["next_cursor"] != nil {
		t.Errorf("the rest: %s", rest.text)
	}
	for query, n := range map[string]int{"state=completed": 1, "state=running": 0, "type=airport": 2, "type=hidden": 0} {
		if r := core.call("GET", "/admin/queue?"+query, op, ""); len(r.body["items"].([]any)) != n {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	core.call("GET", "/admin/queue?state=odd", op, "").want(t, 400, "invalid-query")
	core.call("GET", "/admin/queue?cursor=odd", op, "").want(t, 400, "invalid-query")

	core.call("POST", fmt.Sprintf("/admin/queue/%d/retry", second), op, "").want(t, 202, "") // by its job
	core.call("POST", "/admin/queue/"+waiting+"/retry", op, "").want(t, 409, "under-way")
	again := core.call("POST", "/admin/queue/"+failed+"/retry", op, `{"reason":"the source is back"}`)
	again.want(t, 202, "")
	if job := again.body["job"].(map[string]any); job["request_status"] != "pending" || job["state"] != "available" {
		t.Errorf("asked again: %s", again.text)
	}
	core.call("POST", "/admin/queue/"+failed+"/retry", op, "").want(t, 409, "under-way")
	ended := core.call("POST", "/admin/queue/"+waiting+"/cancel", op, `{"reason":"the source is closed"}`)
	ended.want(t, 200, "")
	if job := ended.body["job"].(map[string]any); job["request_status"] != "failed" || job["state"] != "cancelled" {
		t.Errorf("ended: %s", ended.text)
	}
	core.call("POST", "/admin/queue/"+waiting+"/cancel", op, "").want(t, 409, "already-failed")
	core.call("POST", "/admin/queue/clean-requests/retry", op, "").want(t, 202, "")
	core.call("POST", "/admin/queue/clean-requests/cancel", op, "").want(t, 409, "wrong-state")
	for _, nothing := range []string{"4711", "x", "0", uuid.NewString()} {
		core.call("POST", "/admin/queue/"+nothing+"/retry", op, "").want(t, 404, "not-found")
	}
	core.call("GET", "/admin/queue", core.token("alice"), "").want(t, 403, "role-not-allowed")
	var acts, views int
	err := core.db.Pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE type = 'admin.acted' AND line LIKE '%"queue.%'),
		count(*) FILTER (WHERE type = 'audit.viewed' AND line LIKE '%/admin/queue%') FROM events`).Scan(&acts, &views)
	if err != nil || acts < 6 || views != 6 {
		t.Errorf("%d acts and %d views are recorded (%v)", acts, views, err)
	}
}

func TestTheQueueOfARequestSite(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	root := field.token("root")
	var delivery int64
	if err := field.db.Owner.QueryRow(t.Context(), `INSERT INTO river_job (args, kind, max_attempts, queue, state, scheduled_at)
		VALUES ('{}', 'webhook_delivery', 8, 'webhooks', 'retryable', now() + interval '1 hour') RETURNING id`).Scan(&delivery); err != nil {
		t.Fatal(err)
	}
	r := field.call("GET", "/admin/queue", root, "")
	if items := r.body["items"].([]any); len(items) != 1 || items[0].(map[string]any)["kind"] != "webhook_delivery" {
		t.Errorf("listed %s", r.text)
	}
	field.call("POST", "/admin/queue/"+uuid.NewString()+"/retry", root, "").want(t, 404, "not-found")
	field.call("POST", fmt.Sprintf("/admin/queue/%d/retry", delivery), root, "").want(t, 202, "")
	field.call("POST", fmt.Sprintf("/admin/queue/%d/retry", delivery), root, "").want(t, 409, "wrong-state")
	field.call("POST", fmt.Sprintf("/admin/queue/%d/cancel", delivery), root, "").want(t, 200, "")
	field.call("POST", "/admin/queue/clean-bundles/retry", root, "").want(t, 202, "")
}
