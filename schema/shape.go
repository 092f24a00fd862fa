package schema

import (
	"math"
	"math/big"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// shape is a schema in a form that says yes at a small part of the library's
// cost, and never no:
//
//	Check ─▶ shape ── accepts ─▶ nothing is wrong
//	           └──── does not ─▶ the library ─▶ what is wrong, or nothing
//
// It knows the words that most parameters are described with. Whatever else a
// schema says, of a value or of one of its members, makes a shape that accepts
// nothing there; so does a number that is no machine integer. That it accepts
// only what the library accepts is held by a fuzz test. The zero value accepts
// nothing.
type shape struct {
	kinds      kinds
	format     *jsonschema.Format // nil: any
	enum       []string           // nil: any; else only these texts
	pattern    jsonschema.Regexp  // nil: any
	length     bounds             // of a text, in characters
	number     bounds
	items      *shape // nil: any
	count      bounds // of items
	required   []string
	properties map[string]*shape
	closed     bool // has no members but properties
}

// shapeOf returns the shape of a compiled schema.
func shapeOf(s *jsonschema.Schema) *shape {
	if saysMore(s) || s.Bool != nil && !*s.Bool {
		return &shape{}
	}
	q := &shape{kinds: kindsOf(s.Types), format: s.Format, pattern: s.Pattern,
		length: bounds{most: math.MaxInt64}.within(s.MinLength, s.MaxLength),
		count:  bounds{most: math.MaxInt64}.within(s.MinItems, s.MaxItems),
		number: numbers(s.Minimum, s.Maximum), required: s.Required}
	if s.Enum != nil {
		q.enum = []string{}
		for _, v := range s.Enum.Values {
			if text, ok := v.(string); ok {
				q.enum = append(q.enum, text)
			}
		}
	}
	if s.Items2020 != nil {
		q.items = shapeOf(s.Items2020)
	}
	q.properties = make(map[string]*shape, len(s.Properties))
	for name, member := range s.Properties {
		q.properties[name] = shapeOf(member)
	}
	switch more := s.AdditionalProperties.(type) {
	case nil:
	case bool:
		q.closed = !more
	default:
		return &shape{}
	}
	return q
}

// known are the words of a schema that a shape knows, and those that bind nobody.
var known = []string{
	"Bool", "Types", "Format", "Enum", "Pattern", "MinLength", "MaxLength", "Minimum", "Maximum", "MinItems", "MaxItems", "Items2020",
	"Required", "Properties", "AdditionalProperties",
	"DraftVersion", "Location", "Title", "Description", "Default", "Comment", "ReadOnly", "WriteOnly", "Examples", "Deprecated",
}

// saysMore asks for all that a schema can say, so that a word which a later
// version of the library adds is never passed over.
func saysMore(s *jsonschema.Schema) bool {
	for field, value := range reflect.ValueOf(*s).Fields() {
		if field.IsExported() && !value.IsZero() && !slices.Contains(known, field.Name) {
			return true
		}
	}
	return s.DraftVersion != 2020
}

// kinds is a set of JSON's types.
type kinds uint8

const (
	ofNull kinds = 1 << iota
	ofBool
	ofInteger
	ofText
	ofArray
	ofObject
	ofAll = ofNull | ofBool | ofInteger | ofText | ofArray | ofObject
)

var kindNames = map[string]kinds{"null": ofNull, "boolean": ofBool, "integer": ofInteger, "number": ofInteger,
	"string": ofText, "array": ofArray, "object": ofObject}

func kindsOf(types *jsonschema.Types) kinds {
	if types == nil || types.IsEmpty() {
		return ofAll
	}
	var k kinds
	for _, name := range types.ToStrings() {
		k |= kindNames[name]
	}
	return k
}

// bounds are inclusive.
type bounds struct{ least, most int64 }

func (b bounds) within(least, most *int) bounds {
	if least != nil {
		b.least = int64(*least)
	}
	if most != nil {
		b.most = int64(*most)
	}
	return b
}

// numbers are the integers between two fractions; nil: no bound. Where a bound
// is itself no machine integer, there are none.
func numbers(least, most *big.Rat) bounds {
	b := bounds{math.MinInt64, math.MaxInt64}
	for from, to := range map[*big.Rat]*int64{least: &b.least, most: &b.most} {
		switch {
		case from == nil:
		case from.IsInt() && from.Num().IsInt64():
			*to = from.Num().Int64()
		default:
			return bounds{1, 0}
		}
	}
	return b
}

func (b bounds) hold(n int64) bool { return b.least <= n && n <= b.most }

// accepts reports whether a value that was read strictly surely satisfies the
// schema.
func (q *shape) accepts(value any) bool {
	if q.format != nil && q.format.Validate(value) != nil {
		return false
	}
	if text, ok := value.(string); ok {
		return q.kinds&ofText != 0 && q.acceptsText(text)
	}
	if q.enum != nil {
		return false
	}
	switch v := value.(type) {
	case nil:
		return q.kinds&ofNull != 0
	case bool:
		return q.kinds&ofBool != 0
	case int64:
		return q.kinds&ofInteger != 0 && q.number.hold(v)
	case []any:
		return q.kinds&ofArray != 0 && q.acceptsItems(v)
	case map[string]any:
		return q.kinds&ofObject != 0 && q.acceptsMembers(v)
	default:
		return false
	}
}

func (q *shape) acceptsText(text string) bool {
	return q.length.hold(int64(utf8.RuneCountInString(text))) &&
		(q.enum == nil || slices.Contains(q.enum, text)) &&
		(q.pattern == nil || q.pattern.MatchString(text))
}

func (q *shape) acceptsItems(items []any) bool {
	return q.count.hold(int64(len(items))) && (q.items == nil ||
		!slices.ContainsFunc(items, func(item any) bool { return !q.items.accepts(item) }))
}

func (q *shape) acceptsMembers(object map[string]any) bool {
	for _, name := range q.required {
		if _, there := object[name]; !there {
			return false
		}
	}
	for name, value := range object {
		member, named := q.properties[name]
		if !named && q.closed || named && !member.accepts(value) {
			return false
		}
	}
	return true
}
