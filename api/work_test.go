package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders/queue"
)

// knownCases are the cases that the read models know.
type knownCases struct{ api.Config }

func (k knownCases) Case(ctx context.Context, id string) (queue.Case, error) {
	r, err := k.Reader.Request(ctx, id)
	if err != nil {
		return queue.Case{}, err
	}
	user, err := k.Directory.User(ctx, r.User)
	if err != nil {
		return queue.Case{}, err
	}
	t, err := k.Directory.KnownRequestType(ctx, r.Type)
	if err != nil {
		return queue.Case{}, err
	}
	c := queue.Case{Active: user.Active, Type: &t.RequestTypeDefined, Cancelled: r.Status == domain.StatusCancelled}
	c.Rights, err = k.Directory.Rights(ctx, r.User)
	return c, err
}

// opens puts a request before the analysts, as the queue does.
func (s *site) opens(params string, priority int) (id string) {
	s.t.Helper()
	id = uuid.NewString()
	question, err := domain.Question("airport", json.RawMessage(params))
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{
		domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: json.RawMessage(params), Priority: priority, User: s.userID("alice")}}},
		eventstore.Write{Stream: domain.ResponseStream(id), Facts: []domain.Fact{domain.ResponseStarted{Responder: domain.ResponderManual, Attempt: 1, Worker: "worker-1"}}},
		eventstore.Write{Stream: domain.WorkStream(id), Facts: []domain.Fact{domain.WorkOpened{RequestType: "airport", TypeVersion: 1, Priority: priority, Question: question,
			Task: domain.ManualTask{Instructions: "Look into the charts.", ClaimMinutes: 30,
				ResultSchema: json.RawMessage(`{"type":"object","required":["verdict"],"properties":{"verdict":{"enum":["yes","no"]}}}`)}}}})
	return id
}

