package searchresponder

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
)

// shape says what may stand at a place, and prepares what stands there.
type shape func(c *checker, n *node)

// checker gathers what is wrong with a template.
type checker struct {
	names []string // of parameters; nil: any
	wrong []domain.FieldError
}

func (c *checker) refuse(n *node, format string, args ...any) {
	c.wrong = append(c.wrong, domain.FieldError{Pointer: string(n.pointer), Code: domain.FieldForm, Detail: fmt.Sprintf(format, args...)})
}

// value takes a plain value or a parameter.
func value(t takes) shape {
	return func(c *checker, n *node) {
		switch {
		case n.isParam():
			c.param(n, t)
		case n.kind == '[' || !t.fits(n.literal):
			c.refuse(n, "must be %s", t)
		}
	}
}

// literal takes a plain value that is the template's own.
func literal(t takes) shape {
	return func(c *checker, n *node) {
		if n.kind == '[' || !t.fits(n.literal) {
			c.refuse(n, "must be %s that stands in the template itself", t)
		}
	}
}

// word takes one of a few words.
func word(of ...string) shape {
	return func(c *checker, n *node) {
		if !slices.Contains(of, n.text()) {
			c.refuse(n, "must be one of %s", strings.Join(of, ", "))
		}
	}
}

// list takes a list of what the shape takes.
func list(of shape) shape {
	return func(c *checker, n *node) {
		if n.kind != '[' {
			c.refuse(n, "must be a list")
			return
		}
		for _, e := range n.elements {
			of(c, e)
		}
	}
}

// values takes a list of values, of which each may be a parameter, or a
// parameter that is the list.
func values(c *checker, n *node) {
	if n.isParam() {
		c.param(n, listed)
		return
	}
	list(value(plain))(c, n)
}

// oneOrMore takes what the shape takes, or a list of it.
func oneOrMore(of shape) shape {
	return func(c *checker, n *node) {
		if n.kind == '[' {
			list(of)(c, n)
			return
		}
		of(c, n)
	}
}

// members are those that an object may have.
type members map[string]shape

// object takes an object with such members. One that lacks a member of needs,
// or all of some, is refused, and is gone when that member is.
func object(of members, needs []string, some ...string) shape {
	kept := func(n *node) bool {
		lacks := func(name string) bool { return n.get(name) == nil }
		return !slices.ContainsFunc(needs, lacks) && (len(some) == 0 || slices.ContainsFunc(some, func(name string) bool { return !lacks(name) }))
	}
	return func(c *checker, n *node) {
		if !c.isObject(n) {
			return
		}
		for _, m := range n.members {
			c.member(m, of)
		}
		if !kept(n) {
			c.refuse(n, "must have %s", lacking(needs, some))
		}
		n.settle = kept
	}
}

func lacking(needs, some []string) string {
	parts := slices.Clone(needs)
	if len(some) > 0 {
		parts = append(parts, "one of "+strings.Join(some, ", "))
	}
	return strings.Join(parts, " and ")
}

func (c *checker) member(m member, of members) {
	is, known := of[m.name]
	if !known {
		c.refuse(m.value, "is not allowed here; what is: %s", strings.Join(slices.Sorted(maps.Keys(of)), ", "))
		return
	}
	is(c, m.value)
}

// one takes an object with exactly one of such members: what kind of thing it is.
func one(of func() members) shape {
	return func(c *checker, n *node) {
		if !c.isObject(n) {
			return
		}
		if len(n.members) != 1 {
			c.refuse(n, "must have exactly one member")
			return
		}
		c.member(n.members[0], of())
		n.settle = notEmpty
	}
}

const maxField = 512

