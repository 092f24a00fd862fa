package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/commands"
)

// What was cleared away is gone for its owner, unknown to all others, and known
// to auditors and to a repeated submission.
func TestAClearedRequest(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	ask := func() reply {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/requests", strings.NewReader(`{"type":"airport","params":{"iata":"AMS"}}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+alice)
		r.Header.Set("Idempotency-Key", "one")
		return field.do(r)
	}
	first := ask()
	first.want(t, 202, "")
	id := first.body["id"].(string)
	core.append(eventstore.Write{Stream: domain.ResponseStream(id), Facts: []domain.Fact{
		domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[]`), Responder: "sql", ContentType: "application/json"}}})
	field.mirror(core, core.seq()-1)
	field.clock.Store(int64(2 * time.Minute))
	n, err := field.commands.ApplyRetention(t.Context(), commands.By{Actor: "site:field"}, "core", domain.MinRetention)
	if err != nil || n != 1 {
		t.Fatalf("%d outcomes, %v", n, err)
	}
	if n, err := field.commands.ApplyRetention(t.Context(), commands.By{Actor: "site:field"}, "core", domain.MinRetention); err != nil || n != 0 {
		t.Errorf("%d outcomes again, %v", n, err)
	}
	for _, call := range []string{"GET /requests/" + id, "GET /requests/" + id + "/status", "GET /requests/" + id + "/response", "DELETE /requests/" + id, "POST /requests/" + id + "/retry"} {
		method, path, _ := strings.Cut(call, " ")
		field.call(method, path, alice, "").want(t, 410, "cleared-away")
		field.call(method, path, field.token("bob"), "").want(t, 404, "not-found")
	}
	if r := field.call("GET", "/requests/"+id+"/events", alice, ""); r.StatusCode != 200 || len(r.body["items"].([]any)) != 2 {
		t.Errorf("its history: %s", r.text)
	}
	if again := ask(); again.text != first.text {
		t.Errorf("repeated, it is %s, was %s", again.text, first.text)
	}
	if r := field.call("GET", "/requests", alice, ""); len(r.body["items"].([]any)) != 0 {
		t.Errorf("listed %s", r.text)
	}
}
