package reactor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Place is how far a reactor has got in the log.
type Place struct {
	Reactor  string `json:"reactor"`
	Position int64  `json:"position"` // seq of the last event that it is past
	Behind   int64  `json:"behind"`   // events stored since
	// BehindSeconds is how long the first of these has been waiting.
	BehindSeconds float64 `json:"behind_seconds"`
}

// The head is read with the places: what is stored meanwhile makes nobody late.
const selectPlaces = `
	SELECT o.reactor, o.seq, greatest(h.seq - o.seq, 0),
	       coalesce(greatest(extract(epoch FROM clock_timestamp() - e.stored_at), 0), 0)::float8
	FROM reactor_offsets AS o CROSS JOIN log_head AS h LEFT JOIN events AS e ON e.seq = o.seq + 1
	ORDER BY o.reactor`

// Places returns how far the reactors of a site are, whichever process runs
// them.
func Places(ctx context.Context, pool *pgxpool.Pool) ([]Place, error) {
	rows, err := pool.Query(ctx, selectPlaces)
	if err != nil {
		return nil, fmt.Errorf("read how far the reactors are: %w", err)
	}
	places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Place])
	if err != nil {
		return nil, fmt.Errorf("read how far the reactors are: %w", err)
	}
	return places, nil
}

// begin gives the handlers that are new their places: the log's beginning. It
// is done before the router runs, which cannot end what it began if one of its
// handlers fails to.
func (r *Reactor) begin(ctx context.Context) error {
	names := make([]string, len(r.config.Handlers))
	for i, h := range r.config.Handlers {
		names[i] = h.Name
	}
	_, err := r.config.Pool.Exec(ctx, `INSERT INTO reactor_offsets (reactor, seq) SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING`, names)
	return err
}

// The transaction need not wait for the disk: what a crash of the database
// makes it forget is forgotten together with the place, and done again.
const movePlace = `
	UPDATE reactor_offsets AS o SET seq = $2
	FROM (SELECT set_config('synchronous_commit', 'off', true)) AS quick
	WHERE o.reactor = $1 AND o.seq < $2`

// inTx calls a handler in a transaction that also moves its place past the
// event. When the answer to its commit is lost, the next try finds it there.
func (r *Reactor) inTx(ctx context.Context, h Handler, e Event) error {
	return pgx.BeginFunc(ctx, r.config.Pool, func(tx pgx.Tx) error {
		moved, err := tx.Exec(ctx, movePlace, h.Name, e.Seq)
		if err != nil {
			return fmt.Errorf("move the place of the reactor %s: %w", h.Name, err)
		}
		if moved.RowsAffected() == 0 {
			return nil
		}
		return h.HandleTx(ctx, tx, e)
	})
}
