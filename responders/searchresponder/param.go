package searchresponder

import (
	"fmt"
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// takes says which values a place takes.
type takes struct {
	text, number, boolean, list bool
	// whole numbers only, from least to most; most 0: of any size.
	whole       bool
	least, most int64
}

var (
	plain  = takes{text: true, number: true, boolean: true}
	amount = takes{text: true, number: true}
	listed = takes{list: true}
	words  = takes{text: true}
	number = takes{number: true}
	truth  = takes{boolean: true}
)

func whole(least, most int64) takes {
	return takes{number: true, whole: true, least: least, most: most}
}

// declared are the types that a parameter may have.
var declared = map[string]takes{
	"string": words, "number": number, "integer": {number: true, whole: true}, "boolean": truth, "array": listed,
}

// maxList bounds a list that is a parameter's value: the engines take no more
// clauses than that.
const maxList = 1024

// fits reports whether a value is one that the place takes.
func (t takes) fits(v jsontext.Value) bool {
	switch v.Kind() {
	case '"':
		return t.text
	case 't', 'f':
		return t.boolean
	case '0':
		return t.number && (!t.whole || t.inRange(v))
	case '[':
		return t.list && plainList(v)
	default:
		return false
	}
}

func (t takes) inRange(v jsontext.Value) bool {
	n, ok := wholeNumber(v)
	return ok && (t.most == 0 || n >= t.least && n <= t.most)
}

// maxDigits bounds a number's text before it is computed with.
const maxDigits = 32

// wholeNumber reads what JSON Schema calls an integer: 7, 7.0, 0.7e1.
func wholeNumber(v jsontext.Value) (int64, bool) {
	if len(v) > maxDigits {
		return 0, false
	}
	f, ok := new(big.Float).SetPrec(256).SetString(string(v))
	if !ok || !f.IsInt() {
		return 0, false
	}
	n, exact := f.Int64()
	return n, exact == big.Exact
}

func plainList(v jsontext.Value) bool {
	var elements []jsontext.Value
	if json.Unmarshal(v, &elements) != nil || len(elements) > maxList {
		return false
	}
	for _, e := range elements {
		if !plain.fits(e) {
			return false
		}
	}
	return true
}

// param is a parameter in the place of a value.
type param struct {
	name     string
	typ      *takes         // as declared; nil: not
	fallback jsontext.Value // nil: none
	place    takes
}

// BindError is a parameter's value that does not fit its place. It does not
// hold the value.
type BindError struct{ Name string }

func (e *BindError) Error() string {
	return fmt.Sprintf("the value of the parameter %q does not fit this request type's query", e.Name)
}

// bind returns the value that a request gives, or else the default; nil: none.
func (p *param) bind(values map[string]jsontext.Value) (jsontext.Value, error) {
	v := values[p.name]
	if v == nil || v.Kind() == 'n' {
		return p.fallback, nil
	}
	if !p.accepts(v) {
		return nil, &BindError{p.name}
	}
	return v, nil
}

func (p *param) accepts(v jsontext.Value) bool {
	return p.place.fits(v) && (p.typ == nil || p.typ.fits(v))
}
