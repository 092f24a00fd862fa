package bundle

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// RecordedType is the event type whose lines may be as long as
// [Limits].RecordedLine, because an answer is inside.
const RecordedType = "response.recorded"

// Event is one event as its line has it. Its strings hold no quotation mark, no
// backslash and no control character, so they stand in a line as they are.
type Event struct {
	Pos    int64     // position in the origin's log, from 1
	ID     string    // UUID (RFC 9562), 36 characters, lower case
	Stream string    // 1 to 512 bytes
	Ver    int64     // version in the stream, from 1
	Type   string    // 1 to 512 bytes
	Schema int64     // version of the data's JSON Schema, from 1
	At     time.Time // UTC, to the microsecond, years 0 to 9999
	Actor  string    // 1 to 512 bytes
	Corr   string    // 1 to 512 bytes
	Cause  string    // 0 to 512 bytes
	Data   []byte    // a JSON object without white space, kept as it is
}

// Withheld is a run of events that do not go to this peer: those at
// After < p ≤ Through. Chain is the log's chain at Through.
type Withheld struct {
	After   int64
	Through int64
	Chain   Hash
}

// Count is the number of events withheld.
func (w Withheld) Count() int64 { return w.Through - w.After }

// Line is one line of a log's range: an event, or a run of withheld ones.
type Line struct {
	// Raw is the line without its LF, exactly as hashed and stored.
	Raw []byte
	// Event is the line's event; zero if Withheld is set.
	Event Event
	// Withheld is set for a withheld run and nil for an event.
	Withheld *Withheld
	// Chain is the log's chain after this line, and Number the line's in the
	// payload, whose line 1 is the bundle's own. [ParseLine] leaves both zero.
	Chain  Hash
	Number int
}

// Through is the last position that the line speaks of.
func (l Line) Through() int64 {
	if l.Withheld != nil {
		return l.Withheld.Through
	}
	return l.Event.Pos
}

// maxText bounds the strings of the envelope, in bytes.
const maxText = 512

var (
	errEnvelope = errors.New("not an event: a key is missing, unknown or out of order, or a value breaks its rule")
	errWithheld = errors.New("not a withheld run: a key is missing, unknown or out of order, or a value breaks its rule")
	errLineLong = errors.New("line longer than its limit")
)

// CheckLine reports whether line, without its LF, is an event that may enter a
// log and a bundle: strict I-JSON, the envelope's keys in their fixed order, within
// limits. Append, export and import use this one function, so that nothing
// enters a log which a peer must refuse. It does not look at the data's meaning
// and keeps nothing of line.
func CheckLine(line []byte, limits Limits) error {
	_, err := scanEvent(line, limits.orDefault())
	return err
}

// ParseLine reads an event or a withheld run, with the checks of [CheckLine]. The
// result's Raw and Data are parts of line, which must not be changed after.
// Encoding what it returns gives line again.
func ParseLine(line []byte, limits Limits) (Line, error) {
	return parseLine(line, limits.orDefault())
}

func parseLine(line []byte, limits Limits) (Line, error) {
	if len(line) > 2 && line[2] == 'a' { // {"after":…
		w, err := parseWithheld(line)
		if err != nil {
			return Line{}, err
		}
		return Line{Raw: line, Withheld: &w}, nil
	}
	e, err := scanEvent(line, limits)
	if err != nil {
		return Line{}, err
	}
	return Line{Raw: line, Event: e.event(line)}, nil
}

// part is a piece of a line: line[from:to].
type part struct{ from, to int }

// envelope is what a line holds, by place.
type envelope struct {
	pos, ver, schema                    int64
	id, stream, typ, actor, corr, cause part
	at                                  time.Time
	data                                part
}

