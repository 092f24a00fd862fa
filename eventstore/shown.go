package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sallyport/domain"
)

// Event is the event that the line holds.
func (e Stored) Event() (domain.Event, error) {
	event, err := decodeLine(e.Line)
	if err != nil {
		return event, fmt.Errorf("seq %d: %w; run `sallyport audit verify`", e.Seq, err)
	}
	return event, nil
}

// Shown is the event as people see it, one JSON object: its line with `seq`,
// `origin` and `stored_at` behind, and `withheld` if a secret was left out,
// see [domain.Shown]; without, the line's bytes are those that are hashed.
func (e Stored) Shown() ([]byte, error) {
	line, withheld, err := e.open()
	if err != nil {
		return nil, fmt.Errorf("seq %d: %w", e.Seq, err)
	}
	b := make([]byte, 0, len(line)+128)
	b = append(append(b, line[:len(line)-1]...), `,"seq":`...)
	b = appendString(append(strconv.AppendInt(b, e.Seq, 10), `,"origin":`...), e.Origin)
	b = append(e.StoredAt.UTC().AppendFormat(append(b, `,"stored_at":"`...), domain.TimeLayout), '"')
	for i, pointer := range withheld {
		if b = append(b, `,"withheld":[`...); i > 0 {
			b[len(b)-1] = ','
		}
		b = appendString(b, pointer)
	}
	if len(withheld) > 0 {
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// open returns the line with its secrets left out.
func (e Stored) open() (line []byte, withheld []string, err error) {
	if len(e.Line) < 3 || e.Line[len(e.Line)-1] != '}' {
		return nil, nil, errors.New("a stored line is no object: run `sallyport audit verify`")
	}
	kind, known := domain.KindOf(e.Type)
	switch {
	case !known:
		return nil, nil, &domain.UnknownEventError{Type: e.Type}
	case !kind.Secret:
		return e.Line, nil, nil
	}
	event, err := decodeLine(e.Line)
	if err != nil {
		return nil, nil, err
	}
	if event.Type != e.Type {
		return nil, nil, errors.New("the columns do not say what the line says: run `sallyport audit verify`")
	}
	data, withheld, err := domain.Shown(event)
	if err != nil {
		return nil, nil, err
	}
	around, found := bytes.CutSuffix(e.Line, append(event.Data, '}'))
	if !found {
		return nil, nil, errors.New("a stored line does not end with its data: run `sallyport audit verify`")
	}
	return slices.Concat(around, data, []byte("}")), withheld, nil
}
