package schema

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of an event's data that is decoded. It is that
// of a line (bundle format 1), which encloses it.
const maxDepth = 64

// decodeData decodes one JSON object for the validator. Members of the object
// for which skip is true stand in it as null: they are read to their end, and
// must be JSON, but nothing of them is kept, not even the names to find one
// twice. A line of the log is held to that before it comes here, and the names
// of an answer of 16 MiB would take ten times as much.
func decodeData(data []byte, skip func(member string) bool) (map[string]any, error) {
	d := newDecoder(data, maxDepth, number)
	defer d.free()
	if d.PeekKind() != '{' {
		return nil, errors.New("it begins otherwise")
	}
	object, err := d.object(skip)
	if err != nil {
		return nil, err
	}
	if d.InputOffset() != int64(len(data)) {
		return nil, errors.New("something follows it")
	}
	return object, nil
}

// decoder is strict: duplicate names and invalid UTF-8 are errors.
type decoder struct {
	*jsontext.Decoder
	depth  int
	number func(text string) (any, error)
}

// decoders are kept for whoever reads next: to make one costs as much as to
// read what most requests hold.
var decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(nothing) }}

var nothing = bytes.NewReader(nil)

// newDecoder gives a decoder of data, to be freed when it was read.
func newDecoder(data []byte, depth int, number func(string) (any, error)) decoder {
	d := decoders.Get().(*jsontext.Decoder)
	d.Reset(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)) // object looks for them
	return decoder{d, depth, number}
}

// free lets go of the data; what was decoded holds none of it.
func (d decoder) free() {
	d.Reset(nothing)
	decoders.Put(d.Decoder)
}

var errTwice = errors.New("it has two members of one name")

// boundError is the refusal of JSON that is well formed but goes too far.
type boundError struct{ error }

func (d decoder) object(skip func(string) bool) (map[string]any, error) {
	object := make(map[string]any, 8)
	return object, d.each(func() error {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		if _, twice := object[key]; twice {
			return errTwice
		}
		if skip != nil && skip(key) {
			object[key] = nil
			return d.SkipValue()
		}
		object[key], err = d.value()
		return err
	})
}

func (d decoder) array() ([]any, error) {
	list := []any{}
	return list, d.each(func() error {
		v, err := d.value()
		list = append(list, v)
		return err
	})
}

// each calls do for every element of the object or array that comes next.
func (d decoder) each(do func() error) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if d.StackDepth() > d.depth {
		return boundError{fmt.Errorf("must not be nested deeper than %d", d.depth)}
	}
	for k := d.PeekKind(); k != '}' && k != ']'; k = d.PeekKind() {
		if err := do(); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func (d decoder) value() (any, error) {
	switch d.PeekKind() {
	case '{':
		return d.object(nil)
	case '[':
		return d.array()
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '"':
		return t.String(), nil
	case '0':
		return d.number(t.String())
	case 't', 'f':
		return t.Bool(), nil
	default:
		return nil, nil
	}
}

// number gives the validator a machine number: an unbounded exponent would
// keep it busy for minutes.
func number(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("a number of %d characters is out of range", len(text))
	}
	return f, nil
}
