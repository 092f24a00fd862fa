package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/eventstore"
)

// prefers makes a call that would wait, and knows a version if tag is not empty.
func (s *site) prefers(path, token, prefer, tag string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), "GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Prefer", prefer)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	return s.do(r)
}

// later runs a held call beside the test.
func (s *site) later(path, token, prefer, tag string) <-chan reply {
	out := make(chan reply, 1)
	go func() { out <- s.prefers(path, token, prefer, tag) }()
	return out
}

func TestAHeldCallEndsWithTheChange(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	path := "/requests/" + id
	first := field.call("GET", path, alice, "")
	tag := first.Header.Get("ETag")
	if first.Header.Get("Retry-After") != "60" || first.Header.Get("Preference-Applied") != "" {
		t.Errorf("not held: %v", first.Header)
	}

	whole, status, answered := field.later(path, alice, "wait=30", tag), field.later(path+"/status", alice, "respond-async, WAIT=600", tag),
		field.later(path+"/response", alice, "wait=30", "")
	head, err := field.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link := *field.crossing.Load()
	link.ExportedThrough = head.Pos
	field.crossing.Store(&link)
	got := <-whole
	got.want(t, 200, "")
	if got.body["status"] != "exported" || got.Header.Get("ETag") == tag || got.Header.Get("Preference-Applied") != "wait=30" {
		t.Errorf("exported: %v %s", got.Header, got.text)
	}
	if got := <-status; got.body["status"] != "exported" || got.body["id"] != id || got.Header.Get("Preference-Applied") != "wait=60" {
		t.Errorf("its status: %v %s", got.Header, got.text)
	}
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[1]`), Responder: domain.ResponderSQL})
	if got := <-answered; got.StatusCode != 200 || got.body["status"] != "answered" || got.Header.Get("Preference-Applied") != "wait=30" {
		t.Errorf("its answer: %v %s", got.Header, got.text)
	}
	settled := field.prefers(path, alice, "wait=60", "")
	if settled.body["status"] != "answered" || settled.Header.Get("Retry-After") != "" {
		t.Errorf("what is settled is not waited for: %v %s", settled.Header, settled.text)
	}
	if again := field.prefers(path, alice, "wait=60", settled.Header.Get("ETag")); again.StatusCode != 304 || again.text != "" {
		t.Errorf("known already: %d %s", again.StatusCode, again.text)
	}
}

func TestAHeldCallEndsInTime(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	tag := field.call("GET", "/requests/"+id, alice, "").Header.Get("ETag")
	for _, c := range []struct {
		path, tag string
		status    int
	}{{"/requests/" + id, "", 200}, {"/requests/" + id, tag, 304}, {"/requests/" + id + "/response", "", 202}} {
		begun := time.Now()
		got := field.prefers(c.path, alice, "wait=1", c.tag)
		if got.StatusCode != c.status || time.Since(begun) < time.Second || got.Header.Get("Preference-Applied") != "wait=1" {
			t.Errorf("%s, knowing %q, after %v: %d %v", c.path, c.tag, time.Since(begun), got.StatusCode, got.Header)
		}
	}
	for _, prefer := range []string{"", "wait", "wait=", "wait=0", "wait=-1", "wait=x", "wait=99999999999999999999", "waits=5", "respond-async", "x;wait=5"} {
		if got := field.prefers("/requests/"+id, alice, prefer, ""); got.StatusCode != 200 || got.Header.Get("Preference-Applied") != "" {
			t.Errorf("Prefer: %s: %d %v", prefer, got.StatusCode, got.Header)
		}
	}
}

// A site that is to end lets nobody wait, and answers all.
func TestDrainingEndsTheWaiting(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	id := field.submitted(alice)
	held := field.later("/requests/"+id, alice, "wait=60", "")
	field.api.Drain()
	if got := <-held; got.StatusCode != 200 || got.body["status"] != "pending" {
		t.Errorf("held: %d %s", got.StatusCode, got.text)
	}
}

// Who may no longer ask hears nothing that was waited for before.
func TestRightsEndWhileWaiting(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	held := field.later("/requests/"+id, alice, "wait=60", "")
	me := field.call("GET", "/auth/me", alice, "").body["id"].(string)
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.UserStream(me), Expected: eventstore.Any, Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}})
	core.append(eventstore.Write{Stream: domain.ResponseStream(id), Expected: eventstore.Any, Facts: []domain.Fact{failure}})
	field.mirror(core, before)
	if got := <-held; got.StatusCode != 401 {
		t.Errorf("held: %d %s", got.StatusCode, got.text)
	}
}

func TestCountingRequests(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	empty := field.call("GET", "/requests/stats", alice, "")
	empty.want(t, 200, "")
	if empty.body["total"] != 0.0 || len(empty.body["by_status"].(map[string]any)) != 7 {
		t.Errorf("none: %s", empty.text)
	}
	var ids []string
	for range 4 {
		ids = append(ids, field.submitted(alice))
	}
	field.call("POST", "/requests", alice, `{"type":"hidden","params":{"iata":"AMS"}}`).want(t, 202, "")
	field.call("POST", "/requests", field.token("bob"), oneItem).want(t, 202, "")
	field.call("DELETE", "/requests/"+ids[0], alice, "").want(t, 200, "")
	answer(core, field, ids[1], failure)
	q, err := field.config.Reader.Request(t.Context(), ids[2])
	if err != nil {
		t.Fatal(err)
	}
	field.crossing.Store(&api.Crossing{ExportedThrough: q.Pos, AckedThrough: q.Pos})
	got := field.call("GET", "/requests/stats", alice, "")
	by := got.body["by_status"].(map[string]any)
	if got.body["total"] != 5.0 || by["cancelled"] != 1.0 || by["failed"] != 1.0 || by["delivered"] != 1.0 || by["pending"] != 2.0 || by["answered"] != 0.0 {
		t.Errorf("counted %s", got.text)
	}
	if types := got.body["by_type"].(map[string]any); types["airport"] != 4.0 || types["hidden"] != 1.0 || len(got.body["items"].([]any)) != 5 {
		t.Errorf("counted %s", got.text)
	}
	future := field.call("GET", "/requests/stats?from="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), alice, "")
	if future.body["total"] != 0.0 {
		t.Errorf("to come: %s", future.text)
	}
	for _, query := range []string{"from=x", "limit=1", "to=1&to=2"} {
		field.call("GET", "/requests/stats?"+query, alice, "").want(t, 400, "invalid-query")
	}
}

// A list that did not change is not sent again.
func TestAListHasATag(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	first := field.call("GET", "/requests", alice, "")
	tag := first.Header.Get("ETag")
	known := func() int {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/requests", nil)
		r.Header.Set("Authorization", "Bearer "+alice)
		r.Header.Set("If-None-Match", tag)
		return field.do(r).StatusCode
	}
	if tag == "" || known() != 304 {
		t.Errorf("tag %s, then %d", tag, known())
	}
	answer(core, field, id, failure)
	if got := known(); got != 200 {
		t.Errorf("after a change: %d", got)
	}
}