// field takes an object with exactly one member, whose name is a field's, and
// such options beside it.
func field(of shape, options members) shape {
	return func(c *checker, n *node) {
		if !c.isObject(n) {
			return
		}
		var fields []string
		for _, m := range n.members {
			if option, is := options[m.name]; is {
				option(c, m.value)
				continue
			}
			if m.name == "" || len(m.name) > maxField || m.name[0] == '$' {
				c.refuse(m.value, "is no name of a field")
			}
			fields = append(fields, m.name)
			of(c, m.value)
		}
		if len(fields) != 1 {
			c.refuse(n, "must name exactly one field")
			return
		}
		n.settle = func(out *node) bool { return out.get(fields[0]) != nil }
	}
}

// named takes an object whose members' names are the template's own.
func named(of func() shape) shape {
	return func(c *checker, n *node) {
		if !c.isObject(n) {
			return
		}
		for _, m := range n.members {
			if !validName(m.name) {
				c.refuse(m.value, "must have a name of 1 to 64 of A-Z a-z 0-9 _ -")
			}
			of()(c, m.value)
		}
		n.settle = notEmpty
	}
}

func notEmpty(n *node) bool { return len(n.members) > 0 }

func validName(name string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	return len(name) > 0 && len(name) <= 64 && !strings.ContainsFunc(name, other)
}

// either takes an object of the one shape, and anything else of the other.
func either(ofObject, other shape) shape {
	return func(c *checker, n *node) {
		if n.kind == '{' && !n.isParam() {
			ofObject(c, n)
			return
		}
		other(c, n)
	}
}

func (c *checker) isObject(n *node) bool {
	switch {
	case n.isParam():
		c.refuse(n, "cannot be a parameter: a parameter stands for a plain value or a list of them")
		return false
	case n.kind != '{':
		c.refuse(n, "must be an object")
		return false
	}
	return true
}

// isParam reports whether the object is meant as a parameter.
func (n *node) isParam() bool { return n.get("$param") != nil }

// param makes a node a parameter.
func (c *checker) param(n *node, place takes) {
	p := &param{place: place, name: n.get("$param").text()}
	for _, m := range n.members {
		switch t, known := declared[m.value.text()]; m.name {
		case "$param":
		case "type":
			if !known {
				c.refuse(m.value, "must be one of string, number, integer, boolean, array")
				return
			}
			p.typ = &t
		case "default":
			p.fallback = m.value.plainValue()
		default:
			c.refuse(m.value, "is not allowed here; what is: $param, type, default")
		}
	}
	switch {
	case p.name == "":
		c.refuse(n.get("$param"), "must be the name of a parameter")
	case c.names != nil && !slices.Contains(c.names, p.name):
		c.refuse(n.get("$param"), "names no parameter of the request type's schema; it has: %s", strings.Join(c.names, ", "))
	case p.typ != nil && !p.place.meets(*p.typ):
		c.refuse(n, "must be %s", place)
	case n.get("default") != nil && !p.accepts(p.fallback):
		c.refuse(n.get("default"), "does not fit its place, which takes %s, or its type", place)
	}
	n.param = p
}

// plainValue is a default; nil: it is none.
func (n *node) plainValue() jsontext.Value {
	if n.kind != '[' {
		return n.literal
	}
	elements := []jsontext.Value{}
	for _, e := range n.elements {
		elements = append(elements, e.literal)
	}
	v, err := json.Marshal(elements)
	if err != nil {
		return nil
	}
	return v
}

func (t takes) meets(o takes) bool {
	return t.text && o.text || t.number && o.number || t.boolean && o.boolean || t.list && o.list
}

// String names what the place takes.
func (t takes) String() string {
	var kinds []string
	for _, k := range []struct {
		is   bool
		name string
	}{{t.text, "a text"}, {t.number && !t.whole, "a number"}, {t.whole && t.most == 0, "a whole number"},
		{t.whole && t.most > 0, fmt.Sprintf("a whole number from %d to %d", t.least, t.most)}, {t.boolean, "true or false"}, {t.list, "a list of plain values"}} {
		if k.is {
			kinds = append(kinds, k.name)
		}
	}
	return strings.Join(kinds, " or ")
}
