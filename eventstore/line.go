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
}

func newDraft(e domain.Event, fact domain.Fact) (draft, error) {
	data, err := domain.Encode(fact)
	if err != nil {
		return draft{}, err
	}
	e.Data = data
	d := draft{event: e, fact: fact}
	d.mid = appendString(append(d.mid, `,"id":`...), e.ID)
	d.mid = appendString(append(d.mid, `,"stream":`...), e.Stream)
	d.mid = append(d.mid, `,"ver":`...)
	t := make([]byte, 0, 256+len(data))
	t = appendString(append(t, `,"type":`...), e.Type)
	t = strconv.AppendInt(append(t, `,"schema":`...), int64(e.Schema), 10)
	t = e.At.AppendFormat(append(t, `,"at":"`...), domain.TimeLayout)
	t = appendString(append(t, `","actor":`...), e.Actor)
	t = appendString(append(t, `,"corr":`...), e.Corr)
	t = appendString(append(t, `,"cause":`...), e.Cause)
	t = append(append(t, `,"data":`...), data...)
	d.tail = append(t, '}')
	return d, nil
}

// line returns the exported line: keys in fixed order, no insignificant
// space, no line feed.
func (d draft) line(pos, ver int64) []byte {
	b := make([]byte, 0, len(d.mid)+len(d.tail)+48)
	b = strconv.AppendInt(append(b, `{"pos":`...), pos, 10)
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
