package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Event is one entry of one site's log: a fact together with the place and
// the circumstances in which it was recorded. Its ten fields before Data are
// the envelope of the exported line (bundle format 1).
type Event struct {
	// Pos is the position in the log of the site that wrote the event: from 1,
	// without holes.
	Pos int64
	// ID is a UUIDv7; its random bits keep a withheld line from being guessed.
	ID string
	// Stream names what the event is about, see [Stream].
	Stream string
	// Ver is the event's number within its stream: from 1, without holes.
	Ver int64
	// Type is `<noun>.<past participle>`, one of the catalogue.
	Type string
	// Schema is the version of the JSON Schema that Data satisfies, from 1.
	Schema int
	// At is when the writing site recorded it: UTC, microseconds. For people
	// only; no order rests on it.
	At time.Time
	// Actor is `user-<id>`, `site:<name>` or `cli:<os user>`, as its site claims.
	Actor string
	// Corr is the id of the request or command that began the chain of events.
	Corr string
	// Cause is the id of the event or command that led to this one; empty when
	// a person or client was the cause.
	Cause string
	// Data is the fact, one JSON object without insignificant space.
	Data json.RawMessage
}

// Fact is what happened, before the log has given it a place. Each type of
// the catalogue is one Go struct; its JSON encoding is the event's data.
type Fact interface {
	// EventType returns the name in the catalogue, such as `user.registered`.
	EventType() string
}

// Encode returns the fact as the data of an event: one JSON object, no
// insignificant space, characters as they are rather than HTML-escaped.
func Encode(f Fact) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.EventType(), err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// UnknownEventError says that this program is older than an event: nothing of
// it may be skipped, the site must be upgraded first.
type UnknownEventError struct {
	Type   string
	Schema int
}

func (e *UnknownEventError) Error() string {
	return fmt.Sprintf("event type %s, schema version %d, is unknown to this program: upgrade this site first; nothing was lost", e.Type, e.Schema)
}

// Decode returns the fact that an event of any version holds, see [Upcast]. It
// returns an [*UnknownEventError] when the type is not in the catalogue or the
// schema version is above the catalogue's, and never ignores a field.
func Decode(e Event) (Fact, error) {
	e, err := Upcast(e)
	if err != nil {
		return nil, err
	}
	f, err := kinds[e.Type].decode(e.Data)
	if err != nil {
		return nil, fmt.Errorf("event %s (%s, position %d): %w", e.ID, e.Type, e.Pos, err)
	}
	return f, nil
}

// decode is the generic half of Decode: strict about fields, so that a newer
// shape under an old version is noticed instead of cut.
func decode[F Fact](data json.RawMessage) (Fact, error) {
	var f F
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if data[0] != '{' || dec.InputOffset() != int64(len(data)) {
		return nil, errNoObject
	}
	return f, nil
}
