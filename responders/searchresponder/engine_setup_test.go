package searchresponder_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/searchresponder"
)

// engineURL names the variable with the address of a real engine without a
// login; without it the tests on one are left out. `make test-search` starts
// several and sets it.
const engineURL = "SALLYPORT_TEST_SEARCH"

// engine is a real one, with indices of these tests' own, whose names begin with
// prefix. No test changes them.
type engine struct{ url, prefix string }

const mapping = `{"settings":{"number_of_shards":2,"number_of_replicas":0},"mappings":{"dynamic":false,"properties":{
	"title":{"type":"text"},"note":{"type":"text"},"lang":{"type":"keyword"},"year":{"type":"integer"},"at":{"type":"date"},
	"price":{"type":"double"},"n":{"type":"integer"}}}}`

var books = []string{
	`{"title":"War and Peace","lang":"ru","year":1869,"at":"1869-01-01","price":12.5}`,
	`{"title":"Anna Karenina","lang":"ru","year":1878,"at":"1878-04-05","price":9}`,
	`{"title":"The War of the Worlds","lang":"en","year":1898,"at":"1898-06-01","price":7.25}`,
	`{"title":"Peace","lang":"en","year":1919, "at":"1919-06-28","note":"quo\"te <é>", "big":9007199254740993}`,
}

// indices are what the engine holds, by name without the prefix.
func indices() map[string][]string {
	all := map[string][]string{"books-old": books, "books-new": {`{"title":"a new war","year":2020}`}, "secret": {`{"title":"hunter2 war","words":["war"]}`}}
	for n := range 20 {
		all["rows"] = append(all["rows"], fmt.Sprintf(`{"n":%d,"title":"row number %d"}`, n, n))
	}
	return all
}

var prepared = sync.OnceValues(func() (*engine, error) {
	e := &engine{url: strings.TrimRight(os.Getenv(engineURL), "/"), prefix: "t" + strings.ToLower(rand.Text()[:12]) + "-"}
	for name, docs := range indices() {
		if _, err := e.call("PUT", "/"+e.prefix+name, mapping); err != nil {
			return nil, err
		}
		var bulk strings.Builder
		for i, d := range docs {
			fmt.Fprintf(&bulk, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", i+1, d)
		}
		if got, err := e.call("POST", "/"+e.prefix+name+"/_bulk?refresh=true", bulk.String()); err != nil || !strings.Contains(got, `"errors":false`) {
			return nil, fmt.Errorf("fill %s: %s: %w", name, got, err)
		}
	}
	return e, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv(engineURL) != "" {
		if e, err := prepared(); err == nil {
			for name := range indices() {
				_, _ = e.call("DELETE", "/"+e.prefix+name, "")
			}
		}
	}
	os.Exit(code)
}

func setup(t testing.TB) *engine {
	t.Helper()
	if os.Getenv(engineURL) == "" {
		t.Skip("no engine: `make test-search` starts some and runs this test on each")
	}
	e, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// call is the tests' own way to the engine.
func (e *engine) call(method, path, body string) (string, error) {
	req, err := http.NewRequest(method, e.url+path, strings.NewReader(body)) //nolint:noctx // ends with the engine
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, b)
	}
	return string(b), err
}

// state is all that the indices hold, with the number of each change, and how
// they are made.
func (e *engine) state(t *testing.T) string {
	var all strings.Builder
	for _, c := range [][2]string{{"/_search?seq_no_primary_term=true&version=true", `{"size":1000,"sort":["_doc"]}`}, {"/_mapping"}, {"/_settings"}} {
		method := "GET"
		if c[1] != "" {
			method = "POST"
		}
		for _, name := range slices.Sorted(maps.Keys(indices())) {
			got, err := e.call(method, "/"+e.prefix+name+c[0], c[1])
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(took.ReplaceAllString(got, ""))
		}
	}
	return all.String()
}

// took differs from search to search.
var took = regexp.MustCompile(`"took":\d+,`)

func open(t testing.TB, sources map[string]searchresponder.Source) *searchresponder.Responder {
	t.Helper()
	r, err := searchresponder.Open(searchresponder.Config{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func (e *engine) open(t testing.TB) *searchresponder.Responder {
	t.Helper()
	return open(t, map[string]searchresponder.Source{"library": {Nodes: []string{e.url}}})
}

// question asks the indices with the engine's prefix.
func (e *engine) question(indices, template, params string) responders.Question {
	return question(e.prefix+strings.ReplaceAll(indices, ",", ","+e.prefix), template, params)
}

func question(indices, template, params string) responders.Question {
	return responders.Question{Params: json.RawMessage(params), MaxResults: 100, MaxBytes: 1 << 20, Config: domain.ResponderConfigured{
		Kind: domain.ResponderElasticsearch, Source: "library", TimeoutMS: 20_000,
		Search: &domain.SearchQuery{Indices: strings.Split(indices, ","), Body: json.RawMessage(template)}}}
}

func hits(result json.RawMessage) ([]json.RawMessage, error) {
	var found struct{ Hits []json.RawMessage }
	err := json.Unmarshal(result, &found)
	return found.Hits, err
}

// silent is a server that never answers.
func silent(t testing.TB) string {
	t.Helper()
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(done) })
	return s.URL
}
