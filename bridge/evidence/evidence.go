package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/bridge/bundle"
)

// Format is the value of a file's format.
const Format = "sallyport-evidence/1"

// Limits of a file.
const (
	MaxBytes = 256 << 20
	MaxItems = 1_000_000 // of all segments
)

// Evidence is the text that is signed.
type Evidence struct {
	Format    string     `json:"format"` // always [Format]
	Site      string     `json:"site"`   // who made it, and signed it
	Request   string     `json:"request"`
	CreatedAt string     `json:"created_at"` // for people only
	Segments  []Segment  `json:"segments"`
	Crossings []Crossing `json:"crossings"`
	Keys      []Key      `json:"keys"`
}

// Segment is a part of one log's chain, from before an event of the request to a
// value of the chain that somebody signed.
type Segment struct {
	Origin  string      `json:"origin"`
	Epoch   string      `json:"epoch"`
	After   int64       `json:"after"` // exclusive
	Chain   bundle.Hash `json:"chain"` // at After
	Items   []Item      `json:"items"`
	Through int64       `json:"through"`
	End     bundle.Hash `json:"end"` // the chain at Through
	// Manifest is a signed one: of the origin, for a bundle that ends at Through,
	// or of a peer that acknowledges the origin's log there. Empty: only the site
	// that made the evidence signs End.
	Manifest string `json:"manifest,omitempty"`
}

// Item is what a log has at the next position or positions: exactly one of a
// line, a line's SHA-256, or a run that its origin withheld from the site that
// made the evidence, with the chain after it.
type Item struct {
	Line     string       `json:"line,omitempty"`
	Digest   *bundle.Hash `json:"digest,omitempty"`
	Withheld int64        `json:"withheld,omitempty"`
	Chain    *bundle.Hash `json:"chain,omitempty"`
}

// Crossing is a bundle that carried an event, as the site that made the
// evidence says.
type Crossing struct {
	Origin    string `json:"origin"`
	Position  int64  `json:"position"`
	Direction string `json:"direction"` // in or out, of the site
	Peer      string `json:"peer"`
	Seq       int64  `json:"seq"`
	ID        string `json:"id"`
	State     string `json:"state"`
}

// Key is a public key that the site knew for itself or a peer when it made the
// evidence. It is told for people: nobody believes a key because of it.
type Key struct {
	Site  string `json:"site"`
	Key   string `json:"key"`
	State string `json:"state"` // present, next, retired or revoked
}

// Sign gives the file.
func (e Evidence) Sign(signers ...*bundle.Signer) ([]byte, error) {
	e.Format = Format
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("the evidence breaks a rule of its format, nothing was written: %w", err)
	}
	text, err := e.text()
	if err != nil {
		return nil, err
	}
	return bundle.SignNote(text, signers...)
}

// text is the one encoding of evidence: two spaces of indentation, LF.
func (e Evidence) text() ([]byte, error) {
	b, err := json.Marshal(e, jsontext.WithIndent("  "))
	return append(b, '\n'), err
}

// parse takes exactly the bytes that writing it again gives.
func parse(text []byte) (Evidence, error) {
	var e Evidence
	if err := json.Unmarshal(text, &e, json.RejectUnknownMembers(true)); err != nil {
		return Evidence{}, err
	}
	again, err := e.text()
	if err != nil || !bytes.Equal(text, again) {
		return Evidence{}, errors.Join(errors.New("it is not in its one encoding"), err)
	}
	return e, e.check()
}

func (e Evidence) check() error {
	items := 0
	for i, s := range e.Segments {
		if items += len(s.Items); items > MaxItems {
			return fmt.Errorf("it has more than %d items", MaxItems)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("segment %d: %w", i+1, err)
		}
	}
	switch {
	case e.Format != Format:
		return fmt.Errorf("its format is %.40q, want %q", e.Format, Format)
	case e.Site == "" || e.Request == "" || len(e.Segments) == 0:
		return errors.New("it names no site or no request, or shows nothing")
	}
	return nil
}

func (s Segment) check() error {
	at := s.After
	for _, i := range s.Items {
		forms := 0
		for _, is := range []bool{i.Line != "", i.Digest != nil, i.Withheld != 0} {
			if is {
				forms++
			}
		}
		if forms != 1 || (i.Withheld != 0) != (i.Chain != nil) || i.Withheld < 0 || i.Withheld > maxPosition-at {
			return fmt.Errorf("the item after position %d is not one of line, digest or withheld run", at)
		}
		at += max(i.Withheld, 1)
	}
	if s.After < 0 || at != s.Through || at == s.After {
		return fmt.Errorf("its items lead from %d to %d, and it says %d", s.After, at, s.Through)
	}
	return nil
}

const maxPosition = 1 << 53
