package api_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
)

func (s *site) submitOnce(token, key, body string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), "POST", "/requests", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Idempotency-Key", key)
	return s.do(r)
}

func TestAKeyMakesOneRequest(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice, bob := field.token("alice"), field.token("bob")
	const body = `{"type":"airport","params":{"iata":"AMS"},"name":"mine"}`
	first := field.submitOnce(alice, "key 1", body)
	first.want(t, 202, "")
	if first.Header.Get("Idempotent-Replay") != "" {
		t.Error("the first call is said to be a replay")
	}
	id := first.body["id"].(string)
	records, err := field.store.ReadStream(t.Context(), domain.RequestStream(id))
	if err != nil || records[0].Fact.(domain.RequestSubmitted).IdempotencyKey != "key 1" {
		t.Errorf("stored %+v, %v", records, err)
	}
	before := field.seq()
	again := field.submitOnce(alice, "key 1", strings.ReplaceAll(body, ",", " ,\n"))
	again.want(t, 202, "")
	if again.text != first.text || again.Header.Get("Idempotent-Replay") != "true" ||
		again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("X-Log-Position") != first.Header.Get("X-Log-Position") {
		t.Errorf("first %v %s\nagain %v %s", first.Header, first.text, again.Header, again.text)
	}
	field.submitOnce(alice, "key 1", `{"type":"airport","params":{"iata":"FRA"}}`).want(t, 422, "idempotency-key-reused")
	if field.seq() != before {
		t.Error("a repeated call was stored")
	}
	if field.submitOnce(bob, "key 1", body).body["id"] == id {
		t.Error("two users share a key")
	}

	answer(core, field, id, domain.ResponseFailed{Code: "timeout", Error: "too long", Attempts: 1})
	if later := field.submitOnce(alice, "key 1", body); later.text != first.text {
		t.Errorf("the answer was\n%s and is\n%s", first.text, later.text)
	}
	field.clock.Add(int64(24*time.Hour + time.Second))
	alice = field.token("alice")
	field.submitOnce(alice, "key 1", body).want(t, 409, "name-taken")
	later := field.submitOnce(alice, "key 1", `{"type":"airport","params":{"iata":"FRA"}}`)
	later.want(t, 202, "")
	if later.body["id"] == id {
		t.Error("a key stood for longer than a day")
	}
}

// What was accepted is answered the same after it would be refused.
func TestAReplayOutlivesItsPermission(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	const body = `{"type":"hidden","params":{"iata":"AMS"}}`
	first := field.submitOnce(alice, "k", body)
	first.want(t, 202, "")
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.ProfileStream("wide"), Expected: eventstore.Any, Facts: []domain.Fact{domain.ProfileDefined{Name: "wide",
		Allowed: []string{"airport"}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}, Priority: 5, MaxResults: 10}}})
	field.mirror(core, before)
	if again := field.submitOnce(alice, "k", body); again.StatusCode != 202 || again.body["id"] != first.body["id"] {
		t.Errorf("again: %d %s", again.StatusCode, again.text)
	}
	field.submitOnce(alice, "other", body).want(t, 403, "type-not-allowed")
}

func TestOneKeyAtOnce(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	for range 2 { // the second time, the key of a day before is claimed anew
		var mu sync.Mutex
		ids, made := map[any]bool{}, 0
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				got := field.submitOnce(alice, "k", `{"type":"airport","params":{"iata":"AMS"}}`)
				mu.Lock()
				defer mu.Unlock()
				ids[got.body["id"]] = true
				if got.Header.Get("Idempotent-Replay") == "" {
					made++
				}
				if got.StatusCode != 202 {
					t.Errorf("answered %d %s", got.StatusCode, got.text)
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || made != 1 {
			t.Errorf("%d requests, %d said to be new, want one", len(ids), made)
		}
		field.clock.Add(int64(25 * time.Hour))
		alice = field.token("alice")
	}
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice, before := field.token("alice"), field.seq()
	for _, key := range []string{"", strings.Repeat("x", 256), "ü", "a\x01"} {
		field.submitOnce(alice, key, `{"type":"airport","params":{"iata":"AMS"}}`).want(t, 422, "invalid-idempotency-key")
	}
	if field.seq() != before {
		t.Error("what is no key was stored")
	}
}