func TestAnalystsAnswer(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("anna", "wide", domain.RoleAnalyst)
	core.addUser("bert", "wide", domain.RoleAnalyst)
	anna, bert := core.token("anna"), core.token("bert")
	first, second := core.opens(`{"iata":"AMS"}`, 3), core.opens(`{"iata":"AMS"}`, 8)

	listed := core.call("GET", "/work?limit=1", anna, "")
	listed.want(t, 200, "")
	waiting := core.call("GET", "/admin/stats", core.token("root"), "").body["work"].(map[string]any)
	if waiting["open"] != 2.0 || waiting["claimed"] != 0.0 || waiting["oldest"] == nil {
		t.Errorf("it waits as %v", waiting)
	}
	item := listed.body["items"].([]any)[0].(map[string]any)
	if item["id"] != second || item["state"] != "open" || item["username"] != "alice" || item["claimed_by"] != nil || listed.Header.Get("Link") == "" {
		t.Errorf("the most urgent: %v", item)
	}
	rest := core.call("GET", "/work?cursor="+listed.body["next_cursor"].(string), anna, "")
	if items := rest.body["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != first {
		t.Errorf("the rest: %s", rest.text)
	}

	core.call("POST", "/work/"+first+"/answer", anna, `{"result":{"verdict":"yes"}}`).want(t, 409, "work-not-claimed")
	claimed := core.call("POST", "/work/"+first+"/claim", anna, "")
	claimed.want(t, 200, "")
	if claimed.body["claimed_by"] != "anna" || claimed.body["mine"] != true || claimed.body["state"] != "claimed" || claimed.Header.Get("X-Log-Position") == "" {
		t.Errorf("claimed: %s", claimed.text)
	}
	core.call("POST", "/work/"+first+"/claim", bert, "").want(t, 409, "work-claimed")
	core.call("POST", "/work/"+first+"/release", bert, `{"reason":"mine"}`).want(t, 409, "work-claimed")
	for query, n := range map[string]int{"mine=true": 1, "mine=false": 2, "state=claimed": 1, "state=open": 1, "state=closed": 0, "type=airport": 2, "type=other": 0} {
		if r := core.call("GET", "/work?"+query, anna, ""); len(r.body["items"].([]any)) != n {
			t.Errorf("%s: %s", query, r.text)
		}
	}
	for _, query := range []string{"mine=me", "state=odd", "cursor=odd", "user=x"} {
		core.call("GET", "/work?"+query, anna, "").want(t, 400, "invalid-query")
	}
	wrong := core.call("POST", "/work/"+first+"/answer", anna, `{"result":{"verdict":"perhaps"}}`)
	wrong.want(t, 422, "invalid-answer")
	if p := wrong.pointers(); len(p) != 1 || p[0] != "/result/verdict" {
		t.Errorf("what is wrong is at %v", p)
	}
	for _, none := range []string{`{}`, `{"result":{"verdict":"no"},"file":{"name":"a","content_type":"text/plain","base64":""}}`,
		`{"file":{"name":"../a","content_type":"text/plain","base64":"YQ=="}}`, `{"file":{"name":"a","content_type":"text","base64":"?"}}`} {
		core.call("POST", "/work/"+first+"/answer", anna, none).want(t, 422, "invalid-answer")
	}
	core.call("POST", "/work/"+first+"/answer", anna, `{"result":1,"more":2}`).want(t, 422, "invalid-body")
	done := core.call("POST", "/work/"+first+"/answer", anna, `{"result":{"verdict":"yes"}}`)
	done.want(t, 200, "")
	if done.body["outcome"] != "answered" || done.body["closed_by"] != "anna" || done.body["claimed_by"] != nil || done.body["state"] != "closed" {
		t.Errorf("answered: %s", done.text)
	}
	core.call("POST", "/work/"+first+"/answer", anna, `{"result":{"verdict":"no"}}`).want(t, 409, "work-closed")
	core.call("POST", "/work/"+first+"/fail", bert, `{"reason":"no"}`).want(t, 409, "work-closed")

	shown := core.call("GET", "/work/"+second, bert, "")
	shown.want(t, 200, "")
	earlier := shown.body["earlier_answers"].([]any)
	if len(earlier) != 1 || shown.body["instructions"] != "Look into the charts." || shown.body["title"] != "airport" || shown.body["answer"] != nil {
		t.Fatalf("shown: %s", shown.text)
	}
	if e := earlier[0].(map[string]any); e["id"] != first || e["answered_by"] != "anna" || e["result"].(map[string]any)["verdict"] != "yes" || e["user_id"] != nil {
		t.Errorf("answered before: %v", e)
	}
	if closed := core.call("GET", "/work/"+first, bert, ""); closed.body["answer"].(map[string]any)["content_type"] != "application/json" {
		t.Errorf("what was answered: %s", closed.text)
	}

	core.call("POST", "/work/"+second+"/claim", bert, "").want(t, 200, "")
	core.clock.Store(int64(31 * time.Minute)) // the claim has timed out; tokens have too
	anna, bert = core.token("anna"), core.token("bert")
	core.call("POST", "/work/"+second+"/claim", anna, "").want(t, 200, "")
	core.call("POST", "/work/"+second+"/fail", bert, `{"reason":"no"}`).want(t, 409, "work-claimed")
	core.call("POST", "/work/"+second+"/release", anna, "").want(t, 200, "")
	core.call("POST", "/work/"+second+"/release", anna, "").want(t, 409, "work-not-claimed")
	core.call("POST", "/work/"+second+"/claim", bert, "").want(t, 200, "")
	core.call("POST", "/work/"+second+"/fail", bert, `{"reason":""}`).want(t, 422, "invalid-reason")
	core.call("POST", "/work/"+second+"/fail", bert, `{"reason":"the charts are lost"}`).want(t, 200, "")
	if failed := core.call("GET", "/work/"+second, bert, ""); failed.body["failure"].(map[string]any)["detail"] != "the charts are lost" || failed.body["outcome"] != "failed" {
		t.Errorf("what failed: %s", failed.text)
	}
	if mine := core.call("GET", "/work?state=closed&mine=true", bert, ""); len(mine.body["items"].([]any)) != 1 {
		t.Errorf("what bert closed: %s", mine.text)
	}
	for _, nothing := range []string{uuid.NewString(), "x"} {
		core.call("GET", "/work/"+nothing, anna, "").want(t, 404, "not-found")
		core.call("POST", "/work/"+nothing+"/claim", anna, "").want(t, 404, "not-found")
	}
	core.call("GET", "/work", core.token("root"), "").want(t, 403, "role-not-allowed")
	key := core.call("POST", "/api-keys", anna, `{"name":"asks","scopes":["requests:read","requests:write"]}`).body["key"].(string)
	core.call("GET", "/work", key, "").want(t, 403, "login-required-in-person")
	var views int
	if err := core.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = 'audit.viewed' AND line LIKE '%/work/%'`).Scan(&views); err != nil || views != 3 {
		t.Errorf("%d views are recorded (%v)", views, err)
	}
}

// The largest file passes the bounds of a call, and comes out at the site that
// asked; what is larger is refused with its bounds.
func TestAnalystsAnswerWithAFile(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("anna", "wide", domain.RoleAnalyst)
	anna := core.token("anna")
	id := core.opens(`{"iata":"AMS"}`, 5)
	core.call("POST", "/work/"+id+"/claim", anna, "").want(t, 200, "")
	file := func(n int) string {
		return `{"file":{"name":"chart.bin","content_type":"application/octet-stream","base64":"` + base64.StdEncoding.EncodeToString(make([]byte, n)) + `"}}`
	}
	if r := core.call("POST", "/work/"+id+"/answer", anna, file(10<<20)); r.StatusCode != 413 || !strings.Contains(r.text, "12 MiB") {
		t.Errorf("a body that is too large: %d %.200s", r.StatusCode, r.text)
	}
	core.call("POST", "/work/"+id+"/answer", anna, file(domain.MaxAnswerFile)).want(t, 200, "")
	r, err := core.config.Reader.Response(t.Context(), id)
	if err != nil || r.ContentType != "application/octet-stream" || r.Status != domain.StatusAnswered {
		t.Errorf("recorded %s %s (%v)", r.Status, r.ContentType, err)
	}
	var result struct{ File domain.AnswerFile }
	if err := json.Unmarshal(r.Result, &result); err != nil || result.File.Name != "chart.bin" {
		t.Errorf("recorded %.80s (%v)", r.Result, err)
	}
	if shown := core.call("GET", "/work/"+core.opens(`{ "iata": "AMS" }`, 5), anna, ""); shown.body["earlier_answers"].([]any)[0].(map[string]any)["result"] != nil {
		t.Errorf("a file is listed: %.300s", shown.text)
	}
}
