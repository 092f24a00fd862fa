package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/projections/rebuild"
)

// manyToRebuild is from how many events on a rebuild takes so long that one
// pair has to do.
const manyToRebuild = 500_000

// createRebuilt makes the limit's table anew: columns and indexes of the read
// model.
const createRebuilt = `DROP TABLE IF EXISTS copied_rows; CREATE TABLE copied_rows (LIKE readmodel.requests INCLUDING ALL)`

// rebuildAgainstCopy compares making requests anew, with all that is made with
// them, to writing the very rows that come out of it.
func rebuildAgainstCopy(ctx context.Context, r *rig) (contest, error) {
	g, err := r.grow(ctx)
	if err != nil {
		return contest{}, err
	}
	path := filepath.Join(r.dir, "requests.copy")
	if err := r.copyOut(ctx, path); err != nil {
		return contest{}, err
	}
	return contest{
		limitName: "COPY of the final rows of requests into a table with the same indexes",
		once:      r.config.Events >= manyToRebuild,
		subject: func(ctx context.Context) (float64, error) {
			begin := time.Now()
			made, err := rebuild.Run(ctx, rebuild.Config{Pool: g.many.Pool}, "requests")
			if err != nil {
				return 0, err
			}
			return float64(made[0].Rows) / time.Since(begin).Seconds(), nil
		},
		limit: func(ctx context.Context) (float64, error) { return r.copyIn(ctx, path) },
	}, r.settle(ctx, manyDatabase)
}

// copyOut writes the rows of requests to a file.
func (r *rig) copyOut(ctx context.Context, path string) error {
	conn, err := pgx.Connect(ctx, r.postgres.DSN(manyDatabase))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what it read was read
	f, err := os.Create(path)                    // #nosec G304 -- in our own folder
	if err != nil {
		return err
	}
	if _, err := conn.PgConn().CopyTo(ctx, f, `COPY readmodel.requests TO STDOUT (FORMAT binary)`); err != nil {
		return fmt.Errorf("copy the rows out: %w", err)
	}
	return f.Close()
}

// copyIn copies them into a new table and returns how many a second.
func (r *rig) copyIn(ctx context.Context, path string) (float64, error) {
	conn, err := pgx.Connect(ctx, r.postgres.DSN(manyDatabase))
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the copy committed by itself
	if _, err := conn.Exec(ctx, createRebuilt); err != nil {
		return 0, err
	}
	f, err := os.Open(path) // #nosec G304 -- in our own folder
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	begin := time.Now()
	tag, err := conn.PgConn().CopyFrom(ctx, f, `COPY copied_rows FROM STDIN (FORMAT binary)`)
	if err != nil {
		return 0, fmt.Errorf("copy the rows in: %w", err)
	}
	return float64(tag.RowsAffected()) / time.Since(begin).Seconds(), nil
}
