package searchresponder_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/responders"
	"sallyport/responders/searchresponder"
)

// What a real engine does not do on demand is done here by a server that says
// what it is told to.

const found = `{"took":1,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},
	"hits":{"total":{"value":1,"relation":"eq"},"max_score":1,"hits":[{"_index":"books","_id":"1","_score":1,"_source":{"a": 1},"sort":[1]}]}}`

const answered = `{"total":1,"hits":[{"_index":"books","_id":"1","_score":1,"_source":{"a":1}}]}`

func says(t testing.TB, status int, body string) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func ask(t testing.TB, s searchresponder.Source, change func(*responders.Question)) (responders.Answer, error) {
	t.Helper()
	q := question("books", `{}`, `{}`)
	if change != nil {
		change(&q)
	}
	return open(t, map[string]searchresponder.Source{"library": s}).Respond(t.Context(), q)
}

func TestABusyNodeIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 502, 503, 504, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			first := "http://127.0.0.1:1"
			if status != 0 {
				first, _ = says(t, status, `{"error":{"type":"es_rejected_execution_exception"}}`)
			}
			good, calls := says(t, 200, found)
			a, err := ask(t, searchresponder.Source{Nodes: []string{first, good}}, nil)
			if err != nil || string(a.Result) != answered || calls.Load() != 1 {
				t.Errorf("%s (%v) after %d calls", a.Result, err, calls.Load())
			}
		})
	}
}

func TestWhatIsNoAnswerIsAFailure(t *testing.T) {
	t.Parallel()
	with := func(old, by string) string { return strings.Replace(found, old, by, 1) }
	for name, c := range map[string]struct {
		status    int
		body      string
		code      string
		retryable bool
		calls     int32
	}{
		"ended early":          {200, with(`"timed_out":false`, `"timed_out":true`), "timeout", true, 1},
		"shards failed":        {200, with(`"failed":0`, `"failed":1`), "source_unavailable", true, 1},
		"no word of shards":    {200, with(`"_shards"`, `"shards"`), "search_failed", false, 1},
		"no total":             {200, with(`"total":{"value"`, `"total":{"valu"`), "search_failed", false, 1},
		"a name twice":         {200, with(`{"a": 1}`, `{"hunter2":1,"hunter2":2}`), "search_failed", false, 1},
		"no UTF-8":             {200, with(`{"a": 1}`, "{\"a\":\"\xff\"}"), "search_failed", false, 1},
		"no JSON":              {200, `<html>hunter2`, "search_failed", false, 1},
		"a list":               {200, `["hunter2"]`, "search_failed", false, 1},
		"half an answer":       {200, found[:len(found)-5], "source_unavailable", true, 1},
		"nothing":              {200, ``, "source_unavailable", true, 1},
		"always busy":          {429, ``, "source_unavailable", true, 5},
		"out of order":         {500, `{"error":{"type":"x","reason":"hunter2"}}`, "source_unavailable", true, 1},
		"another login needed": {401, ``, "source_unavailable", true, 1},
		"not permitted":        {403, `{"error":{"type":"security_exception","reason":"hunter2"}}`, "not_permitted", false, 1},
		"refused":              {400, `{"error":{"root_cause":[{"type":"parsing_exception","reason":"hunter2"}],"type":"HUNTER2 hunter2"}}`, "bad_query", false, 1},
		"a redirect":           {307, ``, "search_failed", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, calls := says(t, c.status, c.body)
			_, err := ask(t, searchresponder.Source{Nodes: []string{url}}, nil)
			var f *responders.Failure
			if !errors.As(err, &f) || f.Code != c.code || f.Retryable != c.retryable || calls.Load() != c.calls {
				t.Fatalf("%v (%v) after %d calls; want %s, retryable %t, after %d", err, errors.Unwrap(err), calls.Load(), c.code, c.retryable, c.calls)
			}
			if told := fmt.Sprint(f, f.Cause); strings.Contains(told, "hunter2") || strings.Contains(f.Error(), "127.0.0.1") {
				t.Errorf("told %s", told)
			}
		})
	}
}

func TestRetriesEndWithTheTime(t *testing.T) {
	t.Parallel()
	url, calls := says(t, 503, ``)
	_, err := ask(t, searchresponder.Source{Nodes: []string{url}}, func(q *responders.Question) { q.Config.TimeoutMS = 100 })
	var f *responders.Failure
	if !errors.As(err, &f) || f.Code != "timeout" || calls.Load() > 3 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

// TestAnAnswerIsCutBeforeItIsHeld: what has no room is read and dropped, and
// aggregations come before rows.
func TestAnAnswerIsCutBeforeItIsHeld(t *testing.T) {
	t.Parallel()
	hit := `{"_index":"books","_id":"1","_score":null,"_source":{"a":"` + strings.Repeat("x", 100) + `"}}`
	answer := strings.Replace(strings.Replace(found, `"value":1`, `"value":50`, 1), `"hits":[{`, `"hits":[`+strings.Repeat(hit+",", 49)+"{", 1)
	for name, c := range map[string]struct {
		aggs  string
		bytes int
		rows  int
	}{
		"all":                   {``, 1 << 20, 50},
		"the bytes end":         {``, 1000, 6},
		"and so they do here":   {`,"aggregations":{"x":{"value": 7}}`, 1000, 5},
		"aggregations are long": {`,"aggregations":{"x":"` + strings.Repeat("y", 700) + `"}`, 1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := says(t, 200, answer[:len(answer)-1]+c.aggs+"}")
			a, err := ask(t, searchresponder.Source{Nodes: []string{url}}, func(q *responders.Question) {
				q.MaxBytes = c.bytes
				if c.aggs != "" {
					q.Config.Search.Body = []byte(`{"aggs":{"x":{"max":{"field":"a"}}}}`)
				}
			})
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if a.Count != c.rows || len(a.Result) > c.bytes || a.Truncated != (c.rows < 50) || c.aggs != "" != bytes.Contains(a.Result, []byte(`,"aggregations":{"x"`)) {
				t.Errorf("%d rows in %d bytes, truncated %t: %s", a.Count, len(a.Result), a.Truncated, a.Result)
			}
		})
	}
}

