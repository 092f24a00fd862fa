package template

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

var errNoObject = errors.New("the parameters are no JSON object, or a name stands twice")

// part is a piece of a template. write appends it with its parameters, or
// reports that it is not given and appends nothing.
type part interface {
	write(b []byte, v Values) (out []byte, given bool, err error)
	flat() bool
}

// literal is a value without structure, as it is written.
type literal jsontext.Value

func (l literal) write(b []byte, _ Values) ([]byte, bool, error) { return append(b, l...), true, nil }
func (l literal) flat() bool                                     { return true }

type placeholder struct {
	Place
	fallback jsontext.Value // nil: none
}

func (p placeholder) write(b []byte, v Values) ([]byte, bool, error) {
	value := p.fallback
	if v.given(p.Name) {
		value = v[p.Name]
		if !p.Type.admits(value) {
			return nil, false, &ValueError{p.Name, "must be " + p.Type.described()}
		}
	}
	if value == nil {
		return b, false, nil
	}
	if len(b)+len(value) > MaxBound {
		return nil, false, &ValueError{p.Name, fmt.Sprintf("makes what is asked longer than %d KiB", MaxBound>>10)}
	}
	return append(b, value...), true, nil
}

func (p placeholder) flat() bool { return p.Type != Any }

type condition struct {
	name string
	then part
}

func (c condition) write(b []byte, v Values) ([]byte, bool, error) {
	if !v.given(c.name) {
		return b, false, nil
	}
	return c.then.write(b, v)
}

func (c condition) flat() bool { return c.then.flat() }

type array []part

func (a array) write(b []byte, v Values) ([]byte, bool, error) {
	b = append(b, '[')
	first := true
	for _, element := range a {
		if !first {
			b = append(b, ',')
		}
		out, given, err := element.write(b, v)
		if err != nil {
			return nil, false, err
		}
		b = out
		if !given && !first {
			b = b[:len(b)-1]
		}
		first = first && !given
	}
	return append(b, ']'), true, nil
}

func (a array) flat() bool {
	for _, element := range a {
		switch p := element.(type) {
		case literal:
		case placeholder:
			if p.Type == Array || p.Type == Any {
				return false
			}
		default:
			return false
		}
	}
	return true
}

type member struct {
	name  jsontext.Value // quoted
	value part
}

type object []member

func (o object) write(b []byte, v Values) ([]byte, bool, error) {
	b = append(b, '{')
	first := true
	for _, m := range o {
		before := len(b)
		if !first {
			b = append(b, ',')
		}
		b = append(append(b, m.name...), ':')
		out, given, err := m.value.write(b, v)
		if err != nil {
			return nil, false, err
		}
		b = out
		if !given {
			b = b[:before]
		}
		first = first && !given
	}
	return append(b, '}'), true, nil
}

func (o object) flat() bool { return false }

// admits reports whether a value that is given may stand where the type is.
func (t Type) admits(v jsontext.Value) bool {
	switch t {
	case Any:
		return true
	case String:
		return v.Kind() == '"'
	case Number:
		return v.Kind() == '0'
	case Integer:
		f, err := strconv.ParseFloat(string(v), 64)
		return v.Kind() == '0' && err == nil && f == math.Trunc(f)
	case Boolean:
		return v.Kind() == 't' || v.Kind() == 'f'
	case Array:
		return arrayOfPlain(v)
	default:
		return String.admits(v) || Number.admits(v) || Boolean.admits(v)
	}
}

func (t Type) described() string {
	switch t {
	case Plain:
		return "a string, a number or a boolean"
	case Array:
		return "an array of strings, numbers and booleans"
	case Integer:
		return "an integer"
	default:
		return "a " + string(t)
	}
}

// arrayOfPlain looks at the beginnings of the elements only: the value is JSON.
func arrayOfPlain(v jsontext.Value) bool {
	if v.Kind() != '[' {
		return false
	}
	elements, err := elementsOf(v)
	if err != nil {
		return false
	}
	for _, e := range elements {
		if !Plain.admits(e) {
			return false
		}
	}
	return true
}
