package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// parser reads one template. What it reads is strict: valid UTF-8, no name twice.
type parser struct {
	*jsontext.Decoder
	places []Place
}

func parse(text []byte) (*Template, error) {
	p := &parser{Decoder: jsontext.NewDecoder(bytes.NewReader(text))}
	root, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{Detail: "must be one JSON value"}
	}
	return &Template{root: root, places: p.places}, nil
}

func (p *parser) wrong(format string, args ...any) error {
	return &SyntaxError{Pointer: string(p.StackPointer()), Detail: fmt.Sprintf(format, args...)}
}

func (p *parser) noJSON() error { return p.wrong("is no JSON, or a name stands twice in an object") }

func (p *parser) value(depth int) (part, error) {
	if depth > maxDepth {
		return nil, p.wrong("is nested deeper than %d", maxDepth)
	}
	switch p.PeekKind() {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	default:
		v, err := p.ReadValue()
		if err != nil {
			return nil, p.noJSON()
		}
		return literal(v.Clone()), nil
	}
}

func (p *parser) array(depth int) (part, error) {
	if _, err := p.ReadToken(); err != nil {
		return nil, p.noJSON()
	}
	a := array{}
	for k := p.PeekKind(); k != ']' && k != 0; k = p.PeekKind() {
		element, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, element)
	}
	return a, p.end()
}

// end reads the end of an array or object.
func (p *parser) end() error {
	if _, err := p.ReadToken(); err != nil {
		return p.noJSON()
	}
	return nil
}

// object reads an object, or what one of the two special forms stands for: their
// first name says which.
func (p *parser) object(depth int) (part, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	o := object{}
	for k := p.PeekKind(); k != '}' && k != 0; k = p.PeekKind() {
		name, err := p.text()
		switch {
		case err != nil:
			return nil, err
		case name == "$param" && len(o) == 0:
			return p.placeholder()
		case name == "$when" && len(o) == 0:
			return p.condition(depth)
		case name == "$param" || name == "$when":
			return nil, p.wrong("must have %s as the first of its members", name)
		case strings.HasPrefix(name, "$$"):
			name = name[1:]
		case strings.HasPrefix(name, "$"):
			return nil, p.wrong("means nothing: only $param and $when do; a literal %s is written $%s", name, name)
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		quoted, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			return nil, p.noJSON()
		}
		o = append(o, member{quoted, value})
	}
	return o, p.end()
}

// text reads a string, which may be a member's name.
func (p *parser) text() (string, error) {
	t, err := p.ReadToken()
	if err != nil {
		return "", p.noJSON()
	}
	if t.Kind() != '"' {
		return "", p.wrong("must be a string")
	}
	return t.String(), nil
}

// placeholder reads what follows the name $param.
func (p *parser) placeholder() (part, error) {
	out := placeholder{Place: Place{Pointer: p.parent(), Type: Plain}}
	var err error
	if out.Name, err = p.text(); err != nil {
		return nil, err
	}
	for k := p.PeekKind(); k != '}' && k != 0; k = p.PeekKind() {
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		switch name {
		case "type":
			text, err := p.text()
			if err != nil {
				return nil, err
			}
			if out.Type = Type(text); !slices.Contains(types, out.Type) {
				return nil, p.wrong("must be one of %v", types)
			}
		case "default":
			v, err := p.ReadValue()
			if err != nil {
				return nil, p.noJSON()
			}
			out.fallback = v.Clone()
			if err := out.fallback.Compact(); err != nil {
				return nil, p.noJSON()
			}
		default:
			return nil, p.wrong("has no meaning beside $param: only type and default do")
		}
	}
	if out.fallback != nil && !out.Type.admits(out.fallback) {
		return nil, p.wrong("has a default that is not %s", out.Type.described())
	}
	p.places = append(p.places, out.Place)
	return out, p.end()
}

// condition reads what follows the name $when.
func (p *parser) condition(depth int) (part, error) {
	place := Place{Pointer: p.parent()}
	var err error
	if place.Name, err = p.text(); err != nil {
		return nil, err
	}
	p.places = append(p.places, place)
	if name, err := p.text(); err != nil || name != "then" {
		return nil, p.wrong("must have the member then beside $when, and no other")
	}
	then, err := p.value(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.PeekKind() != '}' {
		return nil, p.wrong("must have the member then beside $when, and no other")
	}
	return condition{place.Name, then}, p.end()
}

// parent is where the object stands whose member was just begun.
func (p *parser) parent() string { return string(p.StackPointer().Parent()) }

func elementsOf(v jsontext.Value) (elements []jsontext.Value, err error) {
	err = json.Unmarshal(v, &elements)
	return elements, err
}
