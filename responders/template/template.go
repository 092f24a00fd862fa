package template

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxTemplate bounds a template's text, in bytes.
	MaxTemplate = 64 << 10
	// MaxBound bounds what becomes of it, in bytes.
	MaxBound = 1 << 20
	// maxDepth bounds how deep a template is nested.
	maxDepth = 32
)

// Template is JSON with places for parameters. It is safe for concurrent use.
type Template struct {
	root   part
	places []Place
}

// Place is where a parameter stands in a template.
type Place struct {
	Pointer string // RFC 6901
	Name    string // of the parameter
	Type    Type   // empty for a `$when`
}

// Type is what a parameter must be to stand in its place.
type Type string

// The types. [Plain] is a string, a number or a boolean.
const (
	Plain   Type = "plain"
	String  Type = "string"
	Number  Type = "number"
	Integer Type = "integer"
	Boolean Type = "boolean"
	Array   Type = "array" // of plain values
	Any     Type = "any"
)

var types = []Type{Plain, String, Number, Integer, Boolean, Array, Any}

// SyntaxError says what is wrong with a template, for whoever wrote it.
type SyntaxError struct {
	Pointer string // RFC 6901; empty: the whole
	Detail  string
}

func (e *SyntaxError) Error() string {
	if e.Pointer == "" {
		return "the template " + e.Detail
	}
	return fmt.Sprintf("the template at %q %s", e.Pointer, e.Detail)
}

// ValueError says which parameter does not fit its place. It does not tell the
// value.
type ValueError struct {
	Name   string
	Detail string
}

func (e *ValueError) Error() string { return fmt.Sprintf("the parameter %q %s", e.Name, e.Detail) }

// Parse reads a template. Its error is a [*SyntaxError].
func Parse(text []byte) (*Template, error) {
	if len(text) > MaxTemplate {
		return nil, &SyntaxError{Detail: fmt.Sprintf("must be at most %d KiB", MaxTemplate>>10)}
	}
	return parse(text)
}

// Places returns where parameters stand, in the order of the text.
func (t *Template) Places() []Place { return slices.Clone(t.places) }

// Flat reports whether the template is an object whose members are plain values,
// or arrays of such, whatever the parameters are.
func (t *Template) Flat() bool {
	members, ok := t.root.(object)
	return ok && !slices.ContainsFunc(members, func(m member) bool { return !m.value.flat() })
}

// Bind returns the template with the parameters in their places, as JSON without
// space. Its error is a [*ValueError].
func (t *Template) Bind(v Values) (json.RawMessage, error) {
	out, given, err := t.root.write(nil, v)
	if err != nil {
		return nil, err
	}
	if !given {
		return json.RawMessage("null"), nil
	}
	return out, nil
}

// Values are a request's parameters by their names.
type Values map[string]jsontext.Value

// ReadValues takes a JSON object apart. Names that stand twice are refused, and
// the error quotes nothing.
func ReadValues(params json.RawMessage) (Values, error) {
	object := jsontext.Value(slices.Clone(params))
	if !object.IsValid() { // strict: no name twice
		return nil, errNoObject
	}
	if err := object.Compact(); err != nil || object.Kind() != '{' {
		return nil, errNoObject
	}
	var v Values
	if err := json.Unmarshal(object, &v); err != nil {
		return nil, errNoObject
	}
	return v, nil
}

// given reports whether a parameter has a value other than null.
func (v Values) given(name string) bool {
	value, ok := v[name]
	return ok && value.Kind() != 'n'
}
