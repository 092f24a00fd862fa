package schemaform_test

import (
	"encoding/json"
	"testing"

	"sallyport/api/console/schemaform"
)

const schema = `{"type":"object","required":["code","tags","when"],"properties":{
	"note":{"type":["string","null"],"title":"Note","maxLength":9},
	"code":{"type":"string","description":"three letters"},
	"level":{"enum":["low","high",3]},
	"n":{"type":"integer","minimum":1,"maximum":10,"default":5},
	"exact":{"type":"boolean"},
	"when":{"type":"string","format":"date"},
	"tags":{"type":"array","items":{"type":"string"}},
	"sizes":{"type":"array","items":{"type":"number"}},
	"box":{"type":"object","required":["south"],"properties":{"south":{"type":"number"},"deep":{"type":"object","properties":{"x":{}}}}},
	"a/b~c":{"oneOf":[{"type":"string"},{"type":"number"}]}},
	"examples":[{"code":"AMS","box":{"south":1.50},"tags":["a","b"]}]}`

func form(t *testing.T) *schemaform.Form {
	t.Helper()
	f, err := schemaform.New(json.RawMessage(schema), "/params")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFields(t *testing.T) {
	t.Parallel()
	f := form(t)
	want := []struct {
		pointer  string
		kind     schemaform.Kind
		required bool
		value    string
		example  string
	}{
		{"/params/code", schemaform.Text, true, "", "AMS"},
		{"/params/when", schemaform.Date, true, "", ""},
		{"/params/tags", schemaform.List, true, "", "a\nb"},
		{"/params/note", schemaform.Text, false, "", ""},
		{"/params/level", schemaform.Choice, false, "", ""},
		{"/params/n", schemaform.Number, false, "5", ""},
		{"/params/exact", schemaform.Boolean, false, "", ""},
		{"/params/sizes", schemaform.List, false, "", ""},
		{"/params/box", schemaform.Group, false, "", ""},
		{"/params/a~1b~0c", schemaform.JSON, false, "", ""},
	}
	if len(f.Fields) != len(want) {
		t.Fatalf("%d fields", len(f.Fields))
	}
	for i, w := range want {
		got := f.Fields[i]
		if got.Pointer != w.pointer || got.Kind != w.kind || got.Required != w.required || got.Value != w.value || got.Example != w.example {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
	box := f.Fields[8].Fields
	if len(box) != 2 || box[0].Pointer != "/params/box/south" || box[0].Example != "1.50" || !box[0].Required || box[1].Kind != schemaform.JSON {
		t.Errorf("%+v", box)
	}
	if f.Fields[3].Label != "Note" || f.Fields[3].MaxLength != 9 || f.Fields[5].Min != "1" || f.Fields[5].Max != "10" || f.Fields[4].Options[2] != "3" {
		t.Errorf("%+v", f.Fields)
	}
}

// What was written becomes JSON of the types that were meant; what cannot be
// read as such goes as text, to be refused by name.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		written map[string]string
		want    string
	}{
		"nothing": {nil, `{"code":"","when":"","tags":[]}`},
		"all": {map[string]string{"/params/code": "A<S", "/params/when": "2026-01-02", "/params/tags": "x\r\n\r\n y", "/params/note": "n", "/params/level": `3`,
			"/params/n": "۱۲", "/params/exact": "true", "/params/sizes": "1.50\n2", "/params/box/south": "-3", "/params/box/deep": `{"x": 1}`, "/params/a~1b~0c": `"t"`},
			`{"code":"A<S","when":"2026-01-02","tags":["x","y"],"note":"n","level":3,"n":12,"exact":true,"sizes":[1.50,2],"box":{"south":-3,"deep":{"x": 1}},"a/b~c":"t"}`},
		"not what was meant": {map[string]string{"/params/code": "A", "/params/when": "then", "/params/tags": "x", "/params/n": "many", "/params/sizes": "big"},
			`{"code":"A","when":"then","tags":["x"],"n":"many","sizes":["big"]}`},
	} {
		f := form(t)
		got := f.Read(func(pointer string) string { return c.written[pointer] })
		if string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		again := form(t)
		again.Fill(got)
		if second := again.Read(valueOf(again)); name == "all" && string(second) != string(compact(t, got)) {
			t.Errorf("%s: filled and read again: %s", name, second)
		}
	}
}

// valueOf gives what is written in the fields.
func valueOf(f *schemaform.Form) func(string) string {
	all := map[string]string{}
	var add func([]*schemaform.Field)
	add = func(fields []*schemaform.Field) {
		for _, field := range fields {
			all[field.Pointer] = field.Value
			add(field.Fields)
		}
	}
	add(f.Fields)
	return func(pointer string) string { return all[pointer] }
}

func compact(t *testing.T, text json.RawMessage) json.RawMessage {
	t.Helper()
	// The one group's JSON field is written with its spaces.
	f := form(t)
	f.Fill(text)
	return f.Read(valueOf(f))
}

func TestSchemasWithoutFields(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`{}`, `{"type":"object"}`, `{"type":"object","properties":{}}`} {
		if f, err := schemaform.New(json.RawMessage(s), "/params"); err != nil || !f.Bare {
			t.Errorf("%s: %+v, %v", s, f, err)
		}
	}
	if _, err := schemaform.New(json.RawMessage(`[`), ""); err == nil {
		t.Error("no JSON was taken")
	}
	f, err := schemaform.New(json.RawMessage(`{"properties":{"any":true}}`), "")
	if err != nil || f.Fields[0].Kind != schemaform.JSON {
		t.Errorf("%+v, %v", f, err)
	}
}
