package bundle

import (
	"errors"
	"math"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// First is the payload's first line: it binds the payload to one span, so that
// nobody can put another's ciphertext under a manifest of their own, and keeps
// what concerns only the receiver out of the clear.
type First struct {
	Span     Span   `json:"bundle"`
	Salt     string `json:"salt"`     // 128 random bits in 32 hex digits, fixed for the number
	Events   int    `json:"events"`   // event lines that follow, withheld runs not counted
	Operator string `json:"operator"` // who made it, at most 256 bytes
	Note     string `json:"note"`     // for the receiver's people, at most 4096 bytes
	// Proof shows that the lines of a [Return] are what their origin once sent, see
	// [MakeProof]; empty in all else.
	Proof string `json:"proof,omitzero"`
}

const (
	maxOperator = 256
	maxNote     = 4096
	maxProof    = 512 << 10
	maxFirst    = 1 << 20 // the longest first line there can be, escapes included
)

// Line is the first line as it stands in the payload, without its LF.
func (f First) Line() ([]byte, error) {
	line, err := json.Marshal(f)
	if err == nil && len(line) > maxFirst {
		err = errLineLong
	}
	return line, err
}

func (f First) check() error {
	return errors.Join(
		f.Span.check(),
		rule(isHex(f.Salt, 32), "salt is not 32 hex digits"),
		rule(f.Events >= 0 && f.Events <= math.MaxInt32, "events is out of range"),
		rule(isProse(f.Operator, maxOperator), "operator is too long, not UTF-8 or holds U+0000"),
		rule(isProse(f.Note, maxNote), "note is too long, not UTF-8 or holds U+0000"),
		rule(f.Proof == "" || f.Span.Kind == Return && isProse(f.Proof, maxProof), "proof is too long, not UTF-8, holds U+0000 or proves no return"),
	)
}

// parseFirst reads what line writes and nothing else.
func parseFirst(line []byte) (f First, err error) {
	if len(line) > maxFirst {
		return f, errLineLong
	}
	if err = json.Unmarshal(line, &f, json.RejectUnknownMembers(true)); err != nil {
		return f, err
	}
	again, err := f.Line()
	if err != nil || string(again) != string(line) {
		return f, errors.New("the first line is not in its one encoding")
	}
	return f, f.check()
}

func isProse(s string, most int) bool {
	if len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return true
}
