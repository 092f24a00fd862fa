package projections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/eventstore"
)

// project makes a function a projection.
type project func(b *pgx.Batch, records []eventstore.Record) error

// Apply implements [eventstore.Projection].
func (p project) Apply(b *pgx.Batch, records []eventstore.Record) error { return p(b, records) }

// latest gathers the rows of one batch under their keys, in the order in
// which the keys first came: PostgreSQL refuses to insert or update one row
// twice in a statement.
type latest[R any] struct {
	keys []string
	rows map[string]R
}

// fold puts row in place, or what merge makes of it and the row before it.
func (l *latest[R]) fold(key string, row R, merge func(before, after R) R) {
	if l.rows == nil {
		l.rows = map[string]R{}
	}
	before, seen := l.rows[key]
	if !seen {
		l.keys = append(l.keys, key)
	} else {
		row = merge(before, row)
	}
	l.rows[key] = row
}

// text makes s fit a column of text.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// compact writes JSON as its event's line holds it, so that the site that
// wrote the event has the same bytes as those who mirror it.
func compact(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "null", nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", fmt.Errorf("a fact holds what is no JSON: %w", err)
	}
	return b.String(), nil
}
