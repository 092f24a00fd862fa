package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// proxy stands between a store and its database and loses what it is told to.
type proxy struct {
	listener net.Listener
	target   string
	conns    sync.WaitGroup

	mu   sync.Mutex
	lose func(p *proxy, toServer bool, chunk []byte) (instead []byte, lost bool)
	gone bool // refuses whoever comes
}

const socketName = ".s.PGSQL.5432"

// newProxy returns a proxy of its own and the URL that leads through it.
func newProxy(t *testing.T, appURL string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(appURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	dir, err := os.MkdirTemp("", "sp-proxy-") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: filepath.Join(q.Get("host"), socketName)}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
		p.conns.Wait()
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.target)
		p.mu.Lock()
		gone := p.gone
		p.mu.Unlock()
		if err != nil || gone {
			_ = client.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.conns.Go(func() { p.carry(server, client, true) })
		p.conns.Go(func() { p.carry(client, server, false) })
	}
}

// carry copies until one side ends or a chunk is lost, then ends both.
func (p *proxy) carry(to, from net.Conn, toServer bool) {
	defer func() { _, _ = to.Close(), from.Close() }() // the other direction may have closed them before
	chunk := make([]byte, 64<<10)
	for {
		n, err := from.Read(chunk)
		if err != nil {
			return
		}
		instead, lost := p.losing(toServer, chunk[:n])
		if lost {
			_, _ = to.Write(instead)
			return
		}
		if _, err := to.Write(chunk[:n]); err != nil && !errors.Is(err, io.EOF) {
			return
		}
	}
}

func (p *proxy) losing(toServer bool, chunk []byte) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil {
		return nil, false
	}
	instead, lost := p.lose(p, toServer, chunk)
	if lost {
		p.lose = nil
	}
	return instead, lost
}

func (p *proxy) arm(lose func(p *proxy, toServer bool, chunk []byte) ([]byte, bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = lose
}

func isCommitAnswer(toServer bool, chunk []byte) bool {
	return !toServer && bytes.Contains(chunk, []byte("COMMIT\x00"))
}

// fatal is what a server says that is being shut down.
func fatal() []byte {
	body := "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"
	return append([]byte{'E', 0, 0, 0, byte(len(body) + 4)}, body...)
}

// TestLostCommitAnswer: whatever is lost around the commit, the caller hears
// what is true, and nothing is stored twice.
func TestLostCommitAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		lose   func(p *proxy, toServer bool, chunk []byte) ([]byte, bool)
		stored bool
		err    error // not nil: the caller cannot be told
	}{
		{"the answer", func(_ *proxy, toServer bool, chunk []byte) ([]byte, bool) {
			return nil, isCommitAnswer(toServer, chunk)
		}, true, nil},
		{"the answer, for a shutdown", func(_ *proxy, toServer bool, chunk []byte) ([]byte, bool) {
			return fatal(), isCommitAnswer(toServer, chunk)
		}, true, nil},
		{"the events", func(_ *proxy, toServer bool, chunk []byte) ([]byte, bool) {
			return nil, toServer && bytes.Contains(chunk, []byte("request.submitted"))
		}, false, nil},
		{"the answer and the server", func(p *proxy, toServer bool, chunk []byte) ([]byte, bool) {
			p.gone = isCommitAnswer(toServer, chunk)
			return nil, p.gone
		}, true, eventstore.ErrUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := eventstoretest.New(t, eventstoretest.Setup{})
			p, url := newProxy(t, site.AppURL)
			s := openThrough(t, site, url)
			s.SetPatience(time.Second)
			_, first := submitted(`{}`)
			mustAppend(t, s, first) // statements are prepared now
			p.arm(c.lose)
			_, a := submitted(`{"iata":"AMS"}`)
			a = identified(a)
			records, err := s.Append(t.Context(), a)
			switch {
			case c.err != nil:
				readBack(t, site, a, err)
			case c.err == nil && c.stored && (err != nil || len(records) != 1):
				t.Errorf("it is stored, and the caller was told %v", err)
			case c.err == nil && !c.stored && (err == nil || !strings.Contains(err.Error(), "nothing was stored")):
				t.Errorf("it is not stored, and the caller was told %v", err)
			}
			want := 2
			if c.stored {
				want = 3
			}
			if got := len(all(t, site.Store)); got != want {
				t.Errorf("%d events are stored, want %d", got, want)
			}
		})
	}
}

// readBack finds out what became of an append whose outcome is unknown, by its
// id and by making it again.
func readBack(t *testing.T, site *eventstoretest.Site, a eventstore.Append, err error) {
	t.Helper()
	var unknown *eventstore.UnknownError
	if !errors.Is(err, eventstore.ErrUnknown) || !errors.As(err, &unknown) || unknown.ID != a.ID {
		t.Fatalf("got %v, want that the outcome of %s is unknown", err, a.ID)
	}
	if yes, err := site.Store.Stored(t.Context(), unknown.ID); err != nil || !yes {
		t.Errorf("read back: %v, %v", yes, err)
	}
	if again := mustAppend(t, site.Store, a); again[0].ID != a.ID || again[0].Seq != 3 {
		t.Errorf("made again: %+v", again)
	}
}

// TestGroupAfterALostAnswer: the whole group of a commit without an answer is
// resolved, and the writer goes on.
func TestGroupAfterALostAnswer(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	p, url := newProxy(t, site.AppURL)
	through := *site
	through.Store = openThrough(t, site, url)
	_, first := submitted(`{}`)
	mustAppend(t, through.Store, first)
	appends := make([]eventstore.Append, 10)
	for i := range appends {
		_, appends[i] = submitted(`{}`)
	}
	commits := 0
	p.arm(func(_ *proxy, toServer bool, chunk []byte) ([]byte, bool) {
		if isCommitAnswer(toServer, chunk) {
			commits++
		}
		return fatal(), commits == 2 // the first one is of the append that keeps the writer busy
	})
	for _, o := range together(t, &through, appends) {
		if o.err != nil {
			t.Error(o.err)
		}
	}
	_, last := submitted(`{}`)
	mustAppend(t, through.Store, last)
	if got := len(all(t, site.Store)); got != 14 {
		t.Errorf("%d events are stored, want 14", got)
	}
}

func openThrough(t *testing.T, site *eventstoretest.Site, url string) *eventstore.Store {
	t.Helper()
	pool, err := eventstore.Pool(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, site, pool)
}

// openOn opens another store on a site's log, as another process would.
func openOn(t *testing.T, site *eventstoretest.Site, pool *pgxpool.Pool) *eventstore.Store {
	t.Helper()
	t.Cleanup(pool.Close)
	s, err := eventstore.Open(t.Context(), pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// poolWithout opens a pool that leaves a setting to the database.
func poolWithout(t *testing.T, url, setting string) *pgxpool.Pool {
	t.Helper()
	made, err := eventstore.Pool(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	c := made.Config()
	made.Close()
	delete(c.ConnConfig.RuntimeParams, setting)
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
