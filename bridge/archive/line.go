package archive

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json"

	"sallyport/bridge/bundle"
)

// Line is one line of a segment: exactly one of its fields is set.
type Line struct {
	Entry    *bundle.Entry `json:"-"`
	Stand    *Stand        `json:"stand,omitzero"`
	Withheld *Run          `json:"withheld,omitzero"`
	// Manifest is a signed one of a peer's bundle. It stands behind the entry that
	// tells that the bundle was taken in.
	Manifest string `json:"manifest,omitzero"`
}

// Stand is how far one log has got: its chain after a position.
type Stand struct {
	Origin string      `json:"origin"`
	Epoch  string      `json:"epoch"`
	After  int64       `json:"after"`
	Chain  bundle.Hash `json:"chain"`
}

// Run is a range of positions that this site does not hold: After < p ≤ Through.
type Run struct {
	Origin  string      `json:"origin"`
	After   int64       `json:"after"`
	Through int64       `json:"through"`
	Chain   bundle.Hash `json:"chain"` // at Through
}

var errNote = errors.New("not a line of an archive in its one encoding")

// Note is the line as it stands in a segment; not of an entry.
func (l Line) Note() ([]byte, error) { return json.Marshal(l) }

// ParseLine reads what a segment's line holds, in its one encoding.
func ParseLine(raw []byte, limits bundle.Limits) (Line, error) {
	if bytes.HasPrefix(raw, []byte(`{"seq":`)) {
		e, err := bundle.ParseEntry(raw, limits)
		return Line{Entry: &e}, err
	}
	var l Line
	if err := json.Unmarshal(raw, &l, json.RejectUnknownMembers(true)); err != nil {
		return l, errors.Join(errNote, err)
	}
	again, err := l.Note()
	forms := 0
	for _, is := range []bool{l.Stand != nil, l.Withheld != nil, l.Manifest != ""} {
		if is {
			forms++
		}
	}
	if err != nil || forms != 1 || !bytes.Equal(again, raw) {
		return l, errors.Join(errNote, err)
	}
	return l, nil
}

// Origin is the site of whose log the line speaks; empty for a manifest.
func (l Line) Origin() string {
	switch {
	case l.Entry != nil:
		return l.Entry.Origin
	case l.Stand != nil:
		return l.Stand.Origin
	case l.Withheld != nil:
		return l.Withheld.Origin
	}
	return ""
}
