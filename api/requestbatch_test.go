package api_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/domain"
)

// batchOf makes the body of a batch.
func batchOf(requests ...string) string { return `{"items":[` + strings.Join(requests, ",") + `]}` }

const oneItem = `{"type":"airport","params":{"iata":"AMS"}}`

func TestABatchIsOneRunOfTheLog(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice := field.token("alice")
	before := field.seq()
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf(`{"type":"airport","params":{"iata":"AM%c"},"name":"no %d","priority":%d}`, 'A'+i%26, i, 1+i%8))
	}
	got := field.call("POST", "/requests/batch", alice, batchOf(all...))
	got.want(t, 202, "")
	listed := got.body["items"].([]any)
	if len(listed) != 100 || field.seq() != before+200 {
		t.Fatalf("%d requests, %d events", len(listed), field.seq()-before)
	}
	for i, item := range listed {
		r := item.(map[string]any)
		if r["name"] != fmt.Sprintf("no %d", i) || r["position"] != float64(before+101+int64(i)) || r["status"] != "pending" || r["priority"] != float64(1+i%8) {
			t.Fatalf("request %d is %v", i, r)
		}
		one := field.call("GET", "/requests/"+r["id"].(string), alice, "")
		if one.body["position"] != r["position"] || one.body["created_at"] != r["created_at"] {
			t.Fatalf("request %d is shown as %s, was %v", i, one.text, r)
		}
	}
	positions := got.body["positions"].(map[string]any)
	if positions["first"] != float64(before+101) || positions["last"] != float64(before+200) ||
		got.Header.Get("X-Log-Position") != strconv.FormatInt(before+200, 10) {
		t.Errorf("positions %v, %v", positions, got.Header)
	}
}

func TestABatchIsAllOrNone(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice, bob := field.token("alice"), field.token("bob")
	field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"},"name":"mine"}`).want(t, 202, "")
	before := field.seq()
	for _, c := range []struct {
		name, token, body string
		status            int
		code              string
		pointers          []string
	}{
		{"none", alice, batchOf(), 422, "invalid-batch", []string{"/items"}},
		{"no list", alice, `{}`, 422, "invalid-batch", []string{"/items"}},
		{"too many", alice, batchOf(slices.Repeat([]string{oneItem}, 101)...), 422, "invalid-batch", []string{"/items"}},
		{"wrong ones", alice, batchOf(oneItem, `{"type":"airport","params":{"iata":"x"}}`, `{"type":"nothing","params":{}}`, `{"params":{}}`, `{"type":"airport","params":{"iata":"AMS"},"priority":9}`),
			422, "invalid-batch", []string{"/items/1/params/iata", "/items/2/type", "/items/3/type", "/items/4/priority"}},
		{"not allowed", bob, batchOf(oneItem, `{"type":"hidden","params":{"iata":"AMS"}}`), 403, "type-not-allowed", []string{"/items/1/type"}},
		{"not allowed and wrong", bob, batchOf(`{"type":"airport","params":{"iata":1}}`, `{"type":"hidden","params":{"iata":"AMS"}}`),
			422, "invalid-batch", []string{"/items/0/params/iata", "/items/1/type"}},
		{"a name twice", alice, batchOf(`{"type":"airport","params":{"iata":"AMS"},"name":"a"}`, oneItem, `{"type":"airport","params":{"iata":"AMS"},"name":"a"}`),
			422, "invalid-batch", []string{"/items/2/name"}},
		{"a name taken", alice, batchOf(oneItem, `{"type":"airport","params":{"iata":"AMS"},"name":"mine"}`), 409, "name-taken", []string{"/items/1/name"}},
		{"of another form", alice, batchOf(oneItem, `{"type":"airport","params":{"iata":"AMS"},"user":"bob"}`), 422, "invalid-body", []string{"/items/1/user"}},
	} {
		got := field.call("POST", "/requests/batch", c.token, c.body)
		if got.StatusCode != c.status || got.code() != c.code || !slices.Equal(got.pointers(), c.pointers) {
			t.Errorf("%s: %d %s at %v, want %d %s at %v", c.name, got.StatusCode, got.code(), got.pointers(), c.status, c.code, c.pointers)
		}
	}
	if field.seq() != before {
		t.Error("a part of a refused batch was stored")
	}
}

func TestABatchWithAKeyIsStoredOnce(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	alice, bob := field.token("alice"), field.token("bob")
	once := func(token, path, key, body string) reply {
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", key)
		return field.do(r)
	}
	body := batchOf(`{"type":"airport","params":{"iata":"AMS"},"name":"a"}`, oneItem)
	first := once(alice, "/requests/batch", "k", body)
	first.want(t, 202, "")
	id := first.body["items"].([]any)[0].(map[string]any)["id"].(string)
	records, err := field.store.ReadStream(t.Context(), domain.RequestStream(id))
	if err != nil || records[0].Fact.(domain.RequestSubmitted).IdempotencyKey != "k" {
		t.Errorf("stored %+v, %v", records, err)
	}
	field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"},"name":"b"}`).want(t, 202, "")
	field.call("DELETE", "/requests/"+id, alice, "").want(t, 200, "")
	before := field.seq()
	again := once(alice, "/requests/batch", "k", strings.ReplaceAll(body, ",", " , "))
	if again.text != first.text || again.Header.Get("Idempotent-Replay") != "true" || again.Header.Get("X-Log-Position") != first.Header.Get("X-Log-Position") {
		t.Errorf("first %v %s\nagain %v %s", first.Header, first.text, again.Header, again.text)
	}
	once(alice, "/requests/batch", "k", batchOf(oneItem)).want(t, 422, "idempotency-key-reused")
	once(alice, "/requests", "k", oneItem).want(t, 422, "idempotency-key-reused")
	once(alice, "/requests/batch", "", body).want(t, 422, "invalid-idempotency-key")
	if field.seq() != before {
		t.Error("a repeated batch was stored")
	}
	if other := once(bob, "/requests/batch", "k", body); other.StatusCode != 202 || other.Header.Get("Idempotent-Replay") != "" {
		t.Errorf("two users share a key: %s", other.text)
	}
}
