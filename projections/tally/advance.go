package tally

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// live is the schema of the tables that are read.
const live = "readmodel"

// Models are the tables of the schema readmodel that are made anew together.
func Models() []string { return []string{"request_counts", "request_times", "requests_counted"} }

// Link is how far the link to the site that answers has got, which refines what
// is pending; zero on that site itself.
type Link struct{ ExportedThrough, AckedThrough int64 }

// place is how much is counted.
type place struct {
	seq  int64
	link Link
}

// Page is how much is usually counted at once: so many positions of the log, and
// so many of what crossed. It takes some tens of milliseconds.
const Page = 1_000

// Beginner is what a transaction is begun on.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// The statement must find few events of a long log by its keys, whatever the
// planner believes of it. What is forgotten in a crash of the database is
// forgotten with the place.
const (
	sparsely    = `SET LOCAL synchronous_commit = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off`
	selectPlace = `SELECT c.seq, c.exported_through, c.acked_through, h.seq, h.site FROM readmodel.requests_counted AS c, log_head AS h`
)

// Advance counts a page further, of at most so many positions, into the tables
// of a schema. It returns how many positions of the log are left: those that are
// not counted, and those that have crossed and are not counted so.
func Advance(ctx context.Context, on Beginner, schema string, link Link, most int64) (left int64, err error) {
	err = pgx.BeginFunc(ctx, on, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sparsely); err != nil {
			return err
		}
		at, end, site, err := where(ctx, tx, in(schema, selectPlace+` FOR UPDATE OF c`), link)
		if err != nil || at == end {
			return err
		}
		to := place{at.seq + min(end.seq-at.seq, most), Link{toward(at.link.ExportedThrough, link.ExportedThrough, most), toward(at.link.AckedThrough, link.AckedThrough, most)}}
		left = to.left(end)
		_, err = tx.Exec(ctx, in(schema, count), at.seq, at.link.ExportedThrough, at.link.AckedThrough, to.seq, to.link.ExportedThrough, to.link.AckedThrough, site)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count requests: %w", err)
	}
	return left, nil
}

// where says how far is counted and how far it can be.
func where(ctx context.Context, on querier, sql string, link Link) (at, end place, site string, err error) {
	end.link = link
	err = on.QueryRow(ctx, sql).Scan(&at.seq, &at.link.ExportedThrough, &at.link.AckedThrough, &end.seq, &site)
	return at, end, site, err
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// in points a statement at the tables of a schema.
func in(schema, sql string) string { return strings.ReplaceAll(sql, "readmodel.", schema+".") }

// toward is how far the link is counted next: it may have been set back.
func toward(at, wanted, most int64) int64 { return max(min(wanted, at+most), at-most) }

func (p place) left(end place) int64 {
	return end.seq - p.seq + distance(p.link.ExportedThrough, end.link.ExportedThrough) + distance(p.link.AckedThrough, end.link.AckedThrough)
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
