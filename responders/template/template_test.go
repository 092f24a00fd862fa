package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/responders/template"
)

func values(t testing.TB, params string) template.Values {
	t.Helper()
	v, err := template.ReadValues([]byte(params))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ template, params, want string }{
		{`{"term":{"city":{"$param":"city"}}}`, `{"city":"x\"}},{\"match_all\":{"}`, `{"term":{"city":"x\"}},{\"match_all\":{"}}`},
		{` { "a" : [ 1.50 , "<é\u0041>" , null ] } `, `{}`, `{"a":[1.50,"<é\u0041>",null]}`},
		{`{"n":{"$param":"n","type":"number"}}`, `{"n":12345678901234567890.10}`, `{"n":12345678901234567890.10}`},
		{`{"$param":"list","type":"array"}`, `{"list": [1, "a", true]}`, `[1,"a",true]`},
		{`{"$param":"x","type":"any"}`, `{"x":{"a": {"$param":"y"}},"y":1}`, `{"a":{"$param":"y"}}`},
		// Not given: absent or null; it leaves with its member or element.
		{`[{"$param":"a"},{"$param":"b"},3,{"$param":"a"}]`, `{"b":2}`, `[2,3]`},
		{`[{"$param":"a"},{"$param":"a"}]`, `{"a":null}`, `[]`},
		{`{"a":{"$param":"a"},"b":{"$param":"b"},"c":{"$param":"a"}}`, `{"b":false}`, `{"b":false}`},
		{`{"$param":"a"}`, `{}`, `null`},
		{`{"a":{"$param":"a","default":[1, 2],"type":"array"}}`, `{"a":null}`, `{"a":[1,2]}`},
		{`{"a":{"$param":"a","default":5}}`, `{"a":6}`, `{"a":6}`},
		{`{"f":[{"$when":"a","then":{"term":{"a":{"$param":"a"}}}},{"$when":"b","then":{"term":{"b":{"$param":"b"}}}}]}`, `{"b":"x"}`, `{"f":[{"term":{"b":"x"}}]}`},
		{`{"$$param":"a","$$":1,"$$$x":2}`, `{"a":1}`, `{"$param":"a","$":1,"$$x":2}`},
	} {
		parsed, err := template.Parse([]byte(c.template))
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		got, err := parsed.Bind(values(t, c.params))
		if err != nil || string(got) != c.want {
			t.Errorf("%s with %s: %s (%v), want %s", c.template, c.params, got, err, c.want)
		}
	}
}

func TestAParameterMustBeOfItsType(t *testing.T) {
	t.Parallel()
	given := map[string]string{"string": `"1"`, "number": `-1.5`, "integer": `-15e2`, "boolean": `false`, "array": `["a",1,true]`, "object": `{"script":1}`, "nested": `[["hunter2"]]`, "objects": `[{"hunter2":1}]`, "nulls": `[null]`}
	admits := map[template.Type]string{"": "string number integer boolean", template.Plain: "string number integer boolean", template.String: "string", template.Number: "number integer", template.Integer: "integer",
		template.Boolean: "boolean", template.Array: "array", template.Any: "string number integer boolean array object nested objects nulls"}
	for kind, admitted := range admits {
		text := fmt.Sprintf(`{"q":{"$param":"p","type":%q}}`, kind)
		if kind == "" {
			text = `{"q":{"$param":"p"}}`
		}
		parsed, err := template.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range given {
			got, err := parsed.Bind(values(t, `{"p":`+value+`}`))
			if strings.Contains(" "+admitted+" ", " "+name+" ") {
				if err != nil || string(got) != `{"q":`+value+`}` {
					t.Errorf("%q: %s: %s, %v", kind, name, got, err)
				}
				continue
			}
			var wrong *template.ValueError
			if !errors.As(err, &wrong) || wrong.Name != "p" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %s: %s, %v", kind, name, got, err)
			}
		}
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	for text, pointer := range map[string]string{
		``: "", `{`: "", `{} {}`: "", `{"a":1,"a":2}`: "", `{"a":[1,{"b":tru}]}`: "/a/1/b", "\"\xff\"": "",
		`{"a":{"$param":1}}`: "/a/$param", `{"a":{"$param":"x","type":"int"}}`: "/a/type", `{"$param":"x","type":"string","default":1}`: "/default",
		`{"a":{"b":1,"$param":"x"}}`: "/a/$param", `{"a":{"$parm":"x"}}`: "/a/$parm", `{"$param":"x","extra":1}`: "/extra",
		`{"$when":"x"}`: "", `{"$when":"x","else":1}`: "/else", `{"$when":"x","then":1,"else":1}`: "/then",
		strings.Repeat("[", 40): strings.Repeat("/0", 32), `"` + strings.Repeat("x", template.MaxTemplate) + `"`: "",
	} {
		_, err := template.Parse([]byte(text))
		var wrong *template.SyntaxError
		if !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Pointer, pointer) {
			t.Errorf("%.40s: %v, want it refused at %s", text, err, pointer)
		}
	}
}

