package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/projections"
	"sallyport/projections/tally"
)

// Step is what a rebuild is about.
type Step string

// The steps of a rebuild, in their order.
const (
	Beginning  Step = "begin"
	Filling    Step = "fill"
	Indexing   Step = "index"
	Analyzing  Step = "analyze"
	CatchingUp Step = "catch up"
	Swapping   Step = "swap"
	GivingWay  Step = "give way" // others read the live table: it is tried again
	Clearing   Step = "clear"
)

// How long those who read are let alone before swapping is tried again: the
// first time, and in the end.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 2 * time.Second
)

// Progress says how far a rebuild has got.
type Progress struct {
	Doing  Step
	Models []string // that are made anew together
	// Done of Total are positions of the log; 0 of 0 where there is nothing to count.
	Done, Total int64
}

// Config is what a rebuild needs.
type Config struct {
	Pool *pgxpool.Pool
	// Tell is told of each step, and of each page of it; its error ends the
	// rebuild. Nil: nobody is.
	Tell func(Progress) error
}

// Rebuilt is one read model that was made anew.
type Rebuilt struct {
	Model string `json:"model"`
	Rows  int64  `json:"rows"`
	Seq   int64  `json:"seq"` // of the log, when it was swapped
	// GaveWay is how often swapping was put off for those who read.
	GaveWay int   `json:"gave_way"`
	TookMS  int64 `json:"took_ms"`
}

// UnknownModelError says that there is no read model of a name.
type UnknownModelError struct {
	Name string
}

func (e *UnknownModelError) Error() string {
	return fmt.Sprintf("there is no read model %q: `sallyport projections status` names them; nothing was changed", e.Name)
}

// Units returns those units that the models are of, or all if there are none.
func Units(models []string) (chosen []projections.Unit, err error) {
	all := units()
	if len(models) == 0 {
		return all, nil
	}
	for _, m := range models {
		if !slices.ContainsFunc(all, func(u projections.Unit) bool { return slices.Contains(u.Models, m) }) {
			return nil, &UnknownModelError{m}
		}
	}
	for _, u := range all {
		if slices.ContainsFunc(models, func(m string) bool { return slices.Contains(u.Models, m) }) {
			chosen = append(chosen, u)
		}
	}
	return chosen, nil
}

// units are all there are: those that commit with the events, and the tally,
// which follows them.
func units() []projections.Unit {
	return append(projections.Units(), projections.Unit{Models: tally.Models()})
}

// run is one rebuild at work, on a connection of its own.
type run struct {
	conn *pgx.Conn
	pool *pgxpool.Pool // for what is done beside it
	tell func(Progress) error
}

// Run makes the named read models anew, or all, and with each those that can
// only be made with it. The error is an [*UnknownModelError] or [ErrRunning]
// before anything is begun; after any other error the models that it returns
// are rebuilt, and the others are as they were.
func Run(ctx context.Context, c Config, models ...string) (done []Rebuilt, err error) {
	units, err := Units(models)
	if err != nil {
		return nil, err
	}
	pooled, err := c.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("rebuild: %w; nothing was changed", err)
	}
	// Its settings and its lock end with the connection, whatever happens.
	r := &run{conn: pooled.Hijack(), pool: c.Pool, tell: c.Tell}
	defer func() { err = errors.Join(err, r.conn.Close(context.WithoutCancel(ctx))) }()
	if r.tell == nil {
		r.tell = func(Progress) error { return nil }
	}
	if err := r.alone(ctx); err != nil {
		return nil, err
	}
	for _, u := range units {
		made, err := r.unit(ctx, u)
		if err != nil {
			return done, fmt.Errorf("rebuild %s: %w; the live tables are as they were: it may be run again", u.Models[0], explained(err))
		}
		done = append(done, made...)
	}
	return done, nil
}

// alone takes the lock that only one rebuild has. One that was just killed is
// waited for: PostgreSQL takes a moment to notice. What a rebuild fills need not
// reach the disk at once: after a crash it begins anew. It goes through the log by
// seq: the index of types is one of whole ranges of pages, and a page of events
// found by it, where statistics mislead the planner, costs a look at all of them.
// A sample of 6,000 rows tells the planner enough of what was made; one of 30,000,
// which is usual, takes a fifth of a rebuild's time.
func (r *run) alone(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '2s'`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended('sallyport/rebuild', 0))`)
		return err
	})
	switch {
	case isLockNotAvailable(err):
		return ErrRunning
	case err != nil:
		return fmt.Errorf("rebuild: %w; nothing was changed", err)
	}
	_, err = r.conn.Exec(ctx, `SET synchronous_commit = off; SET enable_bitmapscan = off; SET jit = off; SET default_statistics_target = 20`)
	return err
}

