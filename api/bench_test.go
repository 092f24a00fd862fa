package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/domain"
)

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// bench calls the handler from 64 clients at once.
func (s *site) bench(b *testing.B, method, path, token, body string, want int) {
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(method, path, io.NopCloser(strings.NewReader(body)))
			r.ContentLength = int64(len(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := &sink{header: http.Header{}}
			s.handler.ServeHTTP(w, r)
			if w.status != want {
				b.Errorf("answered %d, want %d", w.status, want)
				return
			}
		}
	})
}

func BenchmarkSubmit(b *testing.B) {
	field := newField(b, newCore(b))
	token := field.token("bob") // whose profile has no limits
	field.warm(token)
	field.bench(b, "POST", "/requests", token, `{"type":"airport","params":{"iata":"AMS"}}`, 202)
}

func BenchmarkResponseHit(b *testing.B) {
	core := newCore(b)
	field := newField(b, core)
	token := field.token("alice")
	id := field.call("POST", "/requests", token, `{"type":"airport","params":{"iata":"AMS"}}`).body["id"].(string)
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(`[{"name":"Schiphol"}]`),
		ResultCount: 1, Responder: domain.ResponderSQL, ContentType: "application/json"})
	field.call("GET", "/requests/"+id+"/response", token, "")
	field.warm(token)
	field.bench(b, "GET", "/requests/"+id+"/response", token, "", 200)
}
