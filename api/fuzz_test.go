package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sallyport/api/spectest"
)

// target is an operation with somebody who may call it.
type target struct {
	place     *place
	operation spectest.Operation
	as        string
}

// targets are all operations of both sites that take a body.
func targets(t testing.TB, all []*place) []target {
	t.Helper()
	var out []target
	for _, p := range all {
		for _, o := range p.spec.Operations() {
			if slices.Contains([]string{"POST", "PUT", "PATCH"}, o.Method) && (o.Site == "both" || o.Site == string(p.store.Role())) {
				out = append(out, target{place: p, operation: o, as: p.tokens[admitted(o)]})
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d operations take a body", len(out))
	}
	return out
}

var nasty = []string{``, `{`, `null`, `[]`, `0`, `"a"`, `{}`, `{"":""}`, `{"a":1,"a":2}`, "\xff\xfe", "{\"a\":\"\\ud800\"}", `{"a":` + strings.Repeat("[", 20_000),
	`{"a":1e99999}`, "\ufeff{}", "{}\x00", `{"params":{"__proto__":{}}}`}

// Whatever is sent to whichever operation: it never fails, and the answer is
// one that the description foresees.
func FuzzBodies(f *testing.F) {
	all := targets(f, places(f))
	for i, at := range all {
		for _, body := range nasty {
			f.Add(uint16(i), body) //nolint:gosec // there are few
		}
		if example := at.place.spec.Example(at.operation); example != nil {
			text, err := json.Marshal(example)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint16(i), string(text)) //nolint:gosec // as above
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, body string) {
		at := all[int(which)%len(all)]
		r := httptest.NewRequestWithContext(t.Context(), at.operation.Method, pathOf(at.operation.Path), strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+at.as)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		at.place.api.ServeHTTP(w, r)
		if err := at.place.spec.Check(r, w.Code, w.Result().Header, w.Body.Bytes()); err != nil || w.Code >= 500 {
			t.Errorf("%s with %.200q: %d %.300s: %v", at.operation, body, w.Code, w.Body, err)
		}
	})
}
