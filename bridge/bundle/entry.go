package bundle

import (
	"errors"
	"strconv"
	"time"
)

// Entry is an event as a site has stored it: its line, and what the site knows of
// it beside. A payload of an [Archive] has it as
//
//	{"seq":41,"stored_at":"2026-11-22T09:26:02.123456Z","origin":"core","line":{"pos":…}}
type Entry struct {
	Seq      int64 // the site's own number for it, from 1, without holes
	StoredAt time.Time
	Origin   string // the site that wrote it
	Line     Line
}

var errEntry = errors.New("not an entry: a key is missing, unknown or out of order, or a value breaks its rule")

// AppendEntry appends the one line of an entry, without LF.
func AppendEntry(dst []byte, seq int64, stored time.Time, origin string, line []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"seq":`...), seq, 10)
	dst = stored.UTC().AppendFormat(append(dst, `,"stored_at":"`...), TimeLayout)
	dst = append(append(dst, `","origin":"`...), origin...)
	dst = append(append(dst, `","line":`...), line...)
	return append(dst, '}')
}

// ParseEntry reads what [AppendEntry] writes and nothing else, and its line as
// strictly as [ParseLine] does.
func ParseEntry(raw []byte, limits Limits) (e Entry, err error) {
	var origin part
	s := scanner{b: raw}
	ok := s.key(`{"seq":`) && s.natural(&e.Seq) &&
		s.key(`,"stored_at":"`) && s.time(&e.StoredAt) &&
		s.key(`,"origin":"`) && s.bare(&origin, 1) &&
		s.key(`,"line":`)
	if !ok || raw[len(raw)-1] != '}' || !isSite(string(raw[origin.from:origin.to])) {
		return Entry{}, at(errEntry, s.i)
	}
	e.Origin = string(raw[origin.from:origin.to])
	if e.Line, err = ParseLine(raw[s.i:len(raw)-1:len(raw)-1], limits); err == nil && e.Line.Withheld != nil {
		err = errEntry
	}
	return e, err
}

// entrySeq reports whether a line is an entry, and its number.
func entrySeq(raw []byte) (seq int64, ok bool) {
	s := scanner{b: raw}
	ok = s.key(`{"seq":`) && s.natural(&seq) && s.key(`,`)
	return seq, ok
}
