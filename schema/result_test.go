package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport/schema"
)

func TestAResultIsHeldAgainstItsSchema(t *testing.T) {
	t.Parallel()
	verdict := `{"type":"object","required":["verdict"],"properties":{"verdict":{"enum":["yes","no"]},"pages":{"type":"array","items":{"type":"integer"}}}}`
	for _, c := range []struct{ name, schema, result, pointer string }{
		{"fits", verdict, `{"verdict":"yes","pages":[1,2]}`, ""},
		{"lacks a member", verdict, `{}`, "/result/verdict"},
		{"has a wrong element", verdict, `{"verdict":"no","pages":[1,"x"]}`, "/result/pages/1"},
		{"a text alone", `{"type":"string","maxLength":3}`, `"abc"`, ""},
		{"nothing is good enough", `false`, `1`, "/result"},
		{"without a schema anything goes", "", `[null, 1e308, "é"]`, ""},
		{"but for U+0000", "", `{"a":["b\u0000"]}`, "/result"},
		{"also in a name", `true`, `{"\u0000":1}`, "/result"},
		{"and numbers out of range", "", `1e309`, "/result"},
		{"and a name twice", "", `{"a":1,"a":2}`, "/result"},
		{"and depth", "", strings.Repeat("[", 40) + strings.Repeat("]", 40), "/result"},
		{"and more than a mebibyte", "", `"` + strings.Repeat("x", schema.MaxResult) + `"`, "/result"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var raw json.RawMessage
			if c.schema != "" {
				raw = json.RawMessage(c.schema)
			}
			r, err := schema.CompileResult(raw)
			if err != nil {
				t.Fatal(err)
			}
			wrong := r.Check([]byte(c.result), "/result")
			if (c.pointer == "") != (len(wrong) == 0) || len(wrong) > 0 && wrong[0].Pointer != c.pointer {
				t.Errorf("found %v, want it at %q", wrong, c.pointer)
			}
		})
	}
}

func TestResultSchemasThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{`7`, `{"type":7}`, `{"$ref":"https://example.org/x"}`, `{"$schema":"http://json-schema.org/draft-07/schema#"}`,
		`{`, `"` + strings.Repeat("x", schema.MaxParametersSchema) + `"`} {
		if _, err := schema.CompileResult(json.RawMessage(raw)); err == nil {
			t.Errorf("%.40s compiles", raw)
		}
	}
}
