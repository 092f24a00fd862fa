package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/eventstore"
)

func TestARequestAndItsAnswer(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice, bob := field.token("alice"), field.token("bob")

	made := field.call("POST", "/requests", alice, `{"type":"airport","params":{ "iata": "AMS" },"name":"first","priority":3}`)
	made.want(t, 202, "")
	id := made.body["id"].(string)
	if made.Header.Get("Location") != "/requests/"+id || made.Header.Get("X-Log-Position") != strconv.FormatInt(field.seq(), 10) {
		t.Errorf("headers %v", made.Header)
	}
	if made.body["status"] != "pending" || made.body["priority"] != 3.0 || made.body["name"] != "first" {
		t.Errorf("made %s", made.text)
	}
	crossing := made.body["expected_crossing"].(map[string]any)
	if crossing["out"] == nil || crossing["back"] != nil {
		t.Errorf("expected crossing %v", crossing)
	}
	got := field.call("GET", "/requests/"+id, alice, "")
	got.want(t, 200, "")
	if got.body["position"] != made.body["position"] || got.body["created_at"] != made.body["created_at"] {
		t.Errorf("made %s\ngot  %s", made.text, got.text)
	}
	field.call("GET", "/requests/"+id, bob, "").want(t, 404, "not-found")
	field.call("GET", "/requests/"+strings.ToUpper(id), alice, "").want(t, 200, "")
	for _, path := range []string{"/requests/" + id + "/response?x=1", "/requests/" + id + "?x=1", "/request-types/airport?x=1"} {
		field.call("GET", path, alice, "").want(t, 400, "invalid-query")
	}
	field.call("GET", "/requests/"+id+"/response", bob, "").want(t, 404, "not-found")

	pending := field.call("GET", "/requests/"+id+"/response", alice, "")
	pending.want(t, 202, "")
	if pending.Header.Get("Retry-After") != "60" || pending.body["status"] != "pending" || pending.body["request_id"] != id {
		t.Errorf("pending: %v %s", pending.Header, pending.text)
	}
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[{"name":"Schiphol"}]`),
		ResultCount: 1, Responder: domain.ResponderSQL, ContentType: "application/json"})
	first := field.call("GET", "/requests/"+id+"/response", alice, "")
	second := field.call("GET", "/requests/"+id+"/response", alice, "")
	if first.Header.Get("X-Cache") != "miss" || second.Header.Get("X-Cache") != "hit" || first.text != second.text ||
		first.Header.Get("ETag") != second.Header.Get("ETag") {
		t.Errorf("miss %v %s\nhit  %v %s", first.Header, first.text, second.Header, second.text)
	}
	if first.body["status"] != "answered" || first.body["error"] != nil || first.body["request_id"] != id {
		t.Errorf("answer %s", first.text)
	}
	field.call("GET", "/requests/"+id+"/response", bob, "").want(t, 404, "not-found")
	conditional(t, field, id, alice, first.Header.Get("ETag"))
}

func conditional(t *testing.T, field *site, id, token, tag string) {
	t.Helper()
	for given, want := range map[string]int{tag: 304, `W/` + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/requests/"+id+"/response", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("If-None-Match", given)
		got := field.do(r)
		if got.StatusCode != want || want == 304 && got.text != "" {
			t.Errorf("If-None-Match %s: %d %q, want %d", given, got.StatusCode, got.text, want)
		}
	}
}

// answer lets core answer a request and field take the answer over.
func answer(core, field *site, id string, fact domain.Fact) {
	core.t.Helper()
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.ResponseStream(id), Expected: eventstore.Any, Facts: []domain.Fact{fact}})
	field.mirror(core, before)
}

func TestAFailedOneSaysWhy(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`).body["id"].(string)
	answer(core, field, id, domain.ResponseFailed{Code: "timeout", Error: "it took too long", Attempts: 3})
	got := field.call("GET", "/requests/"+id+"/response", alice, "")
	got.want(t, 200, "")
	if e, _ := got.body["error"].(map[string]any); got.body["status"] != "failed" || got.body["result"] != nil || e["code"] != "timeout" {
		t.Errorf("answer %s", got.text)
	}
}

