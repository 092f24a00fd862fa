package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// A range of positions, not a LIMIT, bounds the page: no plan that the
// database may choose then touches more than the page's rows.
const (
	ownPage        = ` FROM events WHERE origin = $1 AND pos > $2 AND pos <= $3 ORDER BY pos`
	selectOwnLines = `SELECT pos, type, line` + ownPage
	selectEntries  = `SELECT pos, stream, type, octet_length(line)` + ownPage
)

// Entry is what there is to know of a line without reading it.
type Entry struct {
	Pos    int64
	Stream string
	Type   string
	Size   int64 // of the line in bytes, without line feed
}

// Entries returns what this site's own lines with pos in (after, through] are,
// in order and without a hole, at most [MaxPage] of them. It fails with a
// [*GapError] where a position is missing.
func (s *Store) Entries(ctx context.Context, after, through int64) ([]Entry, error) {
	through = min(through, after+MaxPage)
	rows, err := s.pool.Query(ctx, selectEntries, s.site.Site, after, through)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	entries, err := pgx.AppendRows(make([]Entry, 0, max(through-after, 0)), rows, func(row pgx.CollectableRow) (e Entry, err error) {
		err = row.Scan(&e.Pos, &e.Stream, &e.Type, &e.Size)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	for i, e := range entries {
		if want := after + 1 + int64(i); e.Pos != want {
			return nil, &GapError{Want: want, Got: e.Pos}
		}
	}
	if have := after + int64(len(entries)); have < through {
		return nil, &GapError{Want: have + 1, Got: through}
	}
	return entries, nil
}

// Lines gives this site's own lines with pos in (after, through], in order and
// one at a time: the database works on the next while the caller is busy with
// this one. A line's Bytes are good until the next is asked for, its Stream is
// left empty. It fails with a [*GapError] where a position is missing; after an
// error nothing follows.
func (s *Store) Lines(ctx context.Context, after, through int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for at := after; at < through; at += MaxPage {
			err := s.ownLines(ctx, at, min(at+MaxPage, through), yield)
			if errors.Is(err, errEnough) {
				return
			}
			if err != nil {
				yield(Line{}, err)
				return
			}
		}
	}
}

// errEnough says that the caller has left the loop.
var errEnough = errors.New("enough")

func (s *Store) ownLines(ctx context.Context, after, through int64, yield func(Line, error) bool) error {
	// Who leaves early must not have to take in the rest of the page first.
	ctx, cancel := context.WithCancel(ctx)
	rows, err := s.pool.Query(ctx, selectOwnLines, s.site.Site, after, through)
	if err != nil {
		cancel()
		return fmt.Errorf("read the log: %w", err)
	}
	defer rows.Close()
	defer cancel() // before Close
	at := after
	var line Line
	var typ pgtype.DriverBytes
	for rows.Next() {
		if err := rows.Scan(&line.Pos, &typ, (*pgtype.DriverBytes)(&line.Bytes)); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if string(typ) != line.Type { // there are few, mostly in a row
			line.Type = string(typ)
		}
		if at++; line.Pos != at {
			return &GapError{Want: at, Got: line.Pos}
		}
		if !yield(line, nil) {
			return errEnough
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if at != through {
		return &GapError{Want: at + 1, Got: through}
	}
	return nil
}
