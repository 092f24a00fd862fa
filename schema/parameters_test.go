package schema_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/schema"
)

const country = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
	"required": ["country", "n"],
	"properties": {
		"country": {"type": "string", "pattern": "^[A-Z]{2}$"},
		"n": {"type": "integer", "minimum": 1, "maximum": 100},
		"since": {"type": "string", "format": "date"},
		"a/b~c": {"$ref": "#/$defs/deep"},
		"either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
		"never": false
	},
	"$defs": {"deep": {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "boolean"}}}}},
	"examples": [{"country": "CH", "n": 3}, {"country": "IS", "n": 1, "since": "2026-01-31"}]}`

func compile(t *testing.T, raw string) *schema.Parameters {
	t.Helper()
	p, err := schema.CompileParameters(json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParametersNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := compile(t, country)
	for name, c := range map[string]struct {
		params string
		want   []string // pointer, space, beginning of the detail
	}{
		"valid":           {`{"country":"CH","n":1.0}`, nil},
		"missing":         {`{}`, []string{"/params/country is required", "/params/n is required"}},
		"unknown":         {`{"country":"CH","n":1,"z":0,"y":0}`, []string{"/params/y is not a known", "/params/z is not a known"}},
		"type":            {`{"country":7,"n":1}`, []string{"/params/country must be string, not number"}},
		"pattern":         {`{"country":"ch","n":1}`, []string{"/params/country must match ^[A-Z]{2}$"}},
		"maximum":         {`{"country":"CH","n":101}`, []string{"/params/n must be at most 100"}},
		"no integer":      {`{"country":"CH","n":1.5}`, []string{"/params/n must be integer, not number"}},
		"format":          {`{"country":"CH","n":1,"since":"2026-02-30"}`, []string{"/params/since '2026-02-30' is not valid date"}},
		"nested, escaped": {`{"country":"CH","n":1,"a/b~c":{"x":[true,1]}}`, []string{"/params/a~1b~0c/x/1 must be boolean, not number"}},
		"a choice":        {`{"country":"CH","n":1,"either":[]}`, []string{"/params/either 'oneOf' failed"}},
		"never allowed":   {`{"country":"CH","n":1,"never":1}`, []string{"/params/never is not allowed"}},
		"not an object":   {`[]`, []string{"/params must be object, not array"}},
		"no JSON":         {`{"country":`, []string{"/params must be one JSON value"}},
		"two values":      {`{} {}`, []string{"/params must be one JSON value"}},
		"nothing":         {``, []string{"/params must be one JSON value"}},
		"a name twice":    {`{"country":"CH","n":1,"n":2}`, []string{"/params must be one JSON value"}},
		"no UTF-8":        {"{\"country\":\"\xff\"}", []string{"/params must be one JSON value"}},
		"too deep":        {strings.Repeat("[", 33) + strings.Repeat("]", 33), []string{"/params must not be nested"}},
		"a number bomb":   {`{"country":"CH","n":1e999999999}`, []string{"/params must not hold numbers"}},
		"too large":       {`{"country":"` + strings.Repeat("x", schema.MaxParameters) + `"}`, []string{"/params must be at most 64 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := p.Check([]byte(c.params), "/params")
			if !slices.EqualFunc(got, c.want, func(e domain.FieldError, want string) bool {
				return strings.HasPrefix(e.Pointer+" "+e.Detail, want)
			}) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParametersBoundWhatTheySay(t *testing.T) {
	t.Parallel()
	p := compile(t, `{"type":"object","additionalProperties":{"const":"é"}}`)
	params := map[string]string{}
	for i := range 30 {
		params[fmt.Sprintf("p%02d", i)] = strings.Repeat("é", 1000)
	}
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Check(raw, "")
	if len(got) != 20 || got[0].Pointer != "/p00" {
		t.Fatalf("%d findings, first %+v", len(got), got)
	}
	if long := compile(t, `{"type":"object","properties":{"a":{"pattern":"^x$"}}}`).Check([]byte(`{"a":"`+strings.Repeat("é", 500)+`"}`), ""); len(long) != 1 || len(long[0].Detail) > 210 {
		t.Errorf("got %q", long)
	}
}

func TestUnusableSchemasAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"no JSON":              {`{`, "must be one JSON value"},
		"no object":            {`true`, "must be a JSON object"},
		"not of type object":   {`{"type":"array"}`, "must say"},
		"of two types":         {`{"type":["object","null"]}`, "must say"},
		"without a type":       {`{}`, "must say"},
		"another draft":        {`{"type":"object","$schema":"http://json-schema.org/draft-07/schema#"}`, "draft 2020-12"},
		"a wrong keyword":      {`{"type":"object","required":"x"}`, "/required"},
		"a bad pattern":        {`{"type":"object","properties":{"a":{"pattern":"("}}}`, "/properties/a/pattern"},
		"a page":               {`{"type":"object","properties":{"a":{"$ref":"https://example.org/a.json"}}}`, "its own parts only"},
		"a file":               {`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "its own parts only"},
		"a relative file":      {`{"type":"object","$id":"file:///etc/x","properties":{"a":{"$ref":"passwd"}}}`, "its own parts only"},
		"a part it lacks":      {`{"type":"object","properties":{"a":{"$ref":"#/$defs/no"}}}`, "does not compile"},
		"a bad example":        {`{"type":"object","required":["a"],"examples":[{"a":1},{}]}`, "/examples/1/a is required"},
		"examples are no list": {`{"type":"object","examples":7}`, "examples"},
		"too large":            {`{"type":"object","title":"` + strings.Repeat("x", schema.MaxParametersSchema) + `"}`, "at most 64 KiB"},
		"too deep":             {`{"type":"object","not":` + strings.Repeat(`{"not":`, 40) + `{}` + strings.Repeat(`}`, 41), "nested"},
		"a number bomb":        {`{"type":"object","minProperties":1e999999999}`, "numbers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := schema.CompileParameters(json.RawMessage(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParametersKnowTheirNamesAndExamples(t *testing.T) {
	t.Parallel()
	p := compile(t, country)
	if got := p.Names(); !slices.Equal(got, []string{"a/b~c", "country", "either", "n", "never", "since"}) {
		t.Errorf("names %q", got)
	}
	examples := p.Examples()
	if len(examples) != 2 {
		t.Fatalf("examples %s", examples)
	}
	examples[0][0] = '!'
	if again := p.Examples(); again[0][0] != '{' {
		t.Error("a caller changed the examples")
	}
}

func TestTheCacheIsBoundedAndNeverStale(t *testing.T) {
	t.Parallel()
	cache := schema.NewParameterCache(2)
	get := func(name string, version int, raw string) *schema.Parameters {
		p, err := cache.Get(name, version, json.RawMessage(raw))
		if err != nil {
			t.Error(err)
			return nil
		}
		return p
	}
	const plain = `{"type":"object"}`
	first := get("a", 1, plain)
	if get("a", 1, plain) != first {
		t.Error("compiled twice")
	}
	if get("a", 1, `{"type":"object","required":["x"]}`).Check([]byte(`{}`), "") == nil {
		t.Error("a changed schema was taken for the old one")
	}
	if _, err := cache.Get("b", 1, json.RawMessage(`{}`)); err == nil {
		t.Error("kept a bad schema")
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { get(fmt.Sprint("c", i%5), i, plain) })
	}
	wg.Wait()
	if n := cache.Len(); n > 2 {
		t.Errorf("holds %d schemas, want at most 2", n)
	}
}

// Whatever comes is answered with findings that begin with the prefix.
func FuzzParameters(f *testing.F) {
	p, err := schema.CompileParameters(json.RawMessage(country))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{`{"country":"CH","n":1}`, `{"n":1e400}`, `[[[`, `{"a/b~c":{"x":[1]}}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		found := p.Check(params, "/params")
		if !json.Valid(params) && len(found) == 0 {
			t.Errorf("accepted %q", params)
		}
		for _, e := range found {
			if !strings.HasPrefix(e.Pointer, "/params") || e.Detail == "" {
				t.Errorf("finding %+v", e)
			}
		}
	})
}

func TestIntegersWithinBoundsAreAccepted(t *testing.T) {
	t.Parallel()
	p := compile(t, country)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-1000, 1000).Draw(t, "n")
		found := p.Check(fmt.Appendf(nil, `{"country":"CH","n":%d}`, n), "")
		if (len(found) == 0) != (n >= 1 && n <= 100) {
			t.Fatalf("%d: %v", n, found)
		}
	})
}
