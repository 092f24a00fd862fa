package eventstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Filter says which events are sought: those that have all that it names. The
// zero value is every event.
type Filter struct {
	Origin, Type, Stream, Actor, Corr string
	After                             int64 // seq, exclusive
	Through                           int64 // seq, inclusive; 0: to the end of the log
	Backward                          bool  // the newest first
}

// where is the filter as a condition on events. Only what is sought is in it:
// a plan for everything could use no index.
func (f Filter) where() (condition string, args []any) {
	var b strings.Builder
	add := func(text string, value any) {
		args = append(args, value)
		b.WriteString(text + "$" + strconv.Itoa(len(args)))
	}
	add("seq > ", f.After)
	if f.Through > 0 {
		add(" AND seq <= ", f.Through)
	}
	for _, c := range []struct{ column, value string }{
		{"stream", f.Stream}, {"corr", f.Corr}, {"actor", f.Actor}, {"type", f.Type}, {"origin", f.Origin}} {
		if c.value != "" {
			add(" AND "+c.column+" = ", c.value)
		}
	}
	return b.String(), args
}

// whole reports whether the filter leaves out nothing between its ends.
func (f Filter) whole() bool {
	return f.Origin == "" && f.Type == "" && f.Stream == "" && f.Actor == "" && f.Corr == ""
}

// next is the seq that comes first if nothing is left out; 0: the log's last.
func (f Filter) next() int64 {
	if f.Backward {
		return f.Through
	}
	return f.After + 1
}

// goPast leaves out all through an event that was given.
func (f *Filter) goPast(seq int64) {
	if f.Backward {
		f.Through = seq - 1
	} else {
		f.After = seq
	}
}

// possible reports whether an event could be sought so: the log holds no text with
// U+0000 and none that is not UTF-8, and its database refuses to be asked for such.
func (f Filter) possible() bool {
	for _, text := range []string{f.Origin, f.Type, f.Stream, f.Actor, f.Corr} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

// Stored is an event as it lies in the log: its line, and what this site knows
// of it beside.
type Stored struct {
	Seq      int64
	Origin   string
	StoredAt time.Time
	Type     string
	Line     []byte
}

// As for selectLines, only the lengths of what does not fit are looked at.
const selectStored = `
	SELECT seq, origin, stored_at, type, line FROM (
		SELECT seq, origin, stored_at, type, line, octet_length(line) AS bytes,
		       sum(octet_length(line)) OVER (ORDER BY %[1]s ROWS UNBOUNDED PRECEDING) AS through_here
		FROM (SELECT seq, origin, stored_at, type, line FROM events WHERE %[2]s ORDER BY %[1]s LIMIT %[3]d) AS page) AS measured
	WHERE through_here <= %[4]d OR through_here = bytes ORDER BY %[1]s`

// searchPage is how many events are sought in one statement. The first found
// are told before the next are sought.
const searchPage = 500

// Search gives the events that a filter seeks, in the order in which this site
// stored them, which within a stream is that of its versions, or in the opposite
// one. It asks for a
// page at a time and keeps no connection between them. Where nothing is left
// out it asserts that no seq is missing, and fails with a [*GapError]; after an
// error nothing follows.
func (s *Store) Search(ctx context.Context, f Filter) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		if !f.possible() {
			return
		}
		for {
			page, err := s.sought(ctx, f)
			for _, e := range page {
				if want := f.next(); f.whole() && want > 0 && e.Seq != want {
					yield(Stored{}, s.Hole(want, e.Seq))
					return
				}
				if !yield(e, nil) {
					return
				}
				f.goPast(e.Seq)
			}
			if err != nil {
				yield(Stored{}, err)
				return
			}
			if len(page) == 0 || f.Backward && f.Through == f.After {
				return
			}
		}
	}
}

// sought is one page. It is planned for its values: what is rare is found by
// an index, what is common along the log.
func (s *Store) sought(ctx context.Context, f Filter) ([]Stored, error) {
	condition, args := f.where()
	order := "seq"
	if f.Backward {
		order = "seq DESC"
	}
	rows, err := s.pool.Query(ctx, fmt.Sprintf(selectStored, order, condition, searchPage, MaxPageBytes),
		slices.Insert(args, 0, any(pgx.QueryExecModeExec))...)
	if err != nil {
		return nil, fmt.Errorf("search the log: %w", err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Stored])
	if err != nil {
		return nil, fmt.Errorf("search the log: %w", err)
	}
	return page, nil
}
