package rebuild

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/eventstore"
	"sallyport/projections"
)

// Codes of PostgreSQL's errors, and one of our own functions'.
const (
	lockNotAvailable = "55P03"
	noSuchRight      = "42501"
	schemaChanged    = "SP003"
)

var (
	// ErrRunning refuses a rebuild beside another.
	ErrRunning = errors.New("another rebuild is running on this database: wait for its end; nothing was changed")
	errChanged = errors.New("a migration changed the read model while it was made anew: run the rebuild again; the live one is as it was")
)

// explained says of a database's refusal what it means here.
func explained(err error) error {
	var refused *pgconn.PgError
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Code == noSuchRight:
		return fmt.Errorf("%w: the login of database.url lacks the rights of sallyport_app; run `sallyport migrate up` with SALLYPORT_DATABASE_MIGRATE_URL, which grants them", err)
	case refused.Code == schemaChanged:
		return fmt.Errorf("%w (%w)", errChanged, err)
	}
	return err
}

func isLockNotAvailable(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == lockNotAvailable
}

// elsewhere points the statements of a batch at the tables that are made anew.
// All of them name their tables with the schema.
func elsewhere(b *pgx.Batch) {
	for _, q := range b.QueuedQueries {
		q.SQL = strings.ReplaceAll(q.SQL, "readmodel.", "readmodel_rebuild.")
	}
}

// pageBytes bounds the lines of one page of events.
const pageBytes = 4 << 20

// replay applies the events with seq in (after, through] to the tables that
// are made anew, page by page. It tells of each page how far it has got.
func replay(ctx context.Context, on *pgx.Conn, types []string, models []eventstore.Projection, after, through int64, told func(at int64) error) error {
	for after < through {
		records, err := eventstore.ReadTypes(ctx, on, types, eventstore.Part{After: after, Through: through, MaxBytes: pageBytes})
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		if err := apply(ctx, on, models, records); err != nil {
			return err
		}
		after = records[len(records)-1].Seq
		if err := told(after); err != nil {
			return err
		}
	}
	return told(through)
}

// apply applies records together, as an append of them would.
func apply(ctx context.Context, on *pgx.Conn, models []eventstore.Projection, records []eventstore.Record) error {
	var b pgx.Batch
	for _, m := range models {
		if err := m.Apply(&b, records); err != nil {
			return err
		}
	}
	elsewhere(&b)
	if b.Len() == 0 {
		return nil
	}
	return eventstore.Send(ctx, on, &b)
}

// swap takes the head's lock, applies what has come since, and lets the tables
// change places, all in one transaction. It reports false if others were
// reading the live tables, and then has let go of everything.
func (r *run) swap(ctx context.Context, u projections.Unit, at int64, began time.Time) (seq int64, swapped bool, err error) {
	err = pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = on`); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT seq FROM log_head FOR UPDATE`).Scan(&seq); err != nil {
			return err
		}
		if err := replay(ctx, tx.Conn(), u.Types, u.Inline, at, seq, func(int64) error { return nil }); err != nil {
			return err
		}
		if err := r.tell(Progress{Doing: Swapping, Models: u.Models}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT rebuild_swap($1)`, u.Models); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, noteRebuild, u.Models, seq, time.Since(began).Milliseconds())
		return err
	})
	if isLockNotAvailable(err) {
		return 0, false, nil
	}
	return seq, err == nil, err
}

const noteRebuild = `
	INSERT INTO rebuilds (model, number, seq, took_ms)
	SELECT model, coalesce((SELECT max(number) FROM rebuilds), 0) + 1, $2, $3 FROM unnest($1::text[]) AS model
	ON CONFLICT (model) DO UPDATE SET number = excluded.number, seq = excluded.seq, took_ms = excluded.took_ms, rebuilt_at = excluded.rebuilt_at`
