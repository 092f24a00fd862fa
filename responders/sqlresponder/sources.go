package sqlresponder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
)

// Config is what the responder needs to know.
type Config struct {
	// URLs gives each source's connection string by the source's name, a slug.
	URLs map[string]string
	// MaxConns bounds the connections to each source; 0 means 8.
	MaxConns int32
	// Logger is told of sources that cannot be reached. Required.
	Logger *slog.Logger
}

// Responder answers from its sources. It is safe for concurrent use.
type Responder struct {
	sources map[string]*pgxpool.Pool
}

// ErrSuperuser refuses a source whose login may do everything: no other wall
// would hold.
var ErrSuperuser = errors.New("the source's login is a superuser: give it a role that may only read")

const (
	defaultMaxConns = 8
	connectTimeout  = 5 * time.Second
)

// Open prepares the sources. One that cannot be reached now is kept and tried
// again when it is asked; one with a bad name, an unreadable connection string
// or a superuser's login is an error, which shows neither. Close ends it.
func Open(ctx context.Context, c Config) (*Responder, error) {
	r := &Responder{sources: make(map[string]*pgxpool.Pool, len(c.URLs))}
	for _, name := range slices.Sorted(maps.Keys(c.URLs)) {
		pool, err := open(ctx, name, c)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.sources[name] = pool
	}
	return r, nil
}

// Close closes all connections, waiting for statements that still run. It may
// be called more than once.
func (r *Responder) Close() {
	for _, pool := range r.sources {
		pool.Close()
	}
}

func open(ctx context.Context, name string, c Config) (*pgxpool.Pool, error) {
	if !domain.ValidSlug(name) {
		return nil, fmt.Errorf("source %q: a source's name must be 2 to 64 of a-z 0-9 -", name)
	}
	config, err := pgxpool.ParseConfig(c.URLs[name])
	if err != nil {
		return nil, fmt.Errorf("source %s: its connection string does not parse (it is not shown: it may hold a password)", name)
	}
	pool, err := pgxpool.NewWithConfig(ctx, readOnly(config, c.MaxConns))
	if err != nil {
		return nil, fmt.Errorf("source %s: its connection string cannot be used", name)
	}
	err = pool.Ping(ctx)
	switch {
	case errors.Is(err, ErrSuperuser):
		pool.Close()
		return nil, fmt.Errorf("source %s: %w", name, ErrSuperuser)
	case err != nil:
		c.Logger.WarnContext(ctx, "a source cannot be reached; its requests will be tried again",
			slog.String("source", name), slog.String("reason", reason(err)))
	}
	return pool, nil
}

// maxMessage is the longest message that is taken from a source, such as a row: it
// is held whole. An answer has no room for a longer one.
const maxMessage = 16 << 20

// readOnly makes every session of the pool one that cannot write.
func readOnly(c *pgxpool.Config, maxConns int32) *pgxpool.Config {
	if maxConns <= 0 {
		maxConns = defaultMaxConns
	}
	c.MaxConns = maxConns
	c.MaxConnIdleTime = 5 * time.Minute
	c.ConnConfig.ConnectTimeout = connectTimeout
	for name, value := range map[string]string{
		"application_name":                    "sallyport-responder", // not as one that works on the log
		"default_transaction_read_only":       "on",
		"statement_timeout":                   "30s",
		"idle_in_transaction_session_timeout": "10s",
		"timezone":                            "UTC",
		"datestyle":                           "ISO",
		"bytea_output":                        "hex",
		"extra_float_digits":                  "1",
	} {
		c.ConnConfig.RuntimeParams[name] = value
	}
	c.AfterConnect = refuseSuperuser
	c.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxMessage)
		return f
	}
	return c
}

// The session's own user counts as well: a statement could return to it.
const isSuperuser = `SELECT coalesce(bool_or(rolsuper), true) FROM pg_roles WHERE rolname IN (current_user, session_user)`

func refuseSuperuser(ctx context.Context, conn *pgx.Conn) error {
	var super bool
	if err := conn.QueryRow(ctx, isSuperuser).Scan(&super); err != nil {
		return fmt.Errorf("look up the login's rights: %w", err)
	}
	if super {
		return ErrSuperuser
	}
	return nil
}
