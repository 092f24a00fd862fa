package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
	"sallyport/internal/pgdev"
	"sallyport/internal/redisdev"
)

// rig is what all figures stand on.
type rig struct {
	config   Config
	dir      string
	postgres *pgdev.Server
	redis    *redisdev.Server // nil: none on this machine
	site     *site
	bare     *pgxpool.Pool // to the limits' own database
	limits   []*bareServer
	crossing map[string]*crossing // by name, see [rig.cross]
	grown    *grown               // nil: nobody asked yet
	answers  *answering           // nil: nobody asked yet
}

// limitDatabase is where the limits write, beside the site's own.
const limitDatabase = "bare"

// createRows makes the limits' table: a row is as long as an event's line and
// has the one index that nothing can do without.
const createRows = `CREATE TABLE IF NOT EXISTS bare_rows (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), line text NOT NULL)`

const insertRow = `INSERT INTO bare_rows (line) VALUES ($1)`

// start starts the servers and makes the site. What it returns is to be
// stopped, also after an error.
func start(ctx context.Context, c Config) (*rig, error) {
	r := &rig{config: c}
	var err error
	if r.dir, err = os.MkdirTemp(c.Dir, "sallyport-bench-"); err != nil {
		return r, fmt.Errorf("make a folder for the benchmark: %w", err)
	}
	// Traversable, so that PostgreSQL's own account reaches its cluster when we are root.
	if err := os.Chmod(r.dir, 0o711); err != nil { //nolint:gosec // as above
		return r, err
	}
	for _, step := range []func(context.Context) error{r.startServers, r.makeBare, r.makeSite} {
		if err := step(ctx); err != nil {
			return r, fmt.Errorf("set the benchmark up: %w", err)
		}
	}
	return r, nil
}

func (r *rig) startServers(ctx context.Context) (err error) {
	r.postgres, err = pgdev.Start(ctx, pgdev.Config{Dir: filepath.Join(r.dir, "postgres"), Say: r.config.Say})
	if err != nil {
		return err
	}
	r.redis, err = redisdev.Start(ctx, redisdev.Config{Dir: filepath.Join(r.dir, "redis"), Say: r.config.Say})
	if errors.Is(err, redisdev.ErrNoServer) {
		return nil
	}
	return err
}

func (r *rig) makeBare(ctx context.Context) (err error) {
	if _, err := r.postgres.EnsureDatabase(ctx, limitDatabase); err != nil {
		return err
	}
	if r.bare, err = eventstore.Pool(ctx, r.postgres.DSN(limitDatabase), bareConns); err != nil {
		return err
	}
	_, err = r.bare.Exec(ctx, createRows)
	return err
}

func (r *rig) makeSite(ctx context.Context) (err error) {
	r.site, err = makeSite(ctx, r, siteDatabase)
	return err
}

// crowd returns callers that measure as the configuration says.
func (r *rig) crowd(size int) crowd {
	return crowd{size: size, warm: r.config.Warm, measure: r.config.Measure}
}

// stop ends everything, last started first, and removes the files.
func (r *rig) stop(ctx context.Context) error {
	var errs []error
	for _, b := range r.limits {
		errs = append(errs, b.stop())
	}
	for _, c := range r.crossing {
		errs = append(errs, c.close())
	}
	if r.grown != nil {
		errs = append(errs, r.grown.stop())
	}
	if r.answers != nil {
		errs = append(errs, r.answers.stop())
	}
	if r.site != nil {
		errs = append(errs, r.site.stop())
	}
	if r.bare != nil {
		r.bare.Close()
	}
	if r.redis != nil {
		errs = append(errs, r.redis.Stop(ctx))
	}
	if r.postgres != nil {
		errs = append(errs, r.postgres.Stop(ctx))
	}
	return errors.Join(append(errs, r.remove())...)
}

// remove removes the files. The cluster's lie elsewhere when PostgreSQL's
// account cannot enter the folder, see [pgdev].
func (r *rig) remove() error {
	if r.dir == "" {
		return nil
	}
	var errs []error
	if far, err := os.Readlink(filepath.Join(r.dir, "postgres", "cluster")); err == nil {
		errs = append(errs, os.RemoveAll(far))
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// settle gives a database's own background work its turn now, so that it does
// not fall into a pair.
func (r *rig) settle(ctx context.Context, databases ...string) error {
	for _, database := range databases {
		conn, err := pgx.Connect(ctx, r.postgres.DSN(database))
		if err != nil {
			return err
		}
		_, vacuumed := conn.Exec(ctx, `VACUUM (ANALYZE)`)
		_, written := conn.Exec(ctx, `CHECKPOINT`)
		if err := errors.Join(vacuumed, written, conn.Close(ctx)); err != nil {
			return err
		}
	}
	return nil
}
