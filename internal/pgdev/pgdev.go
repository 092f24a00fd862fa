// Package pgdev runs a private PostgreSQL server in a folder: for development, tests and benchmarks, never for a
// real site.
//
//	Config.Dir/            claimed by one process at a time (owndir)
//	├── lock
//	├── data/              the cluster
//	├── run/               the Unix socket, 0700; a short folder elsewhere when this path is too long
//	└── server.log         of the last start
//
// What is promised:
//   - The server listens on a Unix socket in a private folder and on nothing else: no port can clash, and who may
//     enter the folder may connect without a password.
//   - PostgreSQL refuses to run as root, so when we are root everything is run and owned by the account postgres, else
//     nobody. When that account cannot enter Dir (a home folder, say), the four entries above except the lock lie in
//     /var/lib/sallyport-dev/ and Dir holds a link called cluster that points there.
//   - Server programs are those found on the machine, else those of the embedded-postgres project, downloaded once
//     into a cache; Config.Say tells which.
//   - A server left running by a killed process is found and used again; what a crash left in the folder is recovered
//     by PostgreSQL itself. A half-made cluster is made anew: initdb works beside data/ and renames at the end.
//
// Not promised: protection from other programs of the same account, and clusters of another major version than the
// programs at hand (an error says which version is needed; the cluster is not touched).
package pgdev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/owndir"
)

// Config tells where and how a server runs.
type Config struct {
	// Dir is the folder of the server, made when absent. Required unless Ephemeral.
	Dir string
	// Say is told, in a sentence without a line end, what is used, downloaded or made. Nil: nobody is told.
	Say func(format string, args ...any)
	// Cache is where downloaded server programs are kept. Empty: sallyport/ in the user's cache folder; /var/cache/sallyport
	// when we are root, since another account must be able to run them.
	Cache string
	// Search lists the folders in which server programs are looked for, best first. Nil: the usual places of Linux
	// and macOS. Empty but not nil: none, so that programs are downloaded.
	Search []string
	// Settings are server settings (postgresql.conf) on top of the defaults of this package.
	Settings map[string]string
	// Ephemeral trades durability for speed (fsync off and the like). With an empty Dir the server lives in a
	// temporary folder that Stop removes.
	Ephemeral bool
	// Shared gives the claim on Dir back once the server runs, so that other processes may find and use it too.
	Shared bool
}

func (c Config) say(format string, args ...any) {
	if c.Say != nil {
		c.Say(format, args...)
	}
}

// Server is a running server.
type Server struct {
	cluster cluster
	claim   *owndir.Claim
	remove  string // temporary folder to remove at Stop, or empty

	mu      sync.Mutex
	stopped bool
}

// Start makes the cluster if there is none, starts its server or finds it running, and returns when it answers. The
// error is an *owndir.InUseError when another process has claimed the folder.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := &Server{}
	if cfg.Dir == "" {
		if !cfg.Ephemeral {
			return nil, errors.New("start private postgresql: no folder given: set Dir")
		}
		dir, err := os.MkdirTemp("", "sallyport-pg-")
		if err != nil {
			return nil, fmt.Errorf("start private postgresql: %w", err)
		}
		cfg.Dir, s.remove = dir, dir
	}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("start private postgresql in %s: %w", cfg.Dir, err), s.giveUp())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) error {
	who, err := serverAccount()
	if err != nil {
		return err
	}
	dir, err := prepareDir(cfg.Dir, who)
	if err != nil {
		return err
	}
	if s.claim, err = owndir.Take(dir); err != nil && cfg.Shared {
		s.claim, err = owndir.Wait(dir) // a shared folder is claimed for the seconds of a start only
	}
	if err != nil {
		return err
	}
	if s.cluster, err = settle(ctx, dir, who); err != nil {
		return err
	}
	if err := s.cluster.up(ctx, cfg); err != nil {
		return err
	}
	if cfg.Shared {
		return s.claim.Release()
	}
	return nil
}

func (s *Server) giveUp() error {
	var errs []error
	if s.claim != nil {
		errs = append(errs, s.claim.Release())
	}
	if s.remove != "" {
		errs = append(errs, os.RemoveAll(s.remove))
	}
	return errors.Join(errs...)
}

// DSN is the connection URL of a database for the superuser postgres, understood by pgx and by libpq programs (psql,
// pgbench, pg_dump). It holds no secret. Replace the user to connect as another role: no password is asked.
func (s *Server) DSN(database string) string {
	return s.cluster.dsn(database)
}

// SocketDir is the folder of the Unix socket (the host of libpq programs; the port is 5432).
func (s *Server) SocketDir() string { return s.cluster.socket }

// BinDir is the folder of the server programs in use. Downloaded ones come without client programs such as psql.
func (s *Server) BinDir() string { return s.cluster.bin }

// EnsureDatabase creates a database, encoded as UTF-8, unless there is one of that name.
func (s *Server) EnsureDatabase(ctx context.Context, name string) (created bool, err error) {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return false, fmt.Errorf("create database %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var there bool
	if err := conn.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, name).Scan(&there); err != nil {
		return false, fmt.Errorf("look for database %s: %w", name, err)
	}
	if there {
		return false, nil
	}
	if _, err := conn.Exec(ctx, `create database `+pgx.Identifier{name}.Sanitize()); err != nil {
		return false, fmt.Errorf("create database %s: %w", name, err)
	}
	return true, nil
}

// Stop disconnects everyone, shuts the server down and gives the folder back. It waits for the end, may be called more
// than once, and on an error may be called again.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.cluster.down(ctx); err != nil {
		return fmt.Errorf("stop private postgresql in %s: %w", s.cluster.base, err)
	}
	s.stopped = true
	if err := os.Remove(s.cluster.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("remove socket folder: %w", err), s.giveUp())
	}
	return s.giveUp()
}

// port names the socket file; no TCP port is opened.
const port = "5432"

const socketName = ".s.PGSQL." + port

func (c cluster) dsn(database string) string {
	q := url.Values{"host": {c.socket}, "port": {port}}
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// settings renders the settings file: our defaults, then the caller's.
func settings(cfg Config, socket string) string {
	all := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": socket,
		"unix_socket_permissions": "0700",
		"port":                    port,
		"max_connections":         "300",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"max_wal_size":            "2GB",
		"log_checkpoints":         "off",
	}
	if cfg.Ephemeral {
		maps.Copy(all, map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum_naptime": "10s",
		})
	}
	maps.Copy(all, cfg.Settings)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = '%s'\n", k, strings.ReplaceAll(all[k], "'", "''"))
	}
	return b.String()
}

// prepareDir makes the folder and returns its one true path, from which socket and cluster places are derived.
func prepareDir(dir string, who account) (string, error) {
	mode := os.FileMode(0o700)
	if who.switched {
		mode = 0o711 // the account must be able to pass
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