func TestStatusFollowsTheLink(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	var ids []string
	for range 3 {
		ids = append(ids, field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`).body["id"].(string))
	}
	head, err := field.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	field.crossing.Store(&api.Crossing{AckedThrough: head.Pos - 2, ExportedThrough: head.Pos - 1, ExportEvery: time.Minute})
	for i, status := range []string{"delivered", "exported", "pending"} {
		if got := field.call("GET", "/requests/"+ids[i], alice, ""); got.body["status"] != status {
			t.Errorf("request %d is %v, want %s", i, got.body["status"], status)
		} else if out := got.body["expected_crossing"].(map[string]any)["out"]; (out != nil) != (status == "pending") {
			t.Errorf("one that is %s is expected to leave at %v", status, out)
		}
		listed := field.call("GET", "/requests?status="+status, alice, "").body["items"].([]any)
		if len(listed) != 1 || listed[0].(map[string]any)["id"] != ids[i] {
			t.Errorf("list of the %s: %v", status, listed)
		}
	}
	if cancelled := field.call("GET", "/requests?status=cancelled", alice, ""); len(cancelled.body["items"].([]any)) != 0 {
		t.Errorf("cancelled: %s", cancelled.text)
	}
}

func TestListsGoOnByCursor(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	want := map[string]bool{}
	for i := range 7 {
		r := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"},"name":"n`+strconv.Itoa(i)+`"}`)
		want[r.body["id"].(string)] = true
	}
	path, pages := "/requests?limit=3&type=airport", 0
	for path != "" {
		page := field.call("GET", path, alice, "")
		page.want(t, 200, "")
		for _, item := range page.body["items"].([]any) {
			delete(want, item.(map[string]any)["id"].(string))
		}
		link := page.Header.Get("Link")
		if (link == "") != (page.body["next_cursor"] == nil) {
			t.Fatalf("link %q but cursor %v", link, page.body["next_cursor"])
		}
		path, pages = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`), pages+1
	}
	if pages != 3 || len(want) != 0 {
		t.Errorf("%d pages, %d requests were not listed", pages, len(want))
	}
	if got := field.call("GET", "/requests", field.token("bob"), ""); len(got.body["items"].([]any)) != 0 {
		t.Errorf("bob sees %s", got.text)
	}
	for query, parameter := range map[string]string{"limit=0": "limit", "limit=x": "limit", "cursor=zzz": "cursor", "statsu=pending": "statsu",
		"status=lost": "status", "from=yesterday": "from", "limit=1&limit=2": "limit", "a=%zz": ""} {
		got := field.call("GET", "/requests?"+query, alice, "")
		got.want(t, 400, "invalid-query")
		if e := got.body["errors"].([]any)[0].(map[string]any); parameter != "" && e["parameter"] != parameter {
			t.Errorf("%s: %s", query, got.text)
		}
	}
}

func TestNamesAreUniqueForTheirUser(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice, bob := field.token("alice"), field.token("bob")
	const body = `{"type":"airport","params":{"iata":"AMS"},"name":"mine"}`
	field.call("POST", "/requests", alice, body).want(t, 202, "")
	field.call("POST", "/requests", bob, body).want(t, 202, "")
	before := field.seq()
	field.call("POST", "/requests", alice, body).want(t, 409, "name-taken")
	if field.seq() != before {
		t.Error("a refused request was stored")
	}
}

func TestWhatAUserMayUse(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	names := func(s *site, user string) (out []string) {
		for _, item := range s.call("GET", "/request-types", s.token(user), "").body["items"].([]any) {
			out = append(out, item.(map[string]any)["name"].(string))
		}
		return out
	}
	for user, want := range map[string]string{"alice": "airport hidden", "bob": "airport"} {
		if got := strings.Join(names(field, user), " "); got != want {
			t.Errorf("%s sees %q, want %q", user, got, want)
		}
	}
	bob := field.token("bob")
	field.call("GET", "/request-types/hidden", bob, "").want(t, 403, "type-not-allowed")
	field.call("GET", "/request-types/nothing", bob, "").want(t, 404, "not-found")
	got := field.call("GET", "/request-types/airport", bob, "")
	got.want(t, 200, "")
	if p, _ := got.body["parameters"].(map[string]any); p["type"] != "object" {
		t.Errorf("type %s", got.text)
	}
	field.call("POST", "/requests", bob, `{"type":"hidden","params":{"iata":"AMS"}}`).want(t, http.StatusForbidden, "type-not-allowed")
}