func TestWhatComesOutIsBounded(t *testing.T) {
	t.Parallel()
	parsed, err := template.Parse([]byte(`[` + strings.TrimSuffix(strings.Repeat(`{"$param":"x"},`, 100), ",") + `]`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Bind(values(t, `{"x":"`+strings.Repeat("x", 64<<10)+`"}`)); !errors.As(err, new(*template.ValueError)) {
		t.Errorf("bound: %v", err)
	}
}

func TestPlacesAreKnown(t *testing.T) {
	t.Parallel()
	parsed, err := template.Parse([]byte(`{"a/b":[{"$param":"x"}],"c":{"$when":"y","then":{"$param":"z","type":"array"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "[{/a~1b/0 x plain} {/c y } {/c/then z array}]"
	if got := fmt.Sprint(parsed.Places()); got != want || !parsed.Flat() {
		t.Errorf("got %s, flat %t; want %s", got, parsed.Flat(), want)
	}
	for _, text := range []string{`[1]`, `{"$param":"x"}`, `{"a":{}}`, `{"a":[[1]]}`, `{"a":{"$param":"x","type":"any"}}`, `{"a":[{"$param":"x","type":"array"}]}`} {
		if parsed, err := template.Parse([]byte(text)); err != nil || parsed.Flat() {
			t.Errorf("%s is flat (%v)", text, err)
		}
	}
}

func TestParametersThatAreNoObject(t *testing.T) {
	t.Parallel()
	for _, params := range []string{``, `hunter2`, `["hunter2"]`, `{"a":hunter2}`, `{"hunter2":1,"hunter2":2}`, `null`, "{\"a\":\"\xff\"}"} {
		if _, err := template.ReadValues([]byte(params)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", params, err)
		}
	}
}

// anyText draws strings that mean something to somebody.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"..", ".", "/", "%2f", "%2e%2e", "%252f", "..;", "?a=b", "#x", `\`, "\x00", "a\r\nHost: b", `"}`, `{"$param":"x"}`, "{x}", "é", "%", "100%", "a b"}))
}

// Whatever a parameter is, it comes out as the value that it was, in its place.
func TestValuesStayValues(t *testing.T) {
	t.Parallel()
	parsed, err := template.Parse([]byte(`{"q":[{"t":{"$param":"p"}},{"$param":"l","type":"array"}],"end":1}`))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		p, l := anyText().Draw(t, "p"), rapid.SliceOf(anyText()).Draw(t, "l")
		params, err := json.Marshal(map[string]any{"p": p, "l": l})
		if err != nil {
			t.Fatal(err)
		}
		v, err := template.ReadValues(params)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parsed.Bind(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(map[string]any{"q": []any{map[string]any{"t": p}, l}, "end": 1})
		if err != nil {
			t.Fatal(err)
		}
		if canonical(t, got) != canonical(t, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func canonical(t interface{ Fatal(...any) }, text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// FuzzParse looks for templates that make something else than JSON, or that are
// not what they were once they were written without parameters.
func FuzzParse(f *testing.F) {
	for _, text := range []string{`{"a":{"$param":"x"}}`, `{"$when":"y","then":[1,{"$param":"x","default":2}]}`, `{"$$param":1}`} {
		f.Add([]byte(text), []byte(`{"x":"1"}`))
	}
	f.Fuzz(func(t *testing.T, text, params []byte) {
		parsed, err := template.Parse(text)
		if err != nil {
			if !errors.As(err, new(*template.SyntaxError)) {
				t.Fatalf("%v (%T)", err, err)
			}
			return
		}
		v, err := template.ReadValues(params)
		if err != nil {
			return
		}
		bound, err := parsed.Bind(v)
		if err != nil {
			if !errors.As(err, new(*template.ValueError)) {
				t.Fatalf("%v (%T)", err, err)
			}
			return
		}
		if _, err := template.ReadValues([]byte(`{"it":` + string(bound) + `}`)); err != nil {
			t.Fatalf("%s with %s makes %s", text, params, bound)
		}
		if len(parsed.Places()) == 0 && !strings.Contains(string(text), "$") && canonical(t, bound) != canonical(t, text) {
			t.Fatalf("%s became %s", text, bound)
		}
	})
}

func TestFuzzCorpusIsThere(t *testing.T) {
	t.Parallel()
	seeds, err := os.ReadDir("testdata/fuzz/FuzzParse")
	if err != nil || len(seeds) < 5 {
		t.Fatalf("%d seeds, %v", len(seeds), err)
	}
}
