package searchresponder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/responders/responderstest"
	"sallyport/responders/searchresponder"
)

func TestContractOnARealEngine(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := open(t, map[string]searchresponder.Source{
		"library": {Nodes: []string{e.url}}, "slow": {Nodes: []string{silent(t)}}, "away": {Nodes: []string{"http://127.0.0.1:1"}}})
	fails := func(code, indices, template, params string) responderstest.Failing {
		return responderstest.Failing{Code: code, Question: e.question(indices, template, params)}
	}
	slow, away := e.question("rows", `{}`, `{}`), fails("source_unavailable", "rows", `{}`, `{}`)
	slow.Config.Source, away.Question.Config.Source, away.Retryable = "slow", "away", true
	narrowed := fails("not_permitted", "rows", `{}`, `{}`)
	narrowed.Question.Indices = []string{"books"}
	writes := fails("bad_query", "rows", `{}`, `{}`)
	writes.Question.Config.Search.Indices = []string{"rows/_doc/99?x=", "rows/_update_by_query?"}
	responderstest.Run(t, responderstest.Harness{
		Responder: r, RowsOf: hits, State: e.state, Rows: 20, Slow: slow,
		Many: e.question("rows", `{"query":{"match":{"title":"row"}},"sort":[{"n":"desc"}]}`, `{}`),
		Failures: map[string]responderstest.Failing{
			"another path":           writes,
			"a script":               fails("bad_query", "rows", `{"script_fields":{"x":{"script":"ctx._source.n = 1"}}}`, `{}`),
			"no such index":          fails("bad_query", "rows,hunter2", `{}`, `{}`),
			"not a number":           fails("bad_query", "books-old", `{"query":{"term":{"year":{"$param":"v"}}}}`, `{"v":"hunter2"}`),
			"not a date":             fails("bad_query", "books-old", `{"query":{"range":{"at":{"gte":{"$param":"v"}}}}}`, `{"v":"hunter2"}`),
			"an object for a value":  fails("bad_parameter", "books-old", `{"query":{"match":{"title":{"$param":"v"}}}}`, `{"v":{"query":"hunter2"}}`),
			"a sort by what is text": fails("bad_query", "rows", `{"sort":["title"]}`, `{}`),
			"nothing granted":        narrowed,
			"source is away":         away,
		},
		Secrets:   []string{"hunter2"},
		Internals: []string{"127.0.0.1", e.prefix, "exception", "_search", "status"},
	})
}

