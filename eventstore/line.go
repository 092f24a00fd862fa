package eventstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"sallyport/domain"
)

// draft is an event that only lacks what the head's lock gives it: pos and
// ver. All the rest of its line is encoded before the lock is taken, by the
// goroutine of the caller.
type draft struct {
	event domain.Event
	fact  domain.Fact
	mid   []byte // `,"id":…,"stream":…,"ver":`
	tail  []byte // `,"type":…,"data":{…}}`
	room  []byte // for the line, at any pos and ver
}

// newDraft encodes a fact; its line has the shape of a version, which may be
// older than the event's.
func newDraft(e domain.Event, fact domain.Fact, version int) (draft, error) {
	data, err := domain.Encode(fact)
	if err != nil {
		return draft{}, err
	}
	e.Data = data
	if version != e.Schema {
		if data, err = domain.EncodeAs(fact, version); err != nil {
			return draft{}, err
		}
	}
	// One allocation holds both parts and the room, as few strings of an envelope
	// need escapes; those of others come to lie elsewhere.
	plain := len(e.ID) + len(e.Stream) + len(e.Type) + len(e.Actor) + len(e.Corr) + len(e.Cause) + len(data)
	b := make([]byte, 0, 2*(plain+maxPlaces)+maxNumbers)
	b = appendString(append(b, `,"id":`...), e.ID)
	b = appendString(append(b, `,"stream":`...), e.Stream)
	b = append(b, `,"ver":`...)
	mid := len(b)
	b = appendString(append(b, `,"type":`...), e.Type)
	b = strconv.AppendInt(append(b, `,"schema":`...), int64(version), 10)
	b = e.At.AppendFormat(append(b, `,"at":"`...), domain.TimeLayout)
	b = appendString(append(b, `","actor":`...), e.Actor)
	b = appendString(append(b, `,"corr":`...), e.Corr)
	b = appendString(append(b, `,"cause":`...), e.Cause)
	b = append(append(append(b, `,"data":`...), data...), '}')
	return draft{event: e, fact: fact, mid: b[:mid:mid], tail: b[mid:len(b):len(b)], room: b[len(b):]}, nil
}

// What the fixed text of the two parts, and pos and ver with their keys, take
// at most, in bytes.
const (
	maxPlaces  = 192
	maxNumbers = 48
)

// line returns the exported line: keys in fixed order, no insignificant
// space, no line feed. It lies where the line of an earlier call lay.
func (d draft) line(pos, ver int64) []byte {
	b := strconv.AppendInt(append(d.room[:0], `{"pos":`...), pos, 10)
	b = strconv.AppendInt(append(b, d.mid...), ver, 10)
	return append(b, d.tail...)
}

// appendString appends s as a JSON string. Names and ids are plain ASCII; all
// else goes the long way.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendEscaped(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

type lineJSON struct {
	Pos    int64           `json:"pos"`
	ID     string          `json:"id"`
	Stream string          `json:"stream"`
	Ver    int64           `json:"ver"`
	Type   string          `json:"type"`
	Schema int             `json:"schema"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Corr   string          `json:"corr"`
	Cause  string          `json:"cause"`
	Data   json.RawMessage `json:"data"`
}

// decodeLine reads a line that this log stored itself. Lines from elsewhere
// are read by bridge/bundle, which trusts nothing.
func decodeLine(line []byte) (domain.Event, error) {
	var l lineJSON
	if err := json.Unmarshal(line, &l); err != nil {
		return domain.Event{}, fmt.Errorf("a stored line does not parse: %w", err)
	}
	return domain.Event(l), nil
}
