package searchresponder

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/domain"
)

// filled is what is sent for a template and parameters, without what is ours.
func filled(t testing.TB, template, params string) (string, error) {
	t.Helper()
	c, err := compile([]byte(template), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.fill([]byte(params), 100, time.Second)
	if err != nil {
		return "", err
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(s.body, &sent); err != nil {
		t.Fatal(err)
	}
	for _, ours := range []string{"from", "size", "track_total_hits", "timeout"} {
		delete(sent, ours)
	}
	b, err := json.Marshal(sent)
	return string(b), err
}

func TestParametersBecomeValues(t *testing.T) {
	t.Parallel()
	const filters = `{"query":{"bool":{"must":{"match":{"title":{"query":{"$param":"q"},"operator":"and"}}},"filter":[
		{"term":{"public":true}},{"range":{"year":{"gte":{"$param":"from"},"lt":{"$param":"to"}}}},{"terms":{"lang":{"$param":"langs"}}}]}}}`
	const should = `{"query":{"bool":{"should":[{"term":{"a":{"$param":"a"}}},{"term":{"b":{"$param":"b"}}},{"term":{"c":"x"}}],"minimum_should_match":2}}}`
	for name, c := range map[string]struct{ template, params, want string }{
		"a text":                 {`{"query":{"match":{"title":{"$param":"q"}}}}`, `{"q":"war"}`, `{"query":{"match":{"title":"war"}}}`},
		"a number as it came":    {`{"query":{"term":{"n":{"$param":"q"}}}}`, `{"q":9007199254740993}`, `{"query":{"term":{"n":9007199254740993}}}`},
		"all given":              {filters, `{"q":"war","from":1900,"to":"2000","langs":["en",7]}`, `{"query":{"bool":{"must":{"match":{"title":{"query":"war","operator":"and"}}},"filter":[{"term":{"public":true}},{"range":{"year":{"gte":1900,"lt":"2000"}}},{"terms":{"lang":["en",7]}}]}}}`},
		"a bound is left out":    {filters, `{"q":"war","to":2000,"langs":null}`, `{"query":{"bool":{"must":{"match":{"title":{"query":"war","operator":"and"}}},"filter":[{"term":{"public":true}},{"range":{"year":{"lt":2000}}}]}}}`},
		"none given":             {filters, `{}`, `{"query":{"bool":{"filter":[{"term":{"public":true}}]}}}`},
		"the query is gone":      {`{"query":{"bool":{"must":[{"match":{"title":{"$param":"q"}}}],"boost":2}},"_source":false}`, `{}`, `{"_source":false}`},
		"an option is gone":      {`{"aggs":{"l":{"terms":{"field":"lang","size":{"$param":"n"}}}}}`, `{}`, `{"aggs":{"l":{"terms":{"field":"lang"}}}}`},
		"an aggregation is gone": {`{"aggs":{"y":{"histogram":{"field":"year","interval":{"$param":"n"}},"aggs":{"m":{"max":{"field":"year"}}}},"m":{"max":{"field":"year"}}}}`, `{}`, `{"aggs":{"m":{"max":{"field":"year"}}}}`},
		"a filter is gone":       {`{"aggs":{"f":{"filter":{"term":{"a":{"$param":"a"}}}}}}`, `{}`, `{}`},
		"fewer should match":     {should, `{}`, `{"query":{"bool":{"should":[{"term":{"c":"x"}}],"minimum_should_match":1}}}`},
		"as many as asked for":   {should, `{"a":1,"b":2}`, `{"query":{"bool":{"should":[{"term":{"a":1}},{"term":{"b":2}},{"term":{"c":"x"}}],"minimum_should_match":2}}}`},
		"should is gone":         {`{"query":{"bool":{"must":{"match_all":{}},"should":{"term":{"a":{"$param":"a"}}},"minimum_should_match":1}}}`, `{}`, `{"query":{"bool":{"must":{"match_all":{}}}}}`},
		"an element is gone":     {`{"query":{"terms":{"a":[{"$param":"a"},"x",{"$param":"b"}]}}}`, `{"b":1}`, `{"query":{"terms":{"a":["x",1]}}}`},
		"a list of none":         {`{"query":{"terms":{"a":{"$param":"a"}}}}`, `{"a":[]}`, `{"query":{"terms":{"a":[]}}}`},
		"a default":              {`{"query":{"terms":{"a":{"$param":"a","type":"array","default":["x"]}}},"sort":[{"year":{"$param":"way","default":"asc"}},"_score"]}`, `{"way":"desc"}`, `{"query":{"terms":{"a":["x"]}},"sort":[{"year":"desc"},"_score"]}`},
		"a sort is gone":         {`{"sort":[{"year":{"$param":"way"}},{"title":{"order":{"$param":"way"},"missing":"_last"}}]}`, `{}`, `{"sort":[{"title":{"missing":"_last"}}]}`},
		"an injection":           {`{"query":{"match":{"title":{"$param":"q"}}}}`, `{"q":"\"}},\"script\":{\"source\":\"x\"},\"a\":{\"b\":\""}`, `{"query":{"match":{"title":"\"}},\"script\":{\"source\":\"x\"},\"a\":{\"b\":\""}}}`},
		"another parameter":      {`{"query":{"match_all":{}}}`, `{"query":{"script":{}},"size":5000}`, `{"query":{"match_all":{}}}`},
		"a parameter's form":     {`{"query":{"match":{"title":{"$param":"q"}}}}`, `{"q":"{\"$param\":\"other\"}","other":"x"}`, `{"query":{"match":{"title":"{\"$param\":\"other\"}"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := filled(t, c.template, c.params)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decoded(t, c.want), decoded(t, got)); diff != "" {
				t.Errorf("%s", diff)
			}
		})
	}
}

func decoded(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	in := func(place string) string { return `{"query":` + place + `}` }
	for name, c := range map[string]struct{ template, params string }{
		"an object":                {in(`{"match":{"a":{"$param":"v"}}}`), `{"v":{"query":"x"}}`},
		"a list":                   {in(`{"term":{"a":{"$param":"v"}}}`), `{"v":["x"]}`},
		"a look-up":                {in(`{"terms":{"a":{"$param":"v"}}}`), `{"v":{"index":"secret","id":"1","path":"x"}}`},
		"a text for a list":        {in(`{"terms":{"a":{"$param":"v"}}}`), `{"v":"x"}`},
		"a list of lists":          {in(`{"terms":{"a":{"$param":"v"}}}`), `{"v":[["x"]]}`},
		"a list with null":         {in(`{"terms":{"a":{"$param":"v"}}}`), `{"v":[null]}`},
		"a list that is too long":  {in(`{"terms":{"a":{"$param":"v"}}}`), `{"v":[` + strings.Repeat("1,", maxList) + `1]}`},
		"truth for a bound":        {in(`{"range":{"a":{"lt":{"$param":"v"}}}}`), `{"v":true}`},
		"a number for a wildcard":  {in(`{"wildcard":{"a":{"$param":"v"}}}`), `{"v":1}`},
		"not the declared type":    {in(`{"match":{"a":{"$param":"v","type":"string"}}}`), `{"v":1}`},
		"a fraction for a whole":   {in(`{"match":{"a":{"$param":"v","type":"integer"}}}`), `{"v":1.5}`},
		"a size too large":         {`{"size":{"$param":"v"}}`, `{"v":1001}`},
		"a negative size":          {`{"size":{"$param":"v"}}`, `{"v":-1}`},
		"a size that is a text":    {`{"size":{"$param":"v"}}`, `{"v":"5"}`},
		"a size without end":       {`{"size":{"$param":"v"}}`, `{"v":1e999999999}`},
		"a size of many digits":    {`{"size":{"$param":"v"}}`, `{"v":1.` + strings.Repeat("0", 1000) + `}`},
		"from behind the window":   {`{"from":{"$param":"v"}}`, `{"v":10000}`},
		"too many buckets":         {`{"aggs":{"x":{"terms":{"field":"a","size":{"$param":"v"}}}}}`, `{"v":1001}`},
		"parameters that are none": {`{}`, `null`},
		"a name twice":             {`{"query":{"match":{"a":{"$param":"v"}}}}`, `{"v":"x","v":"y"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := filled(t, c.template, c.params)
			if bind := new(BindError); !errors.As(err, &bind) && !errors.Is(err, errNoObject) {
				t.Errorf("got %s (%v)", got, err)
			}
		})
	}
}

func TestOnlyWhatIsListedIsATemplate(t *testing.T) {
	t.Parallel()
	q := func(clause string) string { return `{"query":` + clause + `}` }
	for name, c := range map[string]struct{ template, pointer string }{
		"a script field":          {`{"script_fields":{"x":{"script":"1"}}}`, "/script_fields"},
		"a runtime field":         {`{"runtime_mappings":{"x":{"type":"long"}}}`, "/runtime_mappings"},
		"a script query":          {q(`{"script":{"script":"1"}}`), "/query/script"},
		"a script deep within":    {q(`{"bool":{"must":[{"match_all":{}},{"bool":{"filter":{"script":{}}}}]}}`), "/query/bool/must/1/bool/filter/script"},
		"a scored script":         {q(`{"function_score":{}}`), "/query/function_score"},
		"a query string":          {q(`{"query_string":{"query":"x"}}`), "/query/query_string"},
		"another's text":          {q(`{"more_like_this":{}}`), "/query/more_like_this"},
		"a sort by script":        {`{"sort":[{"_script":{"script":"1"}}]}`, "/sort/0/_script/script"},
		"a sort by distance":      {`{"sort":[{"_geo_distance":"asc"}]}`, "/sort/0"},
		"a sort by number":        {`{"sort":"_id"}`, "/sort"},
		"a script in an order":    {`{"sort":{"a":{"order":"asc","script":"1"}}}`, "/sort/a/script"},
		"a scripted aggregation":  {`{"aggs":{"x":{"scripted_metric":{}}}}`, "/aggs/x/scripted_metric"},
		"a script in a metric":    {`{"aggs":{"x":{"max":{"field":"a","script":"1"}}}}`, "/aggs/x/max/script"},
		"a pipeline":              {`{"aggs":{"x":{"bucket_script":{}}}}`, "/aggs/x/bucket_script"},
		"within an aggregation":   {`{"aggs":{"x":{"terms":{"field":"a"},"aggs":{"y":{"top_hits":{}}}}}}`, "/aggs/x/aggs/y/top_hits"},
		"two kinds at once":       {`{"aggs":{"x":{"terms":{"field":"a"},"max":{"field":"a"}}}}`, "/aggs/x"},
		"no kind":                 {`{"aggs":{"x":{}}}`, "/aggs/x"},
		"a look-up":               {q(`{"terms":{"a":{"index":"secret","id":"1","path":"x"}}}`), "/query/terms/a"},
		"two clauses in one":      {q(`{"match_all":{},"term":{"a":1}}`), "/query"},
		"two fields":              {q(`{"term":{"a":1,"b":2}}`), "/query/term"},
		"no field":                {q(`{"match":{}}`), "/query/match"},
		"no value":                {q(`{"match":{"a":{"operator":"and"}}}`), "/query/match/a"},
		"a range without bounds":  {q(`{"range":{"a":{"format":"yyyy"}}}`), "/query/range/a"},
		"a list as a value":       {q(`{"term":{"a":["x"]}}`), "/query/term/a"},
		"an unknown option":       {q(`{"match":{"a":{"query":"x","rewrite":"y"}}}`), "/query/match/a/rewrite"},
		"a clause by parameter":   {q(`{"$param":"q"}`), "/query"},
		"a field by parameter":    {q(`{"match":{"$param":"q"}}`), "/query/match"},
		"a field's name":          {q(`{"exists":{"field":{"$param":"q"}}}`), "/query/exists/field"},
		"fields by parameter":     {q(`{"multi_match":{"query":"x","fields":{"$param":"q"}}}`), "/query/multi_match/fields"},
		"an analyzer":             {q(`{"match":{"a":{"query":"x","analyzer":{"$param":"q"}}}}`), "/query/match/a/analyzer"},
		"the source by parameter": {`{"_source":{"$param":"q"}}`, "/_source"},
		"a sort by parameter":     {`{"sort":{"$param":"q"}}`, "/sort"},
		"an unknown parameter":    {q(`{"match":{"a":{"$param":"other"}}}`), "/query/match/a/$param"},
		"a nameless parameter":    {q(`{"match":{"a":{"$param":7}}}`), "/query/match/a/$param"},
		"an unknown type":         {q(`{"match":{"a":{"$param":"q","type":"any"}}}`), "/query/match/a/type"},
		"a type out of place":     {q(`{"match":{"a":{"$param":"q","type":"array"}}}`), "/query/match/a"},
		"a default out of place":  {`{"size":{"$param":"q","default":1001}}`, "/size/default"},
		"a default of its type":   {q(`{"match":{"a":{"$param":"q","type":"string","default":1}}}`), "/query/match/a/default"},
		"a member beside it":      {q(`{"match":{"a":{"$param":"q","script":"1"}}}`), "/query/match/a/script"},
		"another directive":       {q(`{"match":{"$when":"q"}}`), "/query/match/$when"},
		"a size too large":        {`{"size":1001}`, "/size"},
		"beyond the window":       {`{"from":9500,"size":501}`, "/size"},
		"our own members":         {`{"timeout":"1h"}`, "/timeout"},
		"a list":                  {`[]`, ""},
		"a name twice":            {`{"size":1,"size":2}`, ""},
		"too deep":                {q(strings.Repeat(`{"bool":{"must":`, 40) + `{"match_all":{}}` + strings.Repeat(`}}`, 40)), ""},
		"half of one":             {`{"query":`, ""},
		"two":                     {`{} {}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compile([]byte(c.template), []string{"q"})
			var refused *domain.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if got := refused.Fields[0].Pointer; got != "/search/body"+c.pointer {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

// TestNoValueIsMoreThanAValue: whatever is given, what is sent differs from the
// template in the one value alone.
func TestNoValueIsMoreThanAValue(t *testing.T) {
	t.Parallel()
	const template = `{"query":{"bool":{"must":[{"match":{"a":{"query":{"$param":"v"},"operator":"and"}}},{"term":{"secret":"no"}}]}},"_source":["a"]}`
	c, err := compile([]byte(template), nil)
	if err != nil {
		t.Fatal(err)
	}
	piece := rapid.SampledFrom([]string{`"`, `\`, `}`, `{`, `]`, `,`, `:`, `"}}`, `$param`, `\u0022`, "\u2028", "\x00", "<", "script", "é"})
	rapid.Check(t, func(t *rapid.T) {
		want := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "") + rapid.String().Draw(t, "text")
		want = strings.ToValidUTF8(want, "")
		params, err := json.Marshal(map[string]string{"v": want})
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.fill(params, 10, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		sent := decode(t, s.body)
		must := sent["query"].(map[string]any)["bool"].(map[string]any)["must"].([]any)
		match := must[0].(map[string]any)["match"].(map[string]any)["a"].(map[string]any)
		if match["query"] != want {
			t.Fatalf("sent %q, want %q", match["query"], want)
		}
		match["query"] = map[string]any{"$param": "v"}
		for _, ours := range []string{"from", "size", "timeout", "track_total_hits"} {
			delete(sent, ours)
		}
		if diff := cmp.Diff(decode(t, []byte(template)), sent); diff != "" {
			t.Fatal(diff)
		}
	})
}

func decode(t *rapid.T, text []byte) map[string]any {
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestASearchStaysInItsBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template, params string
		rows, from, size int
	}{
		"what the question allows": {`{}`, `{}`, 50, 0, 50},
		"the template's own":       {`{"size":20}`, `{}`, 50, 0, 20},
		"no more than allowed":     {`{"size":20}`, `{}`, 5, 0, 5},
		"never above a thousand":   {`{}`, `{}`, 5000, 0, 1000},
		"the end of the window":    {`{"from":{"$param":"f"},"size":20}`, `{"f":9990}`, 50, 9990, 10},
		"JSON's other integers":    {`{"from":{"$param":"f"},"size":{"$param":"s"}}`, `{"f":2e1,"s":5.0}`, 50, 20, 5},
		"none asked for":           {`{"size":0}`, `{}`, 50, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled, err := compile([]byte(c.template), nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := compiled.fill([]byte(c.params), c.rows, 1500*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			var sent struct {
				From, Size int
				Timeout    string
			}
			if err := json.Unmarshal(s.body, &sent); err != nil {
				t.Fatal(err)
			}
			if s.from != c.from || s.size != c.size || sent.From != c.from || sent.Size != c.size || sent.Timeout != "1500ms" {
				t.Errorf("from %d, size %d, sent %+v; want %d and %d", s.from, s.size, sent, c.from, c.size)
			}
		})
	}
}
