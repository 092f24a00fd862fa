package pulse_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/pgdev/pgtest"
	"sallyport/internal/pulse"
)

// cable is the way to a database, which can be held.
type cable struct {
	held sync.RWMutex
}

// lay listens on a port of its own and passes everything on.
func (c *cable) lay(t *testing.T, network, address string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial(network, address) //nolint:noctx // ends with the test
			if err != nil {
				_ = in.Close()
				continue
			}
			go c.pass(in, out)
			go c.pass(out, in)
		}
	}()
	return l.Addr().String()
}

func (c *cable) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		c.held.RLock()
		_, err = to.Write(buffer[:n])
		c.held.RUnlock()
		if err != nil {
			return
		}
	}
}

func watched(t *testing.T) (*pgxpool.Pool, *cable) {
	t.Helper()
	dsn, err := url.Parse(pgtest.Database(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	wire := &cable{}
	q := dsn.Query()
	network, address := "tcp", dsn.Host
	if socket := q.Get("host"); socket != "" {
		port := q.Get("port")
		network, address = "unix", filepath.Join(socket, ".s.PGSQL."+port)
		q.Del("host")
		q.Del("port")
		dsn.RawQuery = q.Encode()
	}
	dsn.Host = wire.lay(t, network, address)
	c, err := pgxpool.ParseConfig(dsn.String())
	if err != nil {
		t.Fatal(err)
	}
	w := pulse.Attach(c, slog.New(slog.DiscardHandler))
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, pool) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	return pool, wire
}

// Whoever waits for a database that fell silent hears of it within a second or
// so, as does whoever comes later; and all goes on when it is back.
func TestSilence(t *testing.T) {
	t.Parallel()
	pool, wire := watched(t)
	if _, err := pool.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Fatal(err)
	}
	wire.held.Lock()
	began := time.Now()
	_, err := pool.Exec(t.Context(), `SELECT 1`)
	took := time.Since(began)
	var broken net.Error
	if !errors.As(err, &broken) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) && !pgconn.SafeToRetry(err) {
		t.Errorf("who was waiting is told %v", err)
	}
	if took > 5*time.Second { // 0.7 s on a machine with nothing else to do
		t.Errorf("who was waiting is told after %v", took)
	}
	if _, err := pool.Exec(t.Context(), `SELECT 1`); !errors.Is(err, pulse.ErrSilent) {
		t.Errorf("who comes later is told %v", err)
	}
	wire.held.Unlock()
	for {
		if _, err := pool.Exec(t.Context(), `SELECT 1`); err == nil {
			break
		} else if !errors.Is(err, pulse.ErrSilent) {
			t.Fatalf("when it is back: %v", err)
		}
	}
	for range 10 {
		if _, err := pool.Exec(t.Context(), `SELECT 1`); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}

// One statement that takes long is not silence.
func TestSlownessIsNotSilence(t *testing.T) {
	t.Parallel()
	pool, _ := watched(t)
	if _, err := pool.Exec(t.Context(), `SELECT pg_sleep(1.5)`); err != nil {
		t.Error(err)
	}
}
