package api_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
)

// submitted makes a request and returns its id.
func (s *site) submitted(token string) string {
	s.t.Helper()
	made := s.call("POST", "/requests", token, `{"type":"airport","params":{"iata":"AMS"}}`)
	made.want(s.t, 202, "")
	return made.body["id"].(string)
}

// newest is the newest event of this site's log.
func (s *site) newest() eventstore.Record {
	s.t.Helper()
	records, err := s.store.Read(s.t.Context(), s.seq()-1, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	return records[0]
}

var failure = domain.ResponseFailed{Code: "timeout", Error: "too slow", Attempts: 3}

func TestACancelledRequest(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice, bob := field.token("alice"), field.token("bob")
	id := field.submitted(alice)
	field.call("DELETE", "/requests/"+id, bob, "").want(t, 404, "not-found")
	for _, query := range []string{"?why=x", "?reason=a&reason=b"} {
		field.call("DELETE", "/requests/"+id+query, alice, "").want(t, 400, "invalid-query")
	}
	field.call("DELETE", "/requests/"+id+"?reason="+strings.Repeat("x", 501), alice, "").want(t, 422, "invalid-reason")

	got := field.call("DELETE", "/requests/"+id+"?reason=too+late", alice, "")
	got.want(t, 200, "")
	event := field.newest()
	if got.body["id"] != id || got.body["status"] != "cancelled" || got.Header.Get("X-Log-Position") != strconv.FormatInt(event.Seq, 10) {
		t.Errorf("cancelled: %v %s", got.Header, got.text)
	}
	if event.Fact != (domain.RequestCancelled{Reason: "too late"}) || event.Actor == "" || event.Corr != got.Header.Get("X-Request-Id") {
		t.Errorf("stored %+v", event)
	}
	before := field.seq()
	field.call("DELETE", "/requests/"+id, alice, "").want(t, 409, "already-cancelled")
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 409, "already-cancelled")
	if field.seq() != before {
		t.Error("a refused change was stored")
	}
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 410, "cancelled")
	// The answer comes all the same, and is kept where auditors look.
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[1]`), Responder: domain.ResponderSQL})
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 410, "cancelled")
	if late := field.call("GET", "/requests/"+id, alice, ""); late.body["status"] != "cancelled" {
		t.Errorf("answered too late: %s", late.text)
	}
	if listed := field.call("GET", "/requests?status=cancelled", alice, "").body["items"].([]any); len(listed) != 1 {
		t.Errorf("the cancelled: %v", listed)
	}
}

func TestAnAnsweredRequestStays(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[1]`), Responder: domain.ResponderSQL})
	field.call("DELETE", "/requests/"+id, alice, "").want(t, 409, "already-answered")
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 409, "already-answered")
}

// A failure is not final: who does not ask again may give up.
func TestAFailedRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id := field.submitted(alice)
	answer(core, field, id, failure)
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 200, "")
	if got := field.call("DELETE", "/requests/"+id, alice, ""); got.StatusCode != 200 || got.body["status"] != "cancelled" {
		t.Errorf("given up: %d %s", got.StatusCode, got.text)
	}
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 410, "cancelled")
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 409, "already-cancelled")
	field.call("DELETE", "/requests/"+id, alice, "").want(t, 409, "already-cancelled")
}

func TestAFailedRequestIsAskedAgain(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice, bob := field.token("alice"), field.token("bob")
	id := field.submitted(alice)
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 409, "not-failed")
	answer(core, field, id, failure)
	failed := core.newest()
	for _, from := range []string{"miss", "hit"} {
		if got := field.call("GET", "/requests/"+id+"/response", alice, ""); got.body["status"] != "failed" || got.Header.Get("X-Cache") != from {
			t.Errorf("failed: %v %s", got.Header, got.text)
		}
	}
	stale, _, err := field.config.Cache.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	field.call("POST", "/requests/"+id+"/retry", bob, "").want(t, 404, "not-found")
	field.call("POST", "/requests/"+id+"/retry", alice, `{"reason":"a\nb"}`).want(t, 422, "invalid-reason")
	got := field.call("POST", "/requests/"+id+"/retry", alice, `{"reason":"the source is back"}`)
	got.want(t, 202, "")
	event := field.newest()
	if got.body["status"] != "pending" || got.Header.Get("X-Log-Position") != strconv.FormatInt(event.Seq, 10) ||
		event.Fact != (domain.RequestRetried{Reason: "the source is back", Failure: failed.Pos}) || event.Cause != failed.ID {
		t.Errorf("asked again: %s, stored %+v", got.text, event)
	}
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 409, "not-failed")
	if _, still, err := field.config.Cache.Get(t.Context(), id); still || err != nil {
		t.Errorf("the failure is still cached (%v)", err)
	}
	// What a slow writer, or a cache that was away, still holds is not believed.
	if err := field.config.Cache.Set(t.Context(), id, stale); err != nil {
		t.Fatal(err)
	}
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 202, "")

	// It crosses anew: what was exported is its submission.
	link := *field.crossing.Load()
	link.ExportedThrough, link.AckedThrough = event.Pos-1, event.Pos-1
	field.crossing.Store(&link)
	for status, through := range map[string]int64{"pending": event.Pos - 1, "exported": event.Pos} {
		link.ExportedThrough = through
		field.crossing.Store(&link)
		if now := field.call("GET", "/requests/"+id, alice, ""); now.body["status"] != status {
			t.Errorf("exported through %d: %s", through, now.text)
		}
		if listed := field.call("GET", "/requests?status="+status, alice, "").body["items"].([]any); len(listed) != 1 {
			t.Errorf("the %s: %v", status, listed)
		}
	}
	answer(core, field, id, domain.ResponseRetried{})
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 202, "")
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[1]`), Responder: domain.ResponderSQL})
	if now := field.call("GET", "/requests/"+id+"/response", alice, ""); now.body["status"] != "answered" {
		t.Errorf("at last: %s", now.text)
	}
}

// Who may no longer use a type cannot ask again for what failed.
func TestAskingAgainTakesThePermission(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	made := field.call("POST", "/requests", alice, `{"type":"hidden","params":{"iata":"AMS"}}`)
	id := made.body["id"].(string)
	answer(core, field, id, failure)
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.ProfileStream("wide"), Expected: eventstore.Any, Facts: []domain.Fact{domain.ProfileDefined{Name: "wide",
		Allowed: []string{"airport"}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}, Priority: 5, MaxResults: 10}}})
	field.mirror(core, before)
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 403, "type-not-allowed")
	field.call("DELETE", "/requests/"+id, alice, "").want(t, 200, "")
}
