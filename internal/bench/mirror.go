package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
)

// What a transaction of an import holds, and one of its limit.
const (
	mirrored = 1000
	copied   = 500
)

// createCopies makes the limit's tables: columns and indexes of the log and of
// the read model that the rows go into.
const createCopies = `CREATE TABLE IF NOT EXISTS copied_events (LIKE events INCLUDING ALL);
	CREATE TABLE IF NOT EXISTS copied_requests (LIKE readmodel.requests INCLUDING ALL)`

// createCursor makes the row that stands for a link's cursor.
const createCursor = `CREATE TABLE IF NOT EXISTS cursor (origin text PRIMARY KEY, through bigint NOT NULL, chain bytea NOT NULL)`

func importAgainstCopy(ctx context.Context, r *rig) (contest, error) {
	c, err := r.cross(ctx, "bulk", r.config.Bulk, usual)
	if err != nil {
		return contest{}, err
	}
	for _, sql := range []string{createCopies, createCursor, `GRANT SELECT, INSERT, UPDATE ON cursor TO sallyport_app`} {
		if _, err := c.owner.Exec(ctx, sql); err != nil {
			return contest{}, err
		}
	}
	n := max(mirrored, int(r.config.Bulk/3000))
	origins, rows := 0, int64(0)
	rate := func(store func(context.Context, []eventstore.Mirrored) error) measure {
		return func(ctx context.Context) (float64, error) {
			origins++
			parts, err := arriving("origin"+strconv.Itoa(origins), n, func(i int) (domain.RequestSubmitted, error) { return asked(i, usual) })
			if err != nil {
				return 0, err
			}
			begin := time.Now()
			err = store(ctx, parts)
			return float64(n) / time.Since(begin).Seconds(), err
		}
	}
	return contest{
		limitName: "pgx CopyFrom of the same rows into the same indexes, 500 a transaction",
		subject:   rate(func(ctx context.Context, parts []eventstore.Mirrored) error { return mirror(ctx, c.to, parts) }),
		limit: rate(func(ctx context.Context, parts []eventstore.Mirrored) error {
			rows += int64(n)
			return copyRows(ctx, c.owner, parts, rows)
		}),
	}, r.settle(ctx, c.from.Config.Site, c.to.Config.Site)
}

// arriving makes n requests of a site, decoded, in the portions that an import
// stores them in.
func arriving(origin string, n int, request func(i int) (domain.RequestSubmitted, error)) (parts []eventstore.Mirrored, err error) {
	for at := 0; at < n; at += mirrored {
		m := eventstore.Mirrored{Origin: origin}
		for i := at; i < min(n, at+mirrored); i++ {
			fact, err := request(i)
			if err != nil {
				return nil, err
			}
			data, err := domain.Encode(fact)
			if err != nil {
				return nil, err
			}
			kind, _ := domain.KindOf(fact.EventType())
			id := newID()
			e := domain.Event{Pos: int64(i + 1), ID: id, Stream: domain.RequestStream(newID()), Ver: 1, Type: kind.Type, Schema: kind.Schema,
				At: time.Now().UTC().Truncate(time.Microsecond), Actor: fact.User, Corr: id, Data: data}
			m.Events, m.Facts = append(m.Events, e), append(m.Facts, domain.Fact(fact))
			m.Lines = append(m.Lines, bundle.AppendEvent(nil, bundle.Event{Pos: e.Pos, ID: e.ID, Stream: e.Stream, Ver: e.Ver, Type: e.Type,
				Schema: int64(e.Schema), At: e.At, Actor: e.Actor, Corr: e.Corr, Data: e.Data}))
		}
		parts = append(parts, m)
	}
	return parts, nil
}

// mirror stores the parts as the bridge does: the chain is made, and the
// cursor is asserted and moved in the transaction of the events.
func mirror(ctx context.Context, to *boot.Site, parts []eventstore.Mirrored) error {
	chain := eventstore.Genesis("", parts[0].Origin)
	if _, err := to.Pool.Exec(ctx, `INSERT INTO cursor VALUES ($1, 0, $2)`, parts[0].Origin, chain[:]); err != nil {
		return err
	}
	for _, m := range parts {
		for _, line := range m.Lines {
			chain = chain.Next(line)
		}
		through := m.Events[len(m.Events)-1].Pos
		m.With = func(ctx context.Context, tx pgx.Tx) error {
			var at int64
			if err := tx.QueryRow(ctx, `SELECT through FROM cursor WHERE origin = $1 FOR UPDATE`, m.Origin).Scan(&at); err != nil {
				return err
			}
			if want := m.Events[0].Pos - 1; at != want {
				return fmt.Errorf("the cursor is at %d, want %d", at, want)
			}
			_, err := tx.Exec(ctx, `UPDATE cursor SET through = $2, chain = $3 WHERE origin = $1`, m.Origin, through, chain[:])
			return err
		}
		if err := to.Log.Mirror(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

var (
	eventColumns   = []string{"seq", "origin", "pos", "id", "stream", "ver", "type", "at", "actor", "corr", "line"}
	requestColumns = []string{"id", "origin", "pos", "user_id", "type", "type_version", "params", "name", "priority", "created_at"}
)

// copyRows stores the parts' rows with COPY; seq is the last that was used.
func copyRows(ctx context.Context, pool *pgxpool.Pool, parts []eventstore.Mirrored, seq int64) error {
	for _, m := range parts {
		for from := 0; from < len(m.Events); from += copied {
			to := min(len(m.Events), from+copied)
			err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return copySome(ctx, tx, m, from, to, seq) })
			if err != nil {
				return err
			}
			seq += int64(to - from)
		}
	}
	return nil
}

func copySome(ctx context.Context, tx pgx.Tx, m eventstore.Mirrored, from, to int, seq int64) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"copied_events"}, eventColumns, pgx.CopyFromSlice(to-from, func(i int) ([]any, error) {
		e := m.Events[from+i]
		id, err := uuid.Parse(e.ID)
		return []any{seq + int64(i) + 1, m.Origin, e.Pos, [16]byte(id), e.Stream, e.Ver, e.Type, e.At, e.Actor, e.Corr, m.Lines[from+i]}, err
	}))
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"copied_requests"}, requestColumns, pgx.CopyFromSlice(to-from, func(i int) ([]any, error) {
		e, f := m.Events[from+i], m.Facts[from+i].(domain.RequestSubmitted)
		id, _ := domain.RequestOf(e.Stream)
		return []any{id, m.Origin, e.Pos, f.User, f.Type, f.TypeVersion, []byte(f.Params), f.Name, f.Priority, e.At}, nil
	}))
	return err
}
