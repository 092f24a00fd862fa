// Package pulse notices that PostgreSQL has fallen silent: that it neither
// answers nor hangs up, as when its process is stopped, its machine is gone or
// a cable is out. Whoever asks it something would wait until a time limit of
// his own; with a [Watch] he hears within a second.
//
//	   ┌────────── a ping was answered ◀─────────┐
//	   ▼                                         │
//	hearing ── no ping answered in time, ──▶  silent: no connection is given
//	           nothing else heard meanwhile      out or made, those there are cut
//
// # Promised
//
//   - A database that answers anybody is not silent: one that is busy, or one
//     statement that takes long, cuts nobody off.
//   - A process that itself got no time to run does not judge.
//   - What was cut off or refused fails like a connection that broke: nothing is
//     stored, or it is read back whether it was. When the database is heard again
//     all goes on by itself.
package pulse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How often the database is asked, how long it may take, and how much later
// than that we may notice without being late ourselves.
const (
	interval = 200 * time.Millisecond
	patience = 500 * time.Millisecond
	lateness = 200 * time.Millisecond
)

// silence is what a pool says while the database is silent. It is a
// [net.Error], as what a broken connection leads to is.
type silence struct{}

func (silence) Error() string {
	return "PostgreSQL does not answer and does not hang up: nobody is connected to it until it does"
}
func (silence) Timeout() bool   { return true }
func (silence) Temporary() bool { return true }

// ErrSilent is returned for connections that are not given out.
var ErrSilent net.Error = silence{}

// Watch watches over one pool.
type Watch struct {
	logger *slog.Logger
	config *pgx.ConnConfig // for its own connection
	pool   *pgxpool.Pool
	silent atomic.Bool
	heard  atomic.Int64 // when something last came, Unix nanoseconds

	mu    sync.Mutex
	conns map[*wire]struct{}
}

// Attach prepares the configuration of a pool; the watch begins with Run.
func Attach(c *pgxpool.Config, logger *slog.Logger) *Watch {
	w := &Watch{logger: logger, config: c.ConnConfig.Copy(), conns: map[*wire]struct{}{}}
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return w.wired(conn), nil
	}
	c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return w.refusal() }
	c.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { err := w.refusal(); return err == nil, err }
	return w
}

func (w *Watch) refusal() error {
	if w.silent.Load() {
		return ErrSilent
	}
	return nil
}

// wire is a connection of the pool that tells when something came.
type wire struct {
	net.Conn
	watch *Watch
}

func (w *Watch) wired(c net.Conn) *wire {
	conn := &wire{Conn: c, watch: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[conn] = struct{}{}
	return conn
}

func (c *wire) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.watch.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

func (c *wire) Close() error {
	c.watch.mu.Lock()
	delete(c.watch.conns, c)
	c.watch.mu.Unlock()
	return c.Conn.Close()
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context, pool *pgxpool.Pool) error {
	w.pool = pool
	defer w.silent.Store(false)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var conn *pgx.Conn
	defer func() { hangUp(ctx, conn) }()
	for {
		asked := time.Now()
		var err error
		if conn, err = w.ask(ctx, conn); ctx.Err() != nil {
			return nil
		}
		w.judge(ctx, asked, err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ask wants an answer on conn, or on a new connection if that is nil, and
// returns the one to ask on next time.
func (w *Watch) ask(ctx context.Context, conn *pgx.Conn) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if conn == nil {
		return pgx.ConnectConfig(ctx, w.config)
	}
	if err := conn.Ping(ctx); err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateness)
	defer cancel()
	_ = conn.Close(ctx) // the other end may be gone
}

// judge makes of one question and its outcome whether the database is silent.
// One that refuses, or closes the connection, is not: others see it as well.
func (w *Watch) judge(ctx context.Context, asked time.Time, err error) {
	took := time.Since(asked)
	switch {
	case !errors.Is(err, context.DeadlineExceeded):
		if w.silent.Swap(false) {
			w.logger.InfoContext(ctx, "PostgreSQL is heard again")
		}
	case took > patience+lateness: // we were late ourselves
	case time.Unix(0, w.heard.Load()).After(asked): // somebody was answered
	case !w.silent.Swap(true):
		w.logger.ErrorContext(ctx, "PostgreSQL is silent: calls that need it are refused until it is heard again", "error", fmt.Sprint(err))
		w.cut()
	}
}

// cut ends all connections at once, those in use too.
func (w *Watch) cut() {
	w.mu.Lock()
	for c := range w.conns {
		_ = c.Conn.Close() // whoever uses it is told
	}
	w.mu.Unlock()
	w.pool.Reset()
}