// TestWhatHasNoRoomIsNotRead: one value that is larger than an answer ends the
// reading, wherever it stands.
func TestWhatHasNoRoomIsNotRead(t *testing.T) {
	t.Parallel()
	endless := `"` + strings.Repeat("y", 1000)
	for name, c := range map[string]struct {
		before string // the endless value
		aggs   bool
		code   string // empty: an answer without that hit
	}{
		"aggregations":          {found[:len(found)-1] + `,"aggregations":{"x":{"buckets":[`, true, "too_large"},
		"a hit":                 {found[:strings.Index(found, `"hits":[`)+len(`"hits":[`)] + `{"_source":`, false, ""},
		"a hit, and more to be": {found[:strings.Index(found, `"hits":[`)+len(`"hits":[`)] + `{"_source":`, true, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Elastic-Product", "Elasticsearch")
				for text := c.before + "["; ; text = endless + `",` {
					n, err := io.WriteString(w, text)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}))
			t.Cleanup(s.Close)
			a, err := ask(t, searchresponder.Source{Nodes: []string{s.URL}}, func(q *responders.Question) {
				q.MaxBytes = 1 << 20
				if c.aggs {
					q.Config.Search.Body = []byte(`{"aggs":{"x":{"max":{"field":"a"}}}}`)
				}
			})
			var f *responders.Failure
			if errors.As(err, &f); (f == nil) != (c.code == "") || f != nil && (f.Code != c.code || f.Retryable || !strings.Contains(f.Text, "ask for less")) {
				t.Errorf("%v, want %q", err, c.code)
			}
			if f == nil && (a.Count != 0 || !a.Truncated) {
				t.Errorf("%+v", a)
			}
			if limit := int64(16 << 20); sent.Load() > limit {
				t.Errorf("%d bytes were sent", sent.Load())
			}
		})
	}
}

func TestLoginsAndCertificates(t *testing.T) {
	t.Parallel()
	var login atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login.Store(r.Header.Get("Authorization"))
		if r.Method != http.MethodPost || r.URL.Path != "/books/_search" {
			t.Errorf("%s %s was called", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, found)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, c := range map[string]struct {
		source searchresponder.Source
		login  string
	}{
		"a key":      {searchresponder.Source{CA: ca, APIKey: "aWQ6a2V5"}, "APIKey aWQ6a2V5"},
		"a password": {searchresponder.Source{CA: ca, Username: "reader", Password: "hunter2"}, "Basic cmVhZGVyOmh1bnRlcjI="},
		"neither":    {searchresponder.Source{CA: ca}, ""},
	} {
		c.source.Nodes = []string{s.URL + "/"}
		if _, err := ask(t, c.source, nil); err != nil || login.Load() != c.login {
			t.Errorf("%s: logged in as %q (%v, %v)", name, login.Load(), err, errors.Unwrap(err))
		}
	}
	_, err := ask(t, searchresponder.Source{Nodes: []string{s.URL}}, nil)
	var f *responders.Failure
	if !errors.As(err, &f) || f.Code != "source_unavailable" {
		t.Errorf("a certificate that nobody knows: %v", err)
	}
}

func TestBadSourcesAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]searchresponder.Source{
		"no node":             {},
		"no address":          {Nodes: []string{"search-1"}},
		"a query":             {Nodes: []string{"https://search-1?x=hunter2"}},
		"a login in a node":   {Nodes: []string{"https://u:hunter2@search-1"}},
		"a login without TLS": {Nodes: []string{"http://search-1"}, APIKey: "hunter2"},
		"no certificate":      {Nodes: []string{"https://search-1"}, CA: []byte("hunter2")},
	} {
		_, err := searchresponder.Open(searchresponder.Config{Sources: map[string]searchresponder.Source{"library": s}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := searchresponder.Open(searchresponder.Config{Sources: map[string]searchresponder.Source{"No Name": {Nodes: []string{"https://a"}}}}); err == nil {
		t.Error("a source without a name was opened")
	}
}

// TestOtherIndicesAreNotAskedFor: a log may hold a configuration that would not
// be recorded today.
func TestOtherIndicesAreNotAskedFor(t *testing.T) {
	t.Parallel()
	url, calls := says(t, 200, found)
	for _, index := range []string{"_all", "*", ".security", "far:books", "books/_update/1?x=", "books,secret", ""} {
		_, err := ask(t, searchresponder.Source{Nodes: []string{url}}, func(q *responders.Question) { q.Config.Search.Indices = []string{index} })
		if f := new(responders.Failure); !errors.As(err, &f) || f.Code != "bad_query" || f.Retryable || calls.Load() != 0 {
			t.Errorf("%q: %v after %d calls", index, err, calls.Load())
		}
	}
}
