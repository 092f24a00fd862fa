package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// Page is a part of a list. The zero value is its beginning.
type Page struct {
	Limit  int    // rows; 0: 100; more than [MaxPage]: MaxPage
	Cursor string // what the page before gave; empty: from the beginning
}

// MaxPage bounds the rows of a page.
const MaxPage = 1000

// ErrCursor refuses a cursor that no list has given.
var ErrCursor = errors.New("the cursor was not given by this list: begin without one")

const maxCursor = 1024

func (p Page) limit() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, MaxPage)
}

// after reads the key of the row that the page follows; nil for the first page.
func after[K any](p Page) (*K, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(text) > maxCursor || bytes.Contains(text, []byte(`\u0000`)) {
		return nil, ErrCursor
	}
	key := new(K)
	if err := json.Unmarshal(text, key); err != nil {
		return nil, ErrCursor
	}
	return key, nil
}

// cut takes a page from rows that were read with one row more than it holds,
// and makes the cursor of the next one; empty at the end.
func cut[R any, K any](p Page, rows []R, key func(R) K) ([]R, string) {
	if len(rows) <= p.limit() {
		return rows, ""
	}
	rows = rows[:p.limit()]
	text, err := json.Marshal(key(rows[len(rows)-1]))
	if err != nil {
		panic(err) // keys are texts, numbers and times of the database
	}
	return rows, base64.RawURLEncoding.EncodeToString(text)
}
