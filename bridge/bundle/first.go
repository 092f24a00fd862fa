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
}

const (
	maxOperator = 256
	maxNote     = 4096
	maxFirst    = 32 << 10 // the longest first line there can be, escapes included
)

// line is the first line without its LF.
func (f First) line() ([]byte, error) { return json.Marshal(f) }

func (f First) check() error {
	return errors.Join(
		f.Span.check(),
		rule(isHex(f.Salt, 32), "salt is not 32 hex digits"),
		rule(f.Events >= 0 && f.Events <= math.MaxInt32, "events is out of range"),
		rule(isProse(f.Operator, maxOperator), "operator is too long, not UTF-8 or holds U+0000"),
		rule(isProse(f.Note, maxNote), "note is too long, not UTF-8 or holds U+0000"),
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
	again, err := f.line()
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
