package responsecache

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// TTL is how long an answer is kept unless a Config says otherwise.
const TTL = 24 * time.Hour

// MaxEntry is the size in bytes from which on an answer is not kept.
const MaxEntry = 10 << 20

// Entry is one cached answer.
type Entry struct {
	// Owner is the id of the user who asked: 1 to 128 printable ASCII
	// characters other than quotation mark and backslash.
	Owner string
	// Position is that of the event which Body was rendered from, from 1.
	Position int64
	// Body is one JSON value, kept byte by byte.
	Body []byte
}

// Key returns the key under which the answer to a request stands.
func Key(requestID string) string { return "response:" + requestID }

var errEntry = errors.New("a cache entry needs an owner of plain characters, a position from 1 and a body")

const (
	beforePosition = `{"position":`
	beforeOwner    = `,"owner":"`
	beforeBody     = `","body":`
	maxOwner       = 128
)

// checked returns the entry, or refuses it.
func checked(e Entry) (Entry, error) {
	if !plain(e.Owner) || e.Position < 1 || len(e.Body) == 0 {
		return Entry{}, fmt.Errorf("%w; nothing was cached", errEntry)
	}
	return e, nil
}

// tooLarge reports whether an entry is not to be kept.
func tooLarge(e Entry) bool { return len(e.Owner)+len(e.Body)+envelope > MaxEntry }

// envelope is what the form adds at most to an owner and a body, in bytes.
const envelope = len(beforePosition) + 19 + len(beforeOwner) + len(beforeBody) + 1

// encode writes a checked entry in the form of the package's documentation.
func encode(e Entry) []byte {
	b := make([]byte, 0, envelope+len(e.Owner)+len(e.Body))
	b = strconv.AppendInt(append(b, beforePosition...), e.Position, 10)
	b = append(append(b, beforeOwner...), e.Owner...)
	b = append(append(b, beforeBody...), e.Body...)
	return append(b, '}')
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != "" && len(s) <= maxOwner
}

// decode takes a value apart; ok is false if it does not have the form. The
// entry's body is a part of value.
func decode(value []byte) (e Entry, ok bool) {
	rest, ok := bytes.CutPrefix(value, []byte(beforePosition))
	if !ok || value[len(value)-1] != '}' || len(rest) == 0 {
		return Entry{}, false
	}
	number, rest, ok := bytes.Cut(rest[:len(rest)-1], []byte(beforeOwner))
	if !ok || len(number) > 19 {
		return Entry{}, false
	}
	position, err := strconv.ParseInt(string(number), 10, 64)
	owner, body, ok := bytes.Cut(rest, []byte(beforeBody))
	if err != nil || !ok || position < 1 || len(body) == 0 || !plain(string(owner)) {
		return Entry{}, false
	}
	return Entry{Owner: string(owner), Position: position, Body: body}, true
}
