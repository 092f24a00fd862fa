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
	d := newDesk(t)
	d.listed()
	d.claimed()
	d.answered()
	d.shown()
	d.failed()
	d.refused()
	var views int
	if err := d.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = 'audit.viewed' AND line LIKE '%/work/%'`).Scan(&views); err != nil || views != 3 {
		t.Errorf("%d views are recorded (%v)", views, err)
	}
}

// desk is a response site with two analysts, and two requests that wait for one.
type desk struct {
	*site
	anna, bert    string // their tokens
	first, second string // the requests; the second is the more urgent one
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	core := newCore(t)
	core.addUser("anna", "wide", domain.RoleAnalyst)
	core.addUser("bert", "wide", domain.RoleAnalyst)
	return &desk{site: core, anna: core.token("anna"), bert: core.token("bert"), first: core.opens(`{"iata":"AMS"}`, 3), second: core.opens(`{"iata":"AMS"}`, 8)}
}

// listed lists what waits, the most urgent first.
func (d *desk) listed() {
	d.t.Helper()
	listed := d.call("GET", "/work?limit=1", d.anna, "")
	listed.want(d.t, 200, "")
	waiting := d.call("GET", "/admin/stats", d.token("root"), "").body["work"].(map[string]any)
	if waiting["open"] != 2.0 || waiting["claimed"] != 0.0 || waiting["oldest"] == nil {
		d.t.Errorf("it waits as %v", waiting)
	}
	item := listed.body["items"].([]any)[0].(map[string]any)
	if item["id"] != d.second || item["state"] != "open" || item["username"] != "alice" || item["claimed_by"] != nil || listed.Header.Get("Link") == "" {
		d.t.Errorf("the most urgent: %v", item)
	}
	rest := d.call("GET", "/work?cursor="+listed.body["next_cursor"].(string), d.anna, "")
	if items := rest.body["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != d.first {
		d.t.Errorf("the rest: %s", rest.text)
	}
}

// claimed has one of them claimed, which others then leave alone.
func (d *desk) claimed() {
	d.t.Helper()
	d.call("POST", "/work/"+d.first+"/answer", d.anna, `{"result":{"verdict":"yes"}}`).want(d.t, 409, "work-not-claimed")
	claimed := d.call("POST", "/work/"+d.first+"/claim", d.anna, "")
	claimed.want(d.t, 200, "")
	if claimed.body["claimed_by"] != "anna" || claimed.body["mine"] != true || claimed.body["state"] != "claimed" || claimed.Header.Get("X-Log-Position") == "" {
		d.t.Errorf("claimed: %s", claimed.text)
	}
	d.call("POST", "/work/"+d.first+"/claim", d.bert, "").want(d.t, 409, "work-claimed")
	d.call("POST", "/work/"+d.first+"/release", d.bert, `{"reason":"mine"}`).want(d.t, 409, "work-claimed")
	for query, n := range map[string]int{"mine=true": 1, "mine=false": 2, "state=claimed": 1, "state=open": 1, "state=closed": 0, "type=airport": 2, "type=other": 0} {
		if r := d.call("GET", "/work?"+query, d.anna, ""); len(r.body["items"].([]any)) != n {
			d.t.Errorf("%s: %s", query, r.text)
		}
	}
	for _, query := range []string{"mine=me", "state=odd", "cursor=odd", "user=x"} {
		d.call("GET", "/work?"+query, d.anna, "").want(d.t, 400, "invalid-query")
	}
}

// answered has it answered, after answers that do not fit.
func (d *desk) answered() {
	d.t.Helper()
	wrong := d.call("POST", "/work/"+d.first+"/answer", d.anna, `{"result":{"verdict":"perhaps"}}`)
	wrong.want(d.t, 422, "invalid-answer")
	if p := wrong.pointers(); len(p) != 1 || p[0] != "/result/verdict" {
		d.t.Errorf("what is wrong is at %v", p)
	}
	for _, none := range []string{`{}`, `{"result":{"verdict":"no"},"file":{"name":"a","content_type":"text/plain","base64":""}}`,
		`{"file":{"name":"../a","content_type":"text/plain","base64":"YQ=="}}`, `{"file":{"name":"a","content_type":"text","base64":"?"}}`} {
		d.call("POST", "/work/"+d.first+"/answer", d.anna, none).want(d.t, 422, "invalid-answer")
	}
	d.call("POST", "/work/"+d.first+"/answer", d.anna, `{"result":1,"more":2}`).want(d.t, 422, "invalid-body")
	done := d.call("POST", "/work/"+d.first+"/answer", d.anna, `{"result":{"verdict":"yes"}}`)
	done.want(d.t, 200, "")
	if done.body["outcome"] != "answered" || done.body["closed_by"] != "anna" || done.body["claimed_by"] != nil || done.body["state"] != "closed" {
		d.t.Errorf("answered: %s", done.text)
	}
	d.call("POST", "/work/"+d.first+"/answer", d.anna, `{"result":{"verdict":"no"}}`).want(d.t, 409, "work-closed")
	d.call("POST", "/work/"+d.first+"/fail", d.bert, `{"reason":"no"}`).want(d.t, 409, "work-closed")
}

// shown shows to the other what was answered to the same question.
func (d *desk) shown() {
	d.t.Helper()
	shown := d.call("GET", "/work/"+d.second, d.bert, "")
	shown.want(d.t, 200, "")
	earlier := shown.body["earlier_answers"].([]any)
	if len(earlier) != 1 || shown.body["instructions"] != "Look into the charts." || shown.body["title"] != "airport" || shown.body["answer"] != nil {
		d.t.Fatalf("shown: %s", shown.text)
	}
	if e := earlier[0].(map[string]any); e["id"] != d.first || e["answered_by"] != "anna" || e["result"].(map[string]any)["verdict"] != "yes" || e["user_id"] != nil {
		d.t.Errorf("answered before: %v", e)
	}
	if closed := d.call("GET", "/work/"+d.first, d.bert, ""); closed.body["answer"].(map[string]any)["content_type"] != "application/json" {
		d.t.Errorf("what was answered: %s", closed.text)
	}
}

// failed has the other one claimed by both in turn, as claims time out, and failed.
func (d *desk) failed() {
	d.t.Helper()
	d.call("POST", "/work/"+d.second+"/claim", d.bert, "").want(d.t, 200, "")
	d.clock.Store(int64(31 * time.Minute)) // the claim has timed out; tokens have too
	d.anna, d.bert = d.token("anna"), d.token("bert")
	d.call("POST", "/work/"+d.second+"/claim", d.anna, "").want(d.t, 200, "")
	d.call("POST", "/work/"+d.second+"/fail", d.bert, `{"reason":"no"}`).want(d.t, 409, "work-claimed")
	d.call("POST", "/work/"+d.second+"/release", d.anna, "").want(d.t, 200, "")
	d.call("POST", "/work/"+d.second+"/release", d.anna, "").want(d.t, 409, "work-not-claimed")
	d.call("POST", "/work/"+d.second+"/claim", d.bert, "").want(d.t, 200, "")
	d.call("POST", "/work/"+d.second+"/fail", d.bert, `{"reason":""}`).want(d.t, 422, "invalid-reason")
	d.call("POST", "/work/"+d.second+"/fail", d.bert, `{"reason":"the charts are lost"}`).want(d.t, 200, "")
	if failed := d.call("GET", "/work/"+d.second, d.bert, ""); failed.body["failure"].(map[string]any)["detail"] != "the charts are lost" || failed.body["outcome"] != "failed" {
		d.t.Errorf("what failed: %s", failed.text)
	}
	if mine := d.call("GET", "/work?state=closed&mine=true", d.bert, ""); len(mine.body["items"].([]any)) != 1 {
		d.t.Errorf("what bert closed: %s", mine.text)
	}
}

// refused refuses what is not there, and who is no analyst in person.
func (d *desk) refused() {
	d.t.Helper()
	for _, nothing := range []string{uuid.NewString(), "x"} {
		d.call("GET", "/work/"+nothing, d.anna, "").want(d.t, 404, "not-found")
		d.call("POST", "/work/"+nothing+"/claim", d.anna, "").want(d.t, 404, "not-found")
	}
	d.call("GET", "/work", d.token("root"), "").want(d.t, 403, "role-not-allowed")
	key := d.call("POST", "/api-keys", d.anna, `{"name":"asks","scopes":["requests:read","requests:write"]}`).body["key"].(string)
	d.call("GET", "/work", key, "").want(d.t, 403, "login-required-in-person")
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
