package httpresponder_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/httpresponder"
	"sallyport/responders/responderstest"
)

const token = "Bearer s3cret"

// house is a service of one's own: what it has is asked by GET and POST, and what
// is sent by another method counts as a write.
type house struct {
	*httptest.Server
	writes atomic.Int64
	asked  atomic.Int64
	seen   atomic.Pointer[seen]
	fixed  map[string]string // what /fixed/NAME answers
}

// seen is a call as it arrived.
type seen struct {
	method, uri, body string
	header            http.Header
}

func newHouse(t *testing.T, fixed map[string]string) *house {
	t.Helper()
	h := &house{fixed: fixed}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	h.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who do not believe its certificate
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.asked.Add(1)
	h.seen.Store(&seen{r.Method, r.RequestURI, string(body), r.Header.Clone()})
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		h.writes.Add(1)
	}
	_, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	switch r.URL.Path {
	case "/api/items":
		h.items(w)
	case "/api/slow":
		<-r.Context().Done()
	case "/api/broken":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[\"hunter2\"")
			conn.Close()
		}
	case "/api/no-http":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			fmt.Fprint(conn, "hunter2\r\n\r\n")
			conn.Close()
		}
	case "/api/large":
		fmt.Fprintf(w, `["%s"]`, strings.Repeat("x", 21<<20))
	case "/api/status/" + what:
		var status int
		fmt.Sscan(what, &status)
		w.Header().Set("Location", "/api/items?hunter2")
		w.WriteHeader(status)
		fmt.Fprint(w, `"hunter2"`)
	case "/api/busy/" + what: // once, for as long as it says
		if h.asked.Load() == 1 {
			w.Header().Set("Retry-After", what)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `[1]`)
	default:
		fmt.Fprint(w, h.fixed[what])
	}
}

func (h *house) items(w http.ResponseWriter) {
	type item struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	var all struct {
		Items []item `json:"items"`
	}
	for i := range 20 {
		all.Items = append(all.Items, item{i, fmt.Sprint("item <", i, ">")})
	}
	_ = json.NewEncoder(w).Encode(all)
}

// service is how the house is configured.
func (h *house) service() httpresponder.Service {
	return httpresponder.Service{URL: h.URL + "/api", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}),
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, Headers: map[string]string{"Authorization": token}}
}

func open(t *testing.T, all map[string]httpresponder.Service) *httpresponder.Responder {
	t.Helper()
	r, err := httpresponder.Open(all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func ask(call domain.ServiceCall, params string) responders.Question {
	if call.Method == "" {
		call.Method = http.MethodGet
	}
	return responders.Question{Params: json.RawMessage(params), MaxResults: 1000, MaxBytes: 1 << 20,
		Config: domain.ResponderConfigured{Kind: domain.ResponderHTTP, Source: "house", TimeoutMS: domain.MaxTimeoutMS, Call: &call}}
}

func TestContract(t *testing.T) {
	t.Parallel()
	h := newHouse(t, map[string]string{"html": "<html>hunter2", "twice": `{"hunter2":1,"hunter2":2}`, "cut": `["hunter2"`, "two": `[] ["hunter2"]`, "deep": strings.Repeat("[", 60) + strings.Repeat("]", 60), "empty": ""})
	untrusted, named, away := h.service(), h.service(), h.service()
	untrusted.CA = nil
	named.URL, named.Allow = strings.Replace(h.URL, "127.0.0.1", "localhost", 1), nil
	away.URL = "http://127.0.0.1:1"
	r := open(t, map[string]httpresponder.Service{"house": h.service(), "untrusted": untrusted, "named": named, "away": away})
	responderstest.Run(t, responderstest.Harness{
		Responder: r,
		Many:      ask(domain.ServiceCall{Path: "/items", Rows: "/items", Fields: map[string]string{"n": "/id", "title": "/name"}}, `{}`), Rows: 20,
		Slow:      ask(domain.ServiceCall{Path: "/slow"}, `{}`),
		Failures:  failures(),
		Secrets:   []string{"hunter2", "s3cret"},
		Internals: []string{"127.0.0.1", "localhost", "/api", "/status", "dial", "x509", "certificate"},
		State:     func(*testing.T) string { return fmt.Sprint(h.writes.Load()) },
	})
}

func failures() map[string]responderstest.Failing {
	fails := func(code string, call domain.ServiceCall, params string) responderstest.Failing {
		return responderstest.Failing{Code: code, Question: ask(call, params), Retryable: code == "source_unavailable"}
	}
	from := func(source, code string) responderstest.Failing {
		f := fails(code, domain.ServiceCall{Path: "/items"}, `{}`)
		f.Question.Config.Source = source
		return f
	}
	all := map[string]responderstest.Failing{
		"writes":                fails("bad_call", domain.ServiceCall{Method: http.MethodDelete, Path: "/items"}, `{}`),
		"no template":           fails("bad_call", domain.ServiceCall{Path: "/items", Query: []byte(`{"a":{}}`)}, `{}`),
		"a path that would end": fails("bad_parameter", domain.ServiceCall{Path: "/items/{x}"}, `{"x":"../hunter2"}`),
		"a query of no plain":   fails("bad_parameter", domain.ServiceCall{Path: "/items", Query: []byte(`{"a":{"$param":"x"}}`)}, `{"x":{"hunter2":1}}`),
		"no answer in between":  fails("source_unavailable", domain.ServiceCall{Path: "/broken"}, `{}`),
		"no HTTP":               fails("source_unavailable", domain.ServiceCall{Path: "/no-http"}, `{}`),
		"large":                 fails("too_large", domain.ServiceCall{Path: "/large"}, `{}`),
		"nothing there":         fails("bad_answer", domain.ServiceCall{Path: "/items", Rows: "/items/20/id"}, `{}`),
		"away":                  from("away", "source_unavailable"),
		"not to be believed":    from("untrusted", "source_refused"),
		"not public":            from("named", "source_refused"),
	}
	for _, body := range []string{"html", "twice", "cut", "two", "deep", "empty"} {
		all["answers "+body] = fails("bad_answer", domain.ServiceCall{Path: "/fixed/" + body}, `{}`)
	}
	for status, code := range map[int]string{301: "service_failed", 307: "service_failed", 400: "bad_parameter", 401: "not_permitted", 403: "not_permitted",
		404: "not_found", 408: "source_unavailable", 410: "not_found", 418: "service_failed", 422: "bad_parameter", 429: "source_unavailable",
		500: "service_failed", 502: "source_unavailable", 503: "source_unavailable", 504: "source_unavailable"} {
		all[fmt.Sprint("status ", status)] = fails(code, domain.ServiceCall{Path: fmt.Sprint("/status/", status)}, `{}`)
	}
	return all
}
