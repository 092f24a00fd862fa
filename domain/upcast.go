package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// step joins one version of a type's data with the next. Both ways are pure,
// and lose nothing of what data says that is valid under its schema.
type step struct {
	// generation is the number of the step among all, in the order in which programs
	// learned them, from 1.
	generation int
	// up makes the next version of data that was once written. What it makes is
	// as valid under the next version's schema as data was under its own.
	up func(data json.RawMessage) (json.RawMessage, error)
	// down makes the older version again, for peers that do not read the next yet.
	// It is given what Encode wrote.
	down func(data json.RawMessage) (json.RawMessage, error)
}

// steps are all that joins the versions of each type: the first from version 1
// to 2, and so on to the catalogue's. A type that is not here is at version 1.
var steps = map[string][]step{
	// Version 1 came to have `indices` when searches did, and meant all by leaving
	// it out. An older program reads that as the grant that it knows.
	"user.access_granted": {{generation: 1, up: withMember("indices", `[]`), down: withoutLast("indices", `[]`)}},
}

// Generation is how many steps this program knows. Of two programs the one with
// less is older, and reads nothing that the other does not.
func Generation() int {
	n := 0
	for _, of := range steps {
		n += len(of)
	}
	return n
}

// ReadBy returns the newest version of the kind that programs of a generation read.
func (k Kind) ReadBy(generation int) int {
	version := 1
	for _, s := range steps[k.Type] {
		if s.generation <= generation {
			version++
		}
	}
	return version
}

// Upcast returns an event as it would be written today: data of an older
// version is made that of the next, and so on. An event of the present version
// comes back as it is. What is stored never changes by this. It returns an
// [*UnknownEventError] as [Decode] does.
func Upcast(e Event) (Event, error) {
	k, ok := kinds[e.Type]
	if !ok || e.Schema < 1 || e.Schema > k.Schema {
		return e, &UnknownEventError{Type: e.Type, Schema: e.Schema}
	}
	data, err := climb(steps[e.Type], e.Schema, e.Data)
	if err != nil {
		return e, fmt.Errorf("event %s (%s, schema version %d, position %d): %w", e.ID, e.Type, e.Schema, e.Pos, err)
	}
	e.Schema, e.Data = k.Schema, data
	return e, nil
}

// climb takes all steps above a version.
func climb(steps []step, from int, data json.RawMessage) (json.RawMessage, error) {
	for i := from - 1; i < len(steps); i++ {
		var err error
		if data, err = steps[i].up(data); err != nil {
			return nil, fmt.Errorf("data of version %d as of version %d: %w", i+1, i+2, err)
		}
	}
	return data, nil
}

// EncodeAs returns the fact as [Encode] does, in the shape that an older
// version has: peers that were not upgraded yet read no other.
func EncodeAs(f Fact, version int) (json.RawMessage, error) {
	k, ok := kinds[f.EventType()]
	if !ok || version < 1 || version > k.Schema {
		return nil, &UnknownEventError{Type: f.EventType(), Schema: version}
	}
	data, err := Encode(f)
	if err != nil {
		return nil, err
	}
	return descend(steps[k.Type], version, data)
}

// descend takes all steps back to a version.
func descend(steps []step, to int, data json.RawMessage) (json.RawMessage, error) {
	for i := len(steps) - 1; i >= to-1; i-- {
		var err error
		if data, err = steps[i].down(data); err != nil {
			return nil, fmt.Errorf("data of version %d as of version %d: %w", i+2, i+1, err)
		}
	}
	return data, nil
}

var errNoObject = errors.New("data: is not exactly one JSON object")

// withMember puts a member behind all others of an object that lacks it.
func withMember(name, value string) func(json.RawMessage) (json.RawMessage, error) {
	return func(data json.RawMessage) (json.RawMessage, error) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		before, object := bytes.CutSuffix(data, []byte("}"))
		if _, has := members[name]; has || !object {
			return data, nil // whoever decodes it next says what is wrong with it
		}
		comma := ","
		if len(members) == 0 {
			comma = ""
		}
		return fmt.Appendf(bytes.Clone(before), `%s%q:%s}`, comma, name, value), nil
	}
}

// withoutLast takes the last member off again where it has that value.
func withoutLast(name, value string) func(json.RawMessage) (json.RawMessage, error) {
	last := fmt.Appendf(nil, `,%q:%s}`, name, value)
	return func(data json.RawMessage) (json.RawMessage, error) {
		if before, found := bytes.CutSuffix(data, last); found {
			return append(bytes.Clone(before), '}'), nil
		}
		return data, nil
	}
}
