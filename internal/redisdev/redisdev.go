// Package redisdev runs a private Redis server in a folder, for development and tests, if the machine has a redis-server.
//
//	Config.Dir/        claimed by one process at a time (owndir)
//	├── lock
//	├── redis.conf     written at every start
//	├── run/           the Unix socket, 0700; a short folder elsewhere when this path is too long
//	└── redis.log      of the last start
//
// The server listens on its socket and on no port, so that nothing can clash and no password is needed. It keeps nothing on
// disk: what it holds is gone with it, as befits a cache. A server left running by a killed process is found and used
// again, with what it holds. Without a redis-server Start returns ErrNoServer and the caller uses its in-process cache.
package redisdev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/owndir"
)

// ErrNoServer says that there is no redis-server on this machine.
var ErrNoServer = errors.New("no redis-server on this machine: install it, or go on with the in-process cache")

// Config tells where and how a server runs.
type Config struct {
	// Dir is the folder of the server, made when absent. Required.
	Dir string
	// Say is told, in a sentence without a line end, what is used. Nil: nobody is told.
	Say func(format string, args ...any)
	// Search lists folders in which redis-server is looked for. Nil: PATH and the usual places. Empty but not nil: none.
	Search []string
}

// Server is a running server.
type Server struct {
	socket string
	claim  *owndir.Claim

	mu      sync.Mutex
	stopped bool
}

const socketName = "redis.sock"

// Start starts a server in the folder, or finds it running there, and returns when it answers. The error is ErrNoServer
// without a redis-server, and an *owndir.InUseError when another process has claimed the folder.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	program, err := find(cfg.Search)
	if err != nil {
		return nil, err
	}
	s, err := claim(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start private redis: %w", err)
	}
	if err := s.up(ctx, cfg, program); err != nil {
		return nil, errors.Join(fmt.Errorf("start private redis in %s: %w", cfg.Dir, err), s.claim.Release())
	}
	return s, nil
}

func claim(dir string) (*Server, error) {
	if dir == "" {
		return nil, errors.New("no folder given: set Dir")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c, err := owndir.Take(dir)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, errors.Join(err, c.Release())
	}
	run, err := owndir.SocketDir(abs, socketName, os.Getuid(), os.Getgid())
	if err != nil {
		return nil, errors.Join(err, c.Release())
	}
	return &Server{socket: filepath.Join(run, socketName), claim: c}, nil
}

func (s *Server) up(ctx context.Context, cfg Config, program string) error {
	if s.ping(ctx) == nil {
		cfg.say("redis: using the server that already runs in %s", cfg.Dir)
		return nil
	}
	abs, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	conf := filepath.Join(abs, "redis.conf")
	if err := os.WriteFile(conf, []byte(s.settings(abs)), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, conf) // #nosec G204 -- a redis-server found by this package
	cmd.Dir = abs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C on our terminal is for us, not for the server
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	if err := s.wait(ctx); err != nil {
		return fmt.Errorf("%w; see %s", err, filepath.Join(abs, "redis.log"))
	}
	cfg.say("redis: started %s in %s", program, cfg.Dir)
	return nil
}

// settings renders redis.conf. The server detaches itself, so that it survives us as PostgreSQL does and a second start
// finds it.
func (s *Server) settings(dir string) string {
	var b strings.Builder
	for _, kv := range [][2]string{
		{"port", "0"}, {"unixsocket", s.socket}, {"unixsocketperm", "700"}, {"daemonize", "yes"}, {"save", ""},
		{"appendonly", "no"}, {"dir", dir}, {"logfile", filepath.Join(dir, "redis.log")},
		{"pidfile", filepath.Join(dir, "redis.pid")}, {"maxmemory", "256mb"}, {"maxmemory-policy", "volatile-lru"},
	} {
		fmt.Fprintf(&b, "%s %s\n", kv[0], strconv.Quote(kv[1]))
	}
	return b.String()
}

// URL is the address for go-redis' ParseURL, database 0. It holds no secret.
func (s *Server) URL() string {
	return (&url.URL{Scheme: "unix", Path: s.socket, RawQuery: "db=0"}).String()
}

// Socket is the path of the Unix socket (redis-cli -s).
func (s *Server) Socket() string { return s.socket }

// Stop ends the server and gives the folder back. It waits for the end and may be called more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.shutdown(ctx); err != nil {
		return fmt.Errorf("stop private redis: %w", err)
	}
	s.stopped = true
	return errors.Join(os.Remove(filepath.Dir(s.socket)), s.claim.Release())
}

func (s *Server) shutdown(ctx context.Context) error {
	client := s.client()
	_ = client.ShutdownNoSave(ctx).Err() // a server that ends closes the connection, which counts as an error
	if err := client.Close(); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(s.socket); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if s.ping(ctx) != nil { // killed: its socket file stays
			return os.Remove(s.socket)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 5*time.Millisecond) != nil {
			return fmt.Errorf("redis does not answer: %w", err)
		}
	}
}

// ping dials by itself first: the client would try again for half a second and write to standard error.
func (s *Server) ping(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.socket)
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	client := s.client()
	return errors.Join(client.Ping(ctx).Err(), client.Close())
}

func (s *Server) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: s.socket, MaxRetries: -1, PoolSize: 1, DialTimeout: time.Second, ReadTimeout: 2 * time.Second,
	})
}

func (c Config) say(format string, args ...any) {
	if c.Say != nil {
		c.Say(format, args...)
	}
}

func find(folders []string) (string, error) {
	if folders == nil {
		if p, err := exec.LookPath("redis-server"); err == nil {
			return filepath.Abs(p)
		}
		folders = []string{"/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/opt/redis/bin"}
	}
	for _, dir := range folders {
		if p, err := exec.LookPath(filepath.Join(dir, "redis-server")); err == nil {
			return p, nil
		}
	}
	return "", ErrNoServer
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
