package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/internal/dataset"
	"sallyport/schema"
)

// plain are schemas a shape knows all words of, each with parameters that it
// accepts and some that the library is left to refuse.
var plain = []struct {
	schema    string
	good, bad []string
}{
	{`{"type":"object"}`, []string{`{}`, `{"x":1}`, `{"x":[{"y":null}]}`}, []string{`[]`, `1`, `null`}},
	{`{"type":"object","additionalProperties":false}`, []string{`{}`}, []string{`{"x":1}`}},
	{`{"type":"object","required":["x"],"properties":{"x":{}}}`, []string{`{"x":null}`, `{"x":true}`, `{"x":"","y":1}`}, []string{`{}`, `{"y":1}`}},
	{`{"type":"object","properties":{"x":{"type":["string","null"],"minLength":1,"maxLength":2}}}`,
		[]string{`{"x":"é"}`, `{"x":"éé"}`, `{"x":null}`}, []string{`{"x":""}`, `{"x":"ééé"}`, `{"x":1}`, `{"x":true}`, `{"x":{}}`}},
	{`{"type":"object","properties":{"x":{"type":"string","pattern":"^[A-Z]{3}$","description":"three letters"}}}`, []string{`{"x":"AMS"}`}, []string{`{"x":"ams"}`, `{"x":"AMS\n"}`}},
	{`{"type":"object","properties":{"x":{"type":"string","format":"date"}}}`, []string{`{"x":"2026-01-31"}`}, []string{`{"x":"2026-02-30"}`}},
	{`{"type":"object","properties":{"x":{"enum":["a","b"],"default":"a"}}}`, []string{`{"x":"a"}`, `{"x":"b"}`}, []string{`{"x":"c"}`, `{"x":1}`, `{"x":null}`}},
	{`{"type":"object","properties":{"x":{"type":"integer","minimum":-5,"maximum":9007199254740993}}}`,
		[]string{`{"x":-5}`, `{"x":0}`, `{"x":9007199254740993}`}, []string{`{"x":-6}`, `{"x":9007199254740994}`, `{"x":1e300}`, `{"x":0.5}`, `{"x":"0"}`}},
	{`{"type":"object","properties":{"x":{"type":"number","maximum":10}}}`, []string{`{"x":10}`, `{"x":-9223372036854775808}`}, []string{`{"x":11}`, `{"x":true}`}},
	{`{"type":"object","properties":{"x":{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}}}`,
		[]string{`{"x":[true]}`, `{"x":[true,false]}`}, []string{`{"x":[]}`, `{"x":[true,true,true]}`, `{"x":[1]}`, `{"x":{}}`}},
}

// TestShapesAccept: what is plain does not go to the library, and what is wrong
// does.
func TestShapesAccept(t *testing.T) {
	t.Parallel()
	for _, c := range plain {
		p := compile(t, c.schema)
		for _, params := range c.good {
			if !p.SurelyAccepts([]byte(params)) {
				t.Errorf("%s under %s is left to the library", params, c.schema)
			}
		}
		for _, params := range c.bad {
			if p.SurelyAccepts([]byte(params)) {
				t.Errorf("%s under %s is accepted", params, c.schema)
			}
		}
	}
	for _, typ := range dataset.RequestTypes() {
		p := compile(t, string(typ.Parameters))
		for _, params := range p.Examples() {
			if !p.SurelyAccepts(params) && !bytes.ContainsRune(params, '.') {
				t.Errorf("%s of %s is left to the library", params, typ.Name)
			}
		}
	}
}

// TestShapesLeaveMoreToTheLibrary: where a schema says what a shape does not
// know, the value there is the library's, even if it is valid; the others are not.
func TestShapesLeaveMoreToTheLibrary(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		`"multipleOf":2`, `"exclusiveMinimum":0`, `"exclusiveMaximum":9`, `"minimum":0.5`, `"maximum":8.5`, `"maximum":1e30`,
		`"const":4`, `"enum":[4]`, `"not":{"type":"string"}`, `"allOf":[{}]`, `"anyOf":[{}]`, `"oneOf":[{}]`, `"if":{}`, `"$ref":"#/$defs/d"`,
		`"$anchor":"a"`, `"uniqueItems":true`, `"contains":{}`, `"prefixItems":[{}]`, `"unevaluatedItems":{}`, `"minProperties":1`,
		`"maxProperties":1`, `"propertyNames":{}`, `"patternProperties":{"x":{}}`, `"additionalProperties":{}`, `"dependentRequired":{"a":["b"]}`,
		`"dependentSchemas":{"a":{}}`, `"unevaluatedProperties":{}`,
	} {
		p := compile(t, fmt.Sprintf(`{"type":"object","properties":{"x":{%s},"y":{}},"$defs":{"d":{}}}`, word))
		if p.SurelyAccepts([]byte(`{"x":4}`)) || p.Check([]byte(`{"x":4}`), "") != nil {
			t.Errorf("%s: 4 is accepted without the library, or refused by it", word)
		}
		if !p.SurelyAccepts([]byte(`{"y":4}`)) {
			t.Errorf("%s: what it does not speak of goes to the library", word)
		}
	}
}

// FuzzShapes holds Check to the library's own verdict.
func FuzzShapes(f *testing.F) {
	for _, c := range plain {
		for _, params := range append(c.good, c.bad...) {
			f.Add(c.schema, params)
		}
	}
	f.Add(country, `{"country":"CH","n":1.0,"a/b~c":{"x":[true]},"either":1}`)
	f.Fuzz(func(t *testing.T, raw, params string) {
		p, err := schema.CompileParameters(json.RawMessage(raw))
		if err != nil || !p.SurelyAccepts([]byte(params)) {
			t.Skip()
		}
		if err := library(t, raw).Validate(value(t, params)); err != nil {
			t.Errorf("%s is accepted under %s, and the library says %v", params, raw, err)
		}
	})
}

func library(t *testing.T, raw string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("urn:test", value(t, raw)); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("urn:test")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func value(t *testing.T, raw string) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func BenchmarkCheck(b *testing.B) {
	p, err := schema.CompileParameters(json.RawMessage(country))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if wrong := p.Check([]byte(`{"country":"CH","n":50}`), "/params"); wrong != nil {
			b.Fatal(wrong)
		}
	}
}