func (r *run) unit(ctx context.Context, u projections.Unit) ([]Rebuilt, error) {
	began := time.Now()
	if err := r.step(ctx, Progress{Doing: Beginning, Models: u.Models}, `SELECT rebuild_clear(), rebuild_tables($1)`, u.Models); err != nil {
		return nil, err
	}
	at, err := r.fill(ctx, u)
	if err != nil {
		return nil, err
	}
	if err := r.step(ctx, Progress{Doing: Analyzing, Models: u.Models}, `SELECT rebuild_analyze($1)`, u.Models); err != nil {
		return nil, err
	}
	rows, err := r.counted(ctx, u.Models)
	if err != nil {
		return nil, err
	}
	seq, gaveWay, err := r.swapped(ctx, u, at, began)
	if err != nil {
		return nil, err
	}
	made := make([]Rebuilt, len(u.Models))
	for i, m := range u.Models {
		made[i] = Rebuilt{Model: m, Rows: rows[i], Seq: seq, GaveWay: gaveWay, TookMS: time.Since(began).Milliseconds()}
	}
	return made, r.step(ctx, Progress{Doing: Clearing, Models: u.Models}, `SELECT rebuild_clear()`)
}

func (r *run) step(ctx context.Context, p Progress, sql string, args ...any) error {
	if err := r.tell(p); err != nil {
		return err
	}
	_, err := r.conn.Exec(ctx, sql, args...)
	return err
}

// fill makes the rows of all events that are in the log now and returns the
// seq of the last.
func (r *run) fill(ctx context.Context, u projections.Unit) (through int64, err error) {
	if err := r.conn.QueryRow(ctx, `SELECT seq FROM log_head`).Scan(&through); err != nil {
		return 0, err
	}
	if slices.Contains(u.Models, "requests") {
		return through, r.foldRequests(ctx, u, through)
	}
	if err := r.index(ctx, u); err != nil {
		return 0, err
	}
	if slices.Equal(u.Models, tally.Models()) {
		return through, r.recount(ctx, u, through)
	}
	return through, replay(ctx, r.conn, u.Types, u.Inline, 0, through, r.telling(Filling, u, through))
}

const placeOfTally = `
	INSERT INTO readmodel_rebuild.requests_counted (seq, exported_through, acked_through)
	SELECT 0, coalesce(max(exported_through), 0), coalesce(max(acked_through), 0) FROM readmodel.requests_counted`

// recount counts all requests. What comes meanwhile is counted after the swap,
// from the place on that comes with the tables.
func (r *run) recount(ctx context.Context, u projections.Unit, through int64) error {
	if _, err := r.conn.Exec(ctx, placeOfTally); err != nil {
		return err
	}
	var link tally.Link
	if err := r.conn.QueryRow(ctx, `SELECT exported_through, acked_through FROM readmodel_rebuild.requests_counted`).Scan(&link.ExportedThrough, &link.AckedThrough); err != nil {
		return err
	}
	told := r.telling(Filling, u, through)
	for {
		left, err := tally.Advance(ctx, r.conn, "readmodel_rebuild", link, tally.Page)
		if err == nil {
			err = told(max(through-left, 0))
		}
		if err != nil || left <= few {
			return err
		}
	}
}

// index makes the indexes, without which nothing can be replayed. Where all
// rows of a table are put in without, that is quicker.
func (r *run) index(ctx context.Context, u projections.Unit) error {
	return r.step(ctx, Progress{Doing: Indexing, Models: u.Models}, `SELECT rebuild_index($1)`, u.Models)
}

func (r *run) telling(doing Step, u projections.Unit, total int64) func(at int64) error {
	return func(at int64) error { return r.tell(Progress{Doing: doing, Models: u.Models, Done: at, Total: total}) }
}

// few is how far behind the log a read model may be for the rest to be applied
// under the head's lock.
const few = 200

// swapped catches up and swaps, until nobody is in the way.
func (r *run) swapped(ctx context.Context, u projections.Unit, at int64, began time.Time) (seq int64, gaveWay int, err error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		if at, err = r.caughtUp(ctx, u, at); err != nil {
			return 0, gaveWay, err
		}
		seq, done, err := r.swap(ctx, u, at, began)
		if err != nil || done {
			return seq, gaveWay, err
		}
		gaveWay++
		if err := r.tell(Progress{Doing: GivingWay, Models: u.Models}); err != nil {
			return 0, gaveWay, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, gaveWay, ctx.Err()
		}
	}
}

func (r *run) caughtUp(ctx context.Context, u projections.Unit, at int64) (int64, error) {
	for {
		var head int64
		if err := r.conn.QueryRow(ctx, `SELECT seq FROM log_head`).Scan(&head); err != nil || head-at <= few {
			return at, err
		}
		if err := replay(ctx, r.conn, u.Types, u.Inline, at, head, r.telling(CatchingUp, u, head)); err != nil {
			return at, err
		}
		at = head
	}
}

func (r *run) counted(ctx context.Context, models []string) ([]int64, error) {
	rows := make([]int64, len(models))
	for i, m := range models {
		if err := r.conn.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{"readmodel_rebuild", m}.Sanitize()).Scan(&rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
