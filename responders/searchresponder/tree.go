package searchresponder

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds how deep a template is nested.
const maxDepth = 32

// node is one place of a template, or of what has become of it.
type node struct {
	pointer  jsontext.Pointer
	kind     jsontext.Kind // '{', '[' or a plain value's
	literal  jsontext.Value
	members  []member
	elements []*node
	param    *param // in the place of a value
	// settle sees to an object whose parameters have their values: what of it
	// cannot be without what is gone. False: the object cannot be either.
	settle func(*node) bool
}

type member struct {
	name  string
	value *node
}

// parse reads a template strictly: one JSON value, no name twice in an object.
func parse(text []byte) (*node, error) {
	p := parser{jsontext.NewDecoder(bytes.NewReader(text))}
	root, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return root, nil
}

type parser struct{ *jsontext.Decoder }

func (p parser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deep")
	}
	n := &node{kind: p.PeekKind()}
	switch n.kind {
	case '{', '[':
		if _, err := p.ReadToken(); err != nil {
			return nil, err
		}
		n.pointer = p.StackPointer()
		if err := p.inside(n, depth); err != nil {
			return nil, err
		}
		_, err := p.ReadToken()
		return n, err
	default:
		v, err := p.ReadValue()
		n.pointer, n.literal = p.StackPointer(), v.Clone()
		return n, err
	}
}

// inside reads what is between an object's or a list's ends.
func (p parser) inside(n *node, depth int) error {
	for k := p.PeekKind(); k != '}' && k != ']'; k = p.PeekKind() {
		var name string
		if n.kind == '{' {
			t, err := p.ReadToken()
			if err != nil {
				return err
			}
			name = t.String()
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if n.kind == '{' {
			n.members = append(n.members, member{name, v})
			continue
		}
		n.elements = append(n.elements, v)
	}
	return nil
}

// get returns a member's value; nil: there is none.
func (n *node) get(name string) *node {
	i := slices.IndexFunc(n.members, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return n.members[i].value
}

// drop takes a member out.
func (n *node) drop(name string) {
	n.members = slices.DeleteFunc(n.members, func(m member) bool { return m.name == name })
}

// text returns what a literal string says.
func (n *node) text() string {
	if n.kind != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, n.literal)
	if err != nil {
		return ""
	}
	return string(b)
}

// resolve returns the node with values in the place of its parameters; nil:
// nothing is left of it.
func (n *node) resolve(values map[string]jsontext.Value) (*node, error) {
	switch {
	case n.param != nil:
		v, err := n.param.bind(values)
		if v == nil || err != nil {
			return nil, err
		}
		return &node{kind: v.Kind(), literal: v}, nil
	case n.kind == '[':
		return n.resolveList(values)
	case n.kind != '{':
		return n, nil
	}
	out := &node{kind: n.kind}
	for _, m := range n.members {
		v, err := m.value.resolve(values)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.members = append(out.members, member{m.name, v})
		}
	}
	if n.settle != nil && !n.settle(out) {
		return nil, nil
	}
	return out, nil
}

// resolveList is gone if all that stood in it is.
func (n *node) resolveList(values map[string]jsontext.Value) (*node, error) {
	out := &node{kind: n.kind}
	for _, e := range n.elements {
		v, err := e.resolve(values)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.elements = append(out.elements, v)
		}
	}
	if len(n.elements) > 0 && len(out.elements) == 0 {
		return nil, nil
	}
	return out, nil
}

// write encodes a node that has no parameters any more.
func (n *node) write(to *jsontext.Encoder) error {
	switch n.kind {
	case '{':
		if err := to.WriteToken(jsontext.BeginObject); err != nil {
			return err
		}
		for _, m := range n.members {
			if err := to.WriteToken(jsontext.String(m.name)); err != nil {
				return err
			}
			if err := m.value.write(to); err != nil {
				return err
			}
		}
		return to.WriteToken(jsontext.EndObject)
	case '[':
		if n.literal != nil { // a parameter's
			return to.WriteValue(n.literal)
		}
		if err := to.WriteToken(jsontext.BeginArray); err != nil {
			return err
		}
		for _, e := range n.elements {
			if err := e.write(to); err != nil {
				return err
			}
		}
		return to.WriteToken(jsontext.EndArray)
	default:
		return to.WriteValue(n.literal)
	}
}
