package pgdev

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/owndir"
)

// cluster is one data folder and the programs that run on it.
type cluster struct {
	who    account
	base   string // holds data, run and server.log
	socket string
	bin    string
}

func (c cluster) data() string    { return filepath.Join(c.base, "data") }
func (c cluster) pidFile() string { return filepath.Join(c.data(), "postmaster.pid") }
func (c cluster) log() string     { return filepath.Join(c.base, "server.log") }

// farBase holds the clusters of folders that the server account cannot enter.
const farBase = "/var/lib/sallyport-dev"

// settle finds the place of the cluster that belongs to dir.
func settle(ctx context.Context, dir string, who account) (cluster, error) {
	c := cluster{who: who, base: dir}
	if err := who.own(dir); err != nil {
		return c, err
	}
	if !who.canEnter(ctx, dir) {
		if err := c.settleFar(ctx, dir); err != nil {
			return c, err
		}
	}
	var err error
	c.socket, err = owndir.SocketDir(c.base, socketName, int(who.uid), int(who.gid))
	return c, err
}

// settleFar places the cluster where the account may go. The link in dir is what makes the far cluster belong to dir: when
// someone removed dir, and the link with it, the cluster of that name is of no use to anyone and is removed.
func (c *cluster) settleFar(ctx context.Context, dir string) error {
	sum := sha256.Sum256([]byte(dir))
	c.base = filepath.Join(farBase, hex.EncodeToString(sum[:8]))
	link := filepath.Join(dir, "cluster")
	if target, err := os.Readlink(link); err != nil || target != c.base {
		if err := c.removeOrphan(ctx); err != nil {
			return err
		}
		if err := os.Symlink(c.base, link); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(farBase, 0o711); err != nil { // #nosec G301 -- the account must be able to pass
		return err
	}
	if err := os.MkdirAll(c.base, 0o700); err != nil {
		return err
	}
	if err := c.who.own(c.base); err != nil {
		return err
	}
	if !c.who.canEnter(ctx, c.base) {
		return fmt.Errorf("the account %s can enter neither %s nor %s: choose a folder it can enter", c.who.name, dir, c.base)
	}
	return nil
}

func (c *cluster) removeOrphan(ctx context.Context) error {
	if pid := c.livePostmaster(); pid != 0 {
		if err := c.end(ctx, pid); err != nil {
			return err
		}
	}
	return os.RemoveAll(c.base)
}

// up makes sure that a server answers on the socket.
func (c *cluster) up(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // a download on a slow line included
	defer cancel()
	bin, err := findBinaries(ctx, cfg, c.who, c.wantVersion())
	if err != nil {
		return err
	}
	c.bin = bin
	if c.wantVersion() == "" {
		if err := c.init(ctx, cfg); err != nil {
			return err
		}
	}
	if err := c.configure(cfg); err != nil {
		return err
	}
	if pid := c.livePostmaster(); pid != 0 {
		if c.ready(ctx, 30*time.Second) == nil {
			cfg.say("postgresql: using the server that already runs in %s (process %d)", c.base, pid)
			return c.who.run(ctx, c.base, filepath.Join(c.bin, "pg_ctl"), "reload", "-s", "-D", c.data())
		}
		// a shutdown that hangs, or a socket swept away by a cleaner of temporary files
		if err := c.end(ctx, pid); err != nil {
			return err
		}
	}
	return c.launch(ctx)
}

// wantVersion is the major version the data folder was made with, empty when there is none.
func (c *cluster) wantVersion() string {
	b, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (c *cluster) init(ctx context.Context, cfg Config) error {
	begin := time.Now()
	fresh := c.data() + ".new"
	for _, left := range []string{fresh, c.data()} { // without PG_VERSION either is a failed attempt
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	args := []string{"-D", fresh, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"}
	if cfg.Ephemeral {
		args = append(args, "--no-sync")
	}
	if err := c.who.run(ctx, c.base, filepath.Join(c.bin, "initdb"), args...); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	conf, err := os.OpenFile(filepath.Join(fresh, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	_, err = conf.WriteString("\ninclude_if_exists = 'sallyport.conf'\n")
	if err := errors.Join(err, conf.Close()); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return fmt.Errorf("make cluster: %w", err)
	}
	cfg.say("postgresql: made a cluster in %s in %s", c.base, time.Since(begin).Round(10*time.Millisecond))
	return nil
}

func (c *cluster) configure(cfg Config) error {
	path := filepath.Join(c.data(), "sallyport.conf")
	if err := os.WriteFile(path, []byte(settings(cfg, c.socket)), 0o600); err != nil {
		return fmt.Errorf("write server settings: %w", err)
	}
	return c.who.own(path)
}

// launch starts the server and waits until it answers. After a crash PostgreSQL may find its old shared memory still in use
// for a moment, until the last orphaned backend has noticed; that is worth waiting for.
func (c *cluster) launch(ctx context.Context) error {
	if err := c.forgetServer(); err != nil {
		return err
	}
	var err error
	for wait := 100 * time.Millisecond; wait < 10*time.Second; wait *= 2 {
		if err = c.freshLog(); err != nil {
			return err
		}
		err = c.who.run(ctx, c.base, filepath.Join(c.bin, "pg_ctl"), "start", "-s", "-w", "-t", "120", "-D", c.data(), "-l", c.log())
		if err == nil {
			return c.ready(ctx, 30*time.Second)
		}
		tail := c.logTail()
		err = fmt.Errorf("%w\n%s", err, tail)
		if !strings.Contains(tail, "still in use") {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return err
}

func (c *cluster) freshLog() error {
	f, err := os.OpenFile(c.log(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), c.who.own(c.log()))
}

func (c *cluster) logTail() string {
	b, err := os.ReadFile(c.log())
	if err != nil {
		return ""
	}
	return lastLines(string(b), 12)
}

// down stops the server if it runs.
func (c *cluster) down(ctx context.Context) error {
	pid := c.livePostmaster()
	if pid == 0 {
		return nil
	}
	return c.end(ctx, pid)
}

// end asks for a fast shutdown (disconnect everyone, checkpoint, leave) and waits for it; who does not leave in a minute is
// made to, which PostgreSQL recovers from at the next start.
func (c *cluster) end(ctx context.Context, pid int) error {
	for _, s := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{syscall.SIGINT, time.Minute}, {syscall.SIGQUIT, 20 * time.Second}} {
		if err := syscall.Kill(pid, s.sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal postgresql process %d: %w", pid, err)
		}
		for until := time.Now().Add(s.wait); time.Now().Before(until); {
			if c.livePostmaster() != pid {
				return nil
			}
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("postgresql process %d does not end: end it by hand and start again", pid)
}

// ready waits until the server answers queries and is the one of our data folder.
func (c *cluster) ready(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := c.ask(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("postgresql does not answer: %w", err)
		}
		if c.livePostmaster() == 0 {
			return fmt.Errorf("postgresql ended: %w\n%s", err, c.logTail())
		}
		if c.deaf() {
			return fmt.Errorf("postgresql runs without its socket: %w", err)
		}
	}
}

func (c *cluster) ask(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var dir string
	if err := conn.QueryRow(ctx, `show data_directory`).Scan(&dir); err != nil {
		return err
	}
	if dir != c.data() {
		return fmt.Errorf("the server on this socket serves %s, not %s", dir, c.data())
	}
	return nil
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

// filePID is the process id in postmaster.pid, 0 when there is none.
func (c *cluster) filePID() int {
	b, err := os.ReadFile(c.pidFile())
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}