// scanEvent checks a line and finds its values without copying any of them.
func scanEvent(line []byte, limits Limits) (e envelope, err error) {
	if len(line) > limits.longestLine() {
		return e, errLineLong
	}
	s := scanner{b: line}
	ok := s.key(`{"pos":`) && s.natural(&e.pos) &&
		s.key(`,"id":"`) && s.uuid(&e.id) &&
		s.key(`,"stream":"`) && s.bare(&e.stream, 1) &&
		s.key(`,"ver":`) && s.natural(&e.ver) &&
		s.key(`,"type":"`) && s.bare(&e.typ, 1) &&
		s.key(`,"schema":`) && s.natural(&e.schema) &&
		s.key(`,"at":"`) && s.time(&e.at) &&
		s.key(`,"actor":"`) && s.bare(&e.actor, 1) &&
		s.key(`,"corr":"`) && s.bare(&e.corr, 1) &&
		s.key(`,"cause":"`) && s.bare(&e.cause, 0) &&
		s.key(`,"data":`)
	if !ok || s.i == len(line) || line[s.i] != '{' {
		return e, at(errEnvelope, s.i)
	}
	if len(line) > limits.lineOf(line[e.typ.from:e.typ.to]) {
		return e, errLineLong
	}
	e.data.from = s.i
	if err := s.value(limits.Depth - 1); err != nil {
		return e, at(err, s.i)
	}
	e.data.to = s.i
	if !s.key(`}`) || s.i != len(line) {
		return e, at(errSyntax, s.i)
	}
	return e, nil
}

// at adds the place in a line, never what stands there: it may be a secret.
func at(err error, offset int) error { return fmt.Errorf("%w, near byte %d", err, offset) }

// lineOf is the length a line of this event type may have.
func (l Limits) lineOf(typ []byte) int {
	if string(typ) == RecordedType {
		return l.RecordedLine
	}
	return l.Line
}

// event makes the strings of one copy of the envelope: an allocation a line.
func (e *envelope) event(line []byte) Event {
	text := string(line[:e.data.from])
	of := func(p part) string { return text[p.from:p.to] }
	return Event{
		Pos: e.pos, ID: of(e.id), Stream: of(e.stream), Ver: e.ver, Type: of(e.typ), Schema: e.schema,
		At: e.at, Actor: of(e.actor), Corr: of(e.corr), Cause: of(e.cause), Data: line[e.data.from:e.data.to:e.data.to],
	}
}

// AppendEvent appends the event's one line, without LF. It writes what it is
// given: [CheckLine] tells whether that may enter a log.
func AppendEvent(dst []byte, e Event) []byte {
	dst = strconv.AppendInt(append(dst, `{"pos":`...), e.Pos, 10)
	dst = append(append(dst, `,"id":"`...), e.ID...)
	dst = append(append(dst, `","stream":"`...), e.Stream...)
	dst = strconv.AppendInt(append(dst, `","ver":`...), e.Ver, 10)
	dst = append(append(dst, `,"type":"`...), e.Type...)
	dst = strconv.AppendInt(append(dst, `","schema":`...), e.Schema, 10)
	dst = e.At.UTC().AppendFormat(append(dst, `,"at":"`...), TimeLayout)
	dst = append(append(dst, `","actor":"`...), e.Actor...)
	dst = append(append(dst, `","corr":"`...), e.Corr...)
	dst = append(append(dst, `","cause":"`...), e.Cause...)
	dst = append(append(dst, `","data":`...), e.Data...)
	return append(dst, '}')
}

// AppendWithheld appends the run's one line, without LF.
func AppendWithheld(dst []byte, w Withheld) []byte {
	dst = strconv.AppendInt(append(dst, `{"after":`...), w.After, 10)
	dst = strconv.AppendInt(append(dst, `,"through":`...), w.Through, 10)
	dst = strconv.AppendInt(append(dst, `,"withheld":`...), w.Count(), 10)
	dst = append(append(dst, `,"chain":"`...), w.Chain.String()...)
	return append(dst, `"}`...)
}

func parseWithheld(line []byte) (w Withheld, err error) {
	var count int64
	var chain part
	s := scanner{b: line}
	ok := s.key(`{"after":`) && s.integer(&w.After) &&
		s.key(`,"through":`) && s.natural(&w.Through) &&
		s.key(`,"withheld":`) && s.natural(&count) &&
		s.key(`,"chain":"`) && s.bare(&chain, 64) &&
		s.key(`}`) && s.i == len(line)
	if !ok || w.Count() != count {
		return Withheld{}, errWithheld
	}
	if w.Chain, err = ParseHash(string(line[chain.from:chain.to])); err != nil {
		return Withheld{}, errWithheld
	}
	return w, nil
}