func TestEveryClauseIsUnderstood(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := e.open(t)
	const all = "1 2 3 4"
	for name, c := range map[string]struct{ template, params, want string }{
		"match":             {`{"query":{"match":{"title":{"$param":"q"}}},"sort":["year"]}`, `{"q":"war"}`, "1 3"},
		"match with and":    {`{"query":{"match":{"title":{"query":{"$param":"q"},"operator":"and","fuzziness":"AUTO","prefix_length":1,"max_expansions":20}}}}`, `{"q":"peece war"}`, "1"},
		"multi_match":       {`{"query":{"multi_match":{"query":{"$param":"q"},"fields":["title^2","note"],"type":"best_fields"}}}`, `{"q":"karenina"}`, "2"},
		"term":              {`{"query":{"term":{"lang":{"value":{"$param":"q"},"case_insensitive":true}}},"sort":"year"}`, `{"q":"RU"}`, "1 2"},
		"terms":             {`{"query":{"terms":{"lang":{"$param":"q"}}},"sort":["year"]}`, `{"q":["en","fr"]}`, "3 4"},
		"range":             {`{"query":{"range":{"year":{"gte":{"$param":"from"},"lt":{"$param":"to"}}}},"sort":["year"]}`, `{"from":1878,"to":1919}`, "2 3"},
		"range of dates":    {`{"query":{"range":{"at":{"gte":{"$param":"from"},"format":"dd.MM.yyyy","time_zone":"+01:00"}}}}`, `{"from":"01.01.1900"}`, "4"},
		"bool":              {`{"query":{"bool":{"must":{"match":{"title":"peace"}},"must_not":[{"term":{"lang":"en"}}],"should":[{"term":{"year":1869}}],"minimum_should_match":1,"filter":[{"exists":{"field":"price"}}]}}}`, `{}`, "1"},
		"wildcard":          {`{"query":{"wildcard":{"lang":{"value":{"$param":"q"}}}},"sort":["year"]}`, `{"q":"r*"}`, "1 2"},
		"fuzzy":             {`{"query":{"fuzzy":{"title":{"value":{"$param":"q"},"fuzziness":1}}}}`, `{"q":"karenima"}`, "2"},
		"match_all":         {`{"query":{"match_all":{"boost":1.5}},"sort":["year"]}`, `{}`, all},
		"exists":            {`{"query":{"exists":{"field":"note"}}}`, `{}`, "4"},
		"ids":               {`{"query":{"ids":{"values":{"$param":"ids"}}},"sort":["year"]}`, `{"ids":["4","2","99"]}`, "2 4"},
		"no query":          {`{"sort":[{"year":{"order":{"$param":"way"},"missing":"_last","unmapped_type":"long"}}]}`, `{"way":"desc"}`, "4 3 2 1"},
		"from and size":     {`{"sort":["year"],"from":{"$param":"from"},"size":{"$param":"size"}}`, `{"from":1,"size":2}`, "2 3"},
		"all is left out":   {`{"query":{"bool":{"should":[{"match":{"title":{"$param":"q"}}},{"term":{"lang":{"$param":"l"}}}],"minimum_should_match":1}},"sort":["year"]}`, `{}`, all},
		"an injected query": {`{"query":{"match":{"title":{"$param":"q"}}}}`, `{"q":"\"}},\"query\":{\"match_all\":{}},\"x\":{\"y\":{\"z\":\""}`, ""},
		"a wildcard's text": {`{"query":{"term":{"lang":{"$param":"q"}}}}`, `{"q":"*"}`, ""},
		"a query's syntax":  {`{"query":{"match":{"title":{"$param":"q"}}}}`, `{"q":"lang:ru OR _exists_:title"}`, ""},
		"another index":     {`{"query":{"terms":{"_index":{"$param":"q"}}},"sort":["year"]}`, `{"q":["` + e.prefix + `secret"]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := r.Respond(t.Context(), e.question("books-old", c.template, c.params))
			if err != nil {
				t.Fatalf("%v (%v)", err, errors.Unwrap(err))
			}
			var found struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
			if err := json.Unmarshal(a.Result, &found); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, h := range found.Hits {
				ids = append(ids, h.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("found %q, want %q: %s", got, c.want, a.Result)
			}
		})
	}
}

func TestEveryAggregationIsUnderstood(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := e.open(t)
	for name, c := range map[string]struct{ aggs, want string }{
		"terms":          {`{"x":{"terms":{"field":"lang","size":5,"min_doc_count":1,"order":{"_key":"desc"}},"aggs":{"y":{"max":{"field":"year"}}}}}`, `"key":"ru","doc_count":2,"y":{"value":1878`},
		"date_histogram": {`{"x":{"date_histogram":{"field":"at","calendar_interval":{"$param":"every"},"format":"yyyy","min_doc_count":1,"time_zone":"UTC"}}}`, `"key_as_string":"1869"`},
		"histogram":      {`{"x":{"histogram":{"field":"year","interval":50,"min_doc_count":1}}}`, `{"key":1850.0,"doc_count":3}`},
		"min":            {`{"x":{"min":{"field":"year"}}}`, `"x":{"value":1869`},
		"avg":            {`{"x":{"avg":{"field":"price","missing":0}}}`, `"x":{"value":7.1875}`},
		"sum":            {`{"x":{"sum":{"field":"price"}}}`, `"x":{"value":28.75}`},
		"value_count":    {`{"x":{"value_count":{"field":"price"}}}`, `"x":{"value":3}`},
		"cardinality":    {`{"x":{"cardinality":{"field":"lang","precision_threshold":100}}}`, `"x":{"value":2}`},
		"stats":          {`{"x":{"stats":{"field":"year"}}}`, `"count":4,"min":1869`},
		"range":          {`{"x":{"range":{"field":"year","ranges":[{"key":"old","to":1890},{"from":1890}]}}}`, `"key":"old","to":1890.0,"doc_count":2`},
		"date_range":     {`{"x":{"date_range":{"field":"at","format":"yyyy","ranges":[{"from":"1890"}]}}}`, `"doc_count":2`},
		"filter":         {`{"x":{"filter":{"term":{"lang":"en"}},"aggs":{"y":{"min":{"field":"year"}}}}}`, `"x":{"doc_count":2,"y":{"value":1898`},
		"filters":        {`{"x":{"filters":{"filters":{"en":{"term":{"lang":"en"}}},"other_bucket_key":"else"}}}`, `"else":{"doc_count":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := r.Respond(t.Context(), e.question("books-old", `{"size":0,"aggs":`+c.aggs+`}`, `{"every":"year"}`))
			if err != nil {
				t.Fatalf("%v (%v)", err, errors.Unwrap(err))
			}
			if !bytes.Contains(a.Result, []byte(c.want)) || a.Count != 0 || a.Truncated {
				t.Errorf("want %s in %s (%d rows, truncated %t)", c.want, a.Result, a.Count, a.Truncated)
			}
		})
	}
}

func TestRowsShowWhatWasStored(t *testing.T) {
	t.Parallel()
	e := setup(t)
	a, err := e.open(t).Respond(t.Context(), e.question("books-old", `{"query":{"ids":{"values":["4"]}},"sort":["year"],"_source":{"excludes":["at"]},"aggs":{"n":{"max":{"field":"year"}}}}`, `{}`))
	if err != nil {
		t.Fatal(err, errors.Unwrap(err))
	}
	want := `{"total":1,"hits":[{"_index":"` + e.prefix + `books-old","_id":"4","_score":null,"_source":{"big":9007199254740993,"lang":"en","note":"quo\"te <é>","title":"Peace","year":1919}}],"aggregations":{"n":{"value":1919.0}}}`
	if got := sorted(t, a.Result); got != sorted(t, []byte(want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// sorted is JSON with its members in order, and every digit.
func sorted(t testing.TB, text []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAGrantNarrows: what is in the type's list and not in the grant's is not
// read, and the other way round.
func TestAGrantNarrows(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := e.open(t)
	for name, c := range map[string]struct {
		granted []string
		total   int
	}{
		"all":            {nil, 5},
		"one of them":    {[]string{e.prefix + "books-new"}, 1},
		"more than both": {[]string{e.prefix + "*"}, 5},
		"another too":    {[]string{e.prefix + "secret", e.prefix + "books-o*"}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := e.question("books-*", `{"query":{"match_all":{}}}`, `{}`)
			q.Indices = c.granted
			a, err := r.Respond(t.Context(), q)
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if a.Count != c.total || bytes.Contains(a.Result, []byte("hunter2")) {
				t.Errorf("%d rows, want %d: %s", a.Count, c.total, a.Result)
			}
		})
	}
}

func TestTruncatedSaysThatThereIsMore(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := e.open(t)
	for name, c := range map[string]struct {
		template  string
		rows      int
		truncated bool
	}{
		"the template's size":    {`{"size":5,"sort":["n"]}`, 5, true},
		"the last page":          {`{"size":5,"from":15,"sort":["n"]}`, 5, false},
		"the page before":        {`{"size":5,"from":14,"sort":["n"]}`, 5, true},
		"behind the end":         {`{"size":5,"from":25,"sort":["n"]}`, 0, false},
		"none were asked for":    {`{"size":0}`, 0, false},
		"only what is asked for": {`{"query":{"term":{"n":7}},"size":5}`, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := r.Respond(t.Context(), e.question("rows", c.template, `{}`))
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			if a.Count != c.rows || a.Truncated != c.truncated {
				t.Errorf("%d rows, truncated %t; want %d, %t", a.Count, a.Truncated, c.rows, c.truncated)
			}
		})
	}
}

func TestCheckAsksTheEngine(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r := e.open(t)
	for name, c := range map[string]struct{ indices, template, want string }{
		"good":                {"books-*", `{"query":{"match":{"title":{"$param":"q"}}}}`, ""},
		"none yet":            {"later-*", `{}`, ""},
		"no such index":       {"books-old,nowhere", `{}`, "no such index"},
		"no such parameter":   {"books-old", `{"query":{"match":{"title":{"$param":"x"}}}}`, "/search/body/query/match/title/$param"},
		"the engine says why": {"books-old", `{"aggs":{"x":{"date_histogram":{"field":"at","calendar_interval":"eon"}}}}`, "calendar_interval"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := r.Check(t.Context(), e.question(c.indices, c.template, `{}`).Config, []string{"q"})
			var refused *domain.Error
			switch {
			case c.want == "" && err != nil:
				t.Error(err, errors.Unwrap(err))
			case c.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
