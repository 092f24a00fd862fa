package searchresponder

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/responders"
)

// errUnreadable is an answer that no engine gives.
var errUnreadable = errors.New("the engine's answer is not read")

// result is what an engine answers, read piece by piece: neither hits beyond the
// limit nor one value that is larger than a whole answer are ever held.
type result struct {
	*jsontext.Decoder
	wire       *wire
	room       int // for rows
	total      int64
	known      bool // the total came
	sound      bool // the engine said that all its shards answered in time
	rows       [][]byte
	cut        bool // rows were left out
	aggregated jsontext.Value
}

// read reads an answer of at most so many bytes.
func read(from io.Reader, s search, maxBytes int) (responders.Answer, error) {
	w := &wire{from: from, left: maxRead, most: int64(maxBytes) + readAhead}
	r := &result{Decoder: jsontext.NewDecoder(w), wire: w, room: maxBytes}
	err := r.object(func(name string) error { return r.part(name, s) })
	if err != nil && !errors.Is(err, errEnough) {
		return responders.Answer{}, unreadable(err)
	}
	if !r.known || !r.sound {
		return responders.Answer{}, errUnreadable
	}
	return r.answer(s, maxBytes)
}

// errEnough ends the reading of what has no room.
var errEnough = errors.New("enough was read")

func unreadable(err error) error {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errNoRoom), errors.Is(err, errTooLong):
		return err
	case errors.As(err, &syntax), errors.As(err, &semantic): // they may quote what was read
		return errUnreadable
	default:
		return err
	}
}

func (r *result) object(member func(name string) error) error {
	if r.PeekKind() != '{' {
		if _, err := r.ReadToken(); err != nil {
			return err
		}
		return errUnreadable
	}
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	for {
		t, err := r.ReadToken()
		if err != nil || t.Kind() == '}' {
			return err
		}
		if err := member(t.String()); err != nil {
			return err
		}
	}
}

func (r *result) part(name string, s search) error {
	switch name {
	case "timed_out":
		t, err := r.ReadToken()
		if err == nil && t.Kind() != 'f' {
			return errEndedEarly
		}
		return err
	case "_shards":
		return r.shards()
	case "hits":
		return r.object(func(name string) error { return r.hits(name, s) })
	case "aggregations":
		v, err := r.held(r.ReadValue)
		if err != nil {
			return err
		}
		r.aggregated = v.Clone()
		return r.aggregated.Compact()
	default:
		return r.SkipValue()
	}
}

// held reads one value that is held whole, within what an answer may take.
func (r *result) held(value func() (jsontext.Value, error)) (jsontext.Value, error) {
	r.wire.begin()
	defer r.wire.end()
	return value()
}

// into reads one value, see [result.held].
func (r *result) into(v any) error {
	_, err := r.held(func() (jsontext.Value, error) { return nil, json.UnmarshalDecode(r.Decoder, v) })
	return err
}

func (r *result) shards() error {
	var shards struct {
		Failed *int `json:"failed"`
	}
	if err := r.into(&shards); err != nil {
		return err
	}
	if shards.Failed == nil {
		return errUnreadable
	}
	r.sound = *shards.Failed == 0
	if !r.sound {
		return fmt.Errorf("%d %w", *shards.Failed, errShards)
	}
	return nil
}

func (r *result) hits(name string, s search) error {
	switch {
	case name == "total":
		var total struct {
			Value *int64 `json:"value"`
		}
		if err := r.into(&total); err != nil {
			return err
		}
		if r.known = total.Value != nil; r.known {
			r.total = *total.Value
		}
		return nil
	case name != "hits" || r.PeekKind() != '[':
		return r.SkipValue()
	}
	if _, err := r.ReadToken(); err != nil {
		return err
	}
	for r.PeekKind() == '{' {
		if err := r.hit(s); err != nil {
			return err
		}
	}
	_, err := r.ReadToken()
	return err
}

// row is a hit as an answer shows it.
type row struct {
	Index  string         `json:"_index"`
	ID     string         `json:"_id"`
	Score  jsontext.Value `json:"_score"`
	Source jsontext.Value `json:"_source,omitzero"`
}

func (r *result) hit(s search) error {
	if r.cut || len(r.rows) == s.size {
		return r.leaveOut(s)
	}
	var hit row
	switch err := r.into(&hit); {
	case errors.Is(err, errNoRoom) && r.enough(s): // larger than a whole answer, and nothing is needed behind it
		r.cut = true
		return errEnough
	case err != nil:
		return err
	}
	b, err := json.Marshal(hit)
	if err != nil {
		return err
	}
	if r.room -= len(b) + len(","); r.room < 0 {
		r.cut = true
		if r.enough(s) {
			return errEnough
		}
		return nil
	}
	r.rows = append(r.rows, b)
	return nil
}

// leaveOut passes over a hit, or ends the reading.
func (r *result) leaveOut(s search) error {
	if r.cut = true; r.enough(s) {
		return errEnough
	}
	return r.SkipValue()
}

// enough reports whether nothing that comes behind the rows is needed.
func (r *result) enough(s search) bool { return !s.aggregates && r.known && r.sound }

// answer leaves out the last rows until all has room.
func (r *result) answer(s search, maxBytes int) (responders.Answer, error) {
	begin, end := fmt.Appendf(nil, `{"total":%d,"hits":[`, r.total), []byte("]")
	if r.aggregated != nil {
		end = append(append(end, `,"aggregations":`...), r.aggregated...)
	}
	end = append(end, '}')
	size := len(begin) + len(end) + max(0, len(r.rows)-1)
	for _, row := range r.rows {
		size += len(row)
	}
	for size > maxBytes && len(r.rows) > 0 {
		last := len(r.rows) - 1
		size -= len(r.rows[last]) + min(last, 1)
		r.rows, r.cut = r.rows[:last], true
	}
	if size > maxBytes {
		return responders.Answer{}, errNoRoom
	}
	out := append(make([]byte, 0, size), begin...)
	for i, row := range r.rows {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, row...)
	}
	more := s.size > 0 && r.total > int64(s.from+len(r.rows))
	return responders.Answer{Result: append(out, end...), Count: len(r.rows), Truncated: r.cut || more, ContentType: contentType}, nil
}
