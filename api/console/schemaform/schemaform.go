// Package schemaform makes a form of a JSON Schema, and JSON of what was
// written into it.
//
//	schema ── New ──▶ Form ── Fill(example) ──▶ fields with values ──▶ HTML
//	                   ▲                                                │
//	   JSON ◀── Read ──┴──────────────── what came back ◀───────────────┘
//
// Texts, numbers, choices, yes and no, dates, lists of scalars and objects of
// one level have fields of their own. All else that a schema may say of a
// property is a field for JSON. Nothing is checked here: what was written goes
// to whoever has the schema, as near to its types as it can be read, and what
// is wrong about it comes back by the field's Pointer.
package schemaform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Kind is how a field is shown.
type Kind string

// The kinds of fields.
const (
	Text    Kind = "text"
	Number  Kind = "number"
	Choice  Kind = "choice"  // one of Options
	Boolean Kind = "boolean" // yes or no, or neither if it is not required
	Date    Kind = "date"
	List    Kind = "list"  // scalars, one a line
	Group   Kind = "group" // Fields
	JSON    Kind = "json"  // anything, as JSON
)

// Form is the fields of an object.
type Form struct {
	Fields []*Field
	// Bare says that the schema names no properties: only JSON can be written.
	Bare bool
}

// Field is one property.
type Field struct {
	// Pointer is the property's place (RFC 6901), and its name in the form.
	Pointer     string
	Label       string // its title, or its name
	Description string
	Kind        Kind
	Required    bool
	Options     []string // JSON texts, of a choice
	Integer     bool     // of a number
	Min, Max    string   // of a number; empty: none
	MaxLength   int      // of a text; 0: none
	Format      string   // of a text, such as date-time; empty: none
	Example     string   // such a value, as it would be written; empty: none
	Value       string   // what is written
	Fields      []*Field // of a group

	name   string
	scalar string // what the lines of a list are; of a text: string
}

// node is what a form reads of a schema.
type node struct {
	Type        json.RawMessage   `json:"type"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Properties  json.RawMessage   `json:"properties"`
	Required    []string          `json:"required"`
	Enum        []json.RawMessage `json:"enum"`
	Const       json.RawMessage   `json:"const"`
	Default     json.RawMessage   `json:"default"`
	Examples    []json.RawMessage `json:"examples"`
	Minimum     json.Number       `json:"minimum"`
	Maximum     json.Number       `json:"maximum"`
	MaxLength   int               `json:"maxLength"`
	Format      string            `json:"format"`
	Items       json.RawMessage   `json:"items"`
	// What no field can show.
	Ref   json.RawMessage `json:"$ref"`
	OneOf json.RawMessage `json:"oneOf"`
	AnyOf json.RawMessage `json:"anyOf"`
	AllOf json.RawMessage `json:"allOf"`
}

// New makes a form of a schema of an object, whose place is prefix.
func New(schema json.RawMessage, prefix string) (*Form, error) {
	var root node
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, fmt.Errorf("read the schema of a form: %w", err)
	}
	fields, err := fieldsOf(root, prefix, 0)
	if err != nil {
		return nil, err
	}
	f := &Form{Fields: fields, Bare: len(fields) == 0}
	if len(root.Examples) > 0 {
		f.each(root.Examples[0], func(field *Field, value json.RawMessage) { field.example(value) })
	}
	return f, nil
}

// fieldsOf makes fields of an object's properties: those that are required
// first, else in the order of the schema.
func fieldsOf(of node, prefix string, depth int) ([]*Field, error) {
	names, properties, err := members(of.Properties)
	if err != nil {
		return nil, err
	}
	var fields []*Field
	for _, name := range names {
		field, err := fieldOf(name, properties[name], prefix, depth)
		if err != nil {
			return nil, err
		}
		field.Required = slices.Contains(of.Required, name)
		fields = append(fields, field)
	}
	slices.SortStableFunc(fields, func(a, b *Field) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return fields, nil
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func fieldOf(name string, schema json.RawMessage, prefix string, depth int) (*Field, error) {
	f := &Field{Pointer: prefix + "/" + escape.Replace(name), Label: name, name: name, Kind: JSON}
	var n node
	if err := json.Unmarshal(schema, &n); err != nil {
		return f, nil //nolint:nilerr // true and false are schemas too: anything may be written
	}
	if n.Title != "" {
		f.Label = n.Title
	}
	f.Description, f.Format, f.MaxLength, f.Min, f.Max = n.Description, n.Format, n.MaxLength, n.Minimum.String(), n.Maximum.String()
	typ := n.typ()
	switch {
	case n.Ref != nil, n.OneOf != nil, n.AnyOf != nil, n.AllOf != nil:
	case n.Const != nil:
		f.Kind, f.Options = Choice, []string{string(n.Const)}
	case len(n.Enum) > 0:
		f.Kind = Choice
		for _, option := range n.Enum {
			f.Options = append(f.Options, string(option))
		}
	case typ == "string" && n.Format == "date":
		f.Kind, f.scalar = Date, typ
	case typ == "string":
		f.Kind, f.scalar = Text, typ
	case typ == "integer", typ == "number":
		f.Kind, f.Integer = Number, typ == "integer"
	case typ == "boolean":
		f.Kind = Boolean
	case typ == "array":
		f.listOf(n.Items)
	case typ == "object" && depth == 0:
		inner, err := fieldsOf(n, f.Pointer, depth+1)
		if err != nil {
			return nil, err
		}
		if len(inner) > 0 {
			f.Kind, f.Fields = Group, inner
		}
	}
	if n.Default != nil {
		f.fill(n.Default)
	}
	if len(n.Examples) > 0 {
		f.example(n.Examples[0])
	}
	return f, nil
}

func (f *Field) listOf(items json.RawMessage) {
	var n node
	if err := json.Unmarshal(items, &n); err != nil || n.Ref != nil || n.OneOf != nil || n.AnyOf != nil || n.AllOf != nil {
		return
	}
	switch n.typ() {
	case "string", "integer", "number", "boolean":
		f.Kind, f.scalar = List, n.typ()
	}
}

// typ is the one type that a schema allows, beside null; empty: several, or any.
func (n node) typ() string {
	var one string
	if json.Unmarshal(n.Type, &one) == nil {
		return one
	}
	var several []string
	if json.Unmarshal(n.Type, &several) != nil {
		return ""
	}
	several = slices.DeleteFunc(several, func(s string) bool { return s == "null" })
	if len(several) != 1 {
		return ""
	}
	return several[0]
}

// members reads an object and the order of its names.
func members(object json.RawMessage) (names []string, of map[string]json.RawMessage, err error) {
	if len(object) == 0 {
		return nil, nil, nil
	}
	of = map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, fmt.Errorf("%.40s is no object", object)
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("read an object: %w", err)
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, nil, fmt.Errorf("read an object: %w", err)
		}
		names, of[name] = append(names, name), value
	}
	return names, of, nil
}
