package searchresponder

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/responders"
)

// maxRead bounds what is read of an engine's answer, in bytes.
const maxRead = 256 << 20

// errUnreadable is an answer that no engine gives.
var errUnreadable = errors.New("the engine's answer is not read")

// result is what an engine answers, read piece by piece: hits beyond the limit
// are never held.
type result struct {
	*jsontext.Decoder
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
	r := &result{Decoder: jsontext.NewDecoder(&endless{from, maxRead}), room: maxBytes}
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
	case errors.Is(err, io.ErrUnexpectedEOF):
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
		v, err := r.ReadValue()
		if err != nil {
			return err
		}
		r.aggregated = v.Clone()
		return r.aggregated.Compact()
	default:
		return r.SkipValue()
	}
}

func (r *result) shards() error {
	var shards struct {
		Failed *int `json:"failed"`
	}
	if err := json.UnmarshalDecode(r.Decoder, &shards); err != nil {
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
		if err := json.UnmarshalDecode(r.Decoder, &total); err != nil {
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
		r.cut = true
		return r.SkipValue()
	}
	var hit row
	if err := json.UnmarshalDecode(r.Decoder, &hit); err != nil {
		return err
	}
	b, err := json.Marshal(hit)
	if err != nil {
		return err
	}
	if r.room -= len(b) + len(","); r.room < 0 {
		r.cut = true
		if !s.aggregates && r.known && r.sound {
			return errEnough
		}
		return nil
	}
	r.rows = append(r.rows, b)
	return nil
}

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

// endless fails where an answer that is too long would go on.
type endless struct {
	io.Reader
	left int64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, errTooLong
	}
	n, err := e.Reader.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	return n, err
}
