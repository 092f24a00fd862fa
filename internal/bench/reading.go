package bench

import (
	"context"
	"io"
	"time"
)

// copyLog writes the columns that a reader of lines gets, in whatever order
// they lie: what reading costs at least.
const copyLog = `COPY events (pos, type, line) TO STDOUT`

// readAgainstCopy compares reading the log in order, without a hole, to writing
// the same columns of the same rows out.
func readAgainstCopy(ctx context.Context, r *rig) (contest, error) {
	c, err := r.cross(ctx, "bulk", r.config.Bulk, usual)
	if err != nil {
		return contest{}, err
	}
	program, err := findProgram("psql", r.postgres.BinDir())
	if err != nil {
		return contest{limitName: "not measured: there is no psql on this machine"}, nil //nolint:nilerr // this is how it goes on without
	}
	database := c.from.Config.Site
	head, err := c.from.Log.Head(ctx)
	if err != nil {
		return contest{}, err
	}
	rate := func(read func(context.Context) error) measure {
		return func(ctx context.Context) (float64, error) {
			begin := time.Now()
			err := read(ctx)
			return float64(head.Pos) / time.Since(begin).Seconds(), err
		}
	}
	return contest{
		limitName: "psql COPY TO STDOUT of the same columns",
		subject: rate(func(ctx context.Context) error {
			for _, err := range c.from.Log.Lines(ctx, 0, head.Pos) {
				if err != nil {
					return err
				}
			}
			return nil
		}),
		limit: rate(func(ctx context.Context) error {
			return outputTo(ctx, io.Discard, program, "-X", "-q", "-d", r.postgres.DSN(database), "-c", copyLog)
		}),
	}, r.settle(ctx, database)
}
