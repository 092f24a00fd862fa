package eventstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A range of positions, not a LIMIT, bounds the page: no plan that the
// database may choose then touches more than the page's rows.
const (
	selectEntries = `SELECT pos, stream, type, octet_length(line) FROM events WHERE origin = $1 AND pos > $2 AND pos <= $3 ORDER BY pos`
	copyOwnLines  = `COPY (SELECT pos, type, line FROM events WHERE origin = '%s' AND pos > %d AND pos <= %d ORDER BY pos) TO STDOUT (FORMAT binary)`
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
			return nil, s.Hole(want, e.Pos)
		}
	}
	if have := after + int64(len(entries)); have < through {
		return nil, s.Hole(have+1, through)
	}
	return entries, nil
}

// Lines gives this site's own lines with pos in (after, through], in order and
// one at a time: the database works on the next while the caller is busy with
// this one. A line's Bytes are good until the next is asked for, its Stream is
// left empty. It fails with a [*GapError] where a position is missing; after an
// error nothing follows. Who leaves the loop early costs the pool a connection.
func (s *Store) Lines(ctx context.Context, after, through int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for at := after; at < through; at += longPage {
			err := s.ownLines(ctx, at, min(at+longPage, through), yield)
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

// longPage is how many lines are read in one statement where they are not
// kept: between two of them the caller waits for the database.
const longPage = MaxPage

// errEnough says that the caller has left the loop.
var errEnough = errors.New("enough")

// ownLines reads by COPY, which costs half of what rows of a query do.
func (s *Store) ownLines(ctx context.Context, after, through int64, yield func(Line, error) bool) error {
	rows := copiedLines{at: after, yield: yield}
	err := s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		site, err := c.Conn().PgConn().EscapeString(s.site.Site) // COPY takes no parameters
		if err != nil {
			return err
		}
		_, err = c.Conn().PgConn().CopyTo(ctx, &rows, fmt.Sprintf(copyOwnLines, site, after, through))
		return err
	})
	var gap *GapError
	switch {
	case errors.Is(err, errEnough):
		return err
	case errors.As(err, &gap):
		return s.Hole(gap.Want, gap.Got)
	case err != nil:
		return fmt.Errorf("read the log: %w", err)
	case rows.at != through:
		return s.Hole(rows.at+1, through)
	}
	return nil
}

// copiedLines takes the rows of COPY in its binary format (PostgreSQL, COPY,
// "Binary Format"), which the server sends one a message, and yields them.
type copiedLines struct {
	at    int64 // the last position that was yielded
	line  Line
	yield func(Line, error) bool
}

// Write takes one row. The first comes with the format's header before it, the
// last is its end.
func (c *copiedLines) Write(row []byte) (int, error) {
	rest := bytes.TrimPrefix(row, copyHeader)
	if len(rest) == 0 || bytes.Equal(rest, copyEnd) {
		return len(row), nil
	}
	var fields [3][]byte
	if !splitRow(rest, fields[:]) || len(fields[0]) != 8 {
		return 0, errors.New("COPY gave a row of another format")
	}
	c.line.Pos = int64(binary.BigEndian.Uint64(fields[0])) //nolint:gosec // what PostgreSQL sends as bigint
	if typ := fields[1]; string(typ) != c.line.Type {      // there are few, mostly in a row
		c.line.Type = string(typ)
	}
	c.line.Bytes = fields[2]
	if c.at++; c.line.Pos != c.at {
		return 0, &GapError{Want: c.at, Got: c.line.Pos}
	}
	if !c.yield(c.line, nil) {
		return 0, errEnough
	}
	return len(row), nil
}

var (
	// Eleven bytes of signature, no flags, no extension.
	copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	copyEnd    = []byte{0xff, 0xff}
)

// splitRow finds the fields of a row and reports whether there are as many as
// asked for, none of them null, and nothing else.
func splitRow(row []byte, fields [][]byte) bool {
	if len(row) < 2 || int(binary.BigEndian.Uint16(row)) != len(fields) {
		return false
	}
	row = row[2:]
	for i := range fields {
		if len(row) < 4 {
			return false
		}
		n := binary.BigEndian.Uint32(row)
		if row = row[4:]; uint64(n) > uint64(len(row)) {
			return false
		}
		fields[i], row = row[:n:n], row[n:]
	}
	return len(row) == 0
}
