package eventstore_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// late is a wire that, once armed, loses the program's connection at the first
// bytes that hold a text, and lets the server have them only later.
type late struct {
	url  string
	text []byte

	mu    sync.Mutex
	armed bool
	on    chan struct{} // closed: the server gets what was kept
	read  chan struct{} // closed: the server has read it, or is gone
}

func newLate(t *testing.T, appURL, text string) *late {
	t.Helper()
	w := &late{text: []byte(text), on: make(chan struct{}), read: make(chan struct{})}
	w.url = eventstoretest.Between(t, appURL, w.serve)
	return w
}

func (w *late) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = true
}

// strikes reports, once, that these bytes are the ones.
func (w *late) strikes(some []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	yes := w.armed && bytes.Contains(some, w.text)
	w.armed = w.armed && !yes
	return yes
}

func (w *late) serve(program, server net.Conn) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(program, server) // until one of them is gone
		_ = program.Close()
	}()
	defer func() {
		_, _ = program.Close(), server.Close()
		<-answered
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := program.Read(buf)
		if err != nil {
			return
		}
		if !w.strikes(buf[:n]) {
			_, _ = server.Write(buf[:n]) // should it be gone, the program will be told
			continue
		}
		_ = program.Close()
		<-w.on
		_, _ = server.Write(buf[:n]) // it may be gone, as it should
		<-answered
		close(w.read)
		return
	}
}

// TestWhatIsReadLateIsNotStored: a server may read a transaction after its
// writer has lost the connection, and been told that nothing was stored.
func TestWhatIsReadLateIsNotStored(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]eventstore.Version{"foreseen": eventstore.NoStream, "asked": eventstore.Any} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := eventstoretest.New(t, eventstoretest.Setup{})
			_, a := submitted(`{"iata":"AMS"}`)
			a.Writes[0].Expected = expected
			w := newLate(t, site.AppURL, `"iata":"AMS"`)
			s := openThrough(t, site, w.url)
			for range 3 {
				_, before := submitted(`{}`)
				mustAppend(t, s, before) // the writer knows that it is alone, and its statements are prepared
			}
			w.arm()
			if _, err := s.Append(t.Context(), a); err == nil || !strings.Contains(err.Error(), "nothing was stored") {
				t.Errorf("the caller was told %v", err)
			}
			close(w.on)
			<-w.read
			if got := len(all(t, site.Store)); got != 4 {
				t.Errorf("%d events are stored, want 4", got)
			}
		})
	}
}

// TestOnlyTheLostProcessIsEnded: a database that came back counts its processes
// anew, and who has the number of a lost one may be somebody else.
func TestOnlyTheLostProcessIsEnded(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	before := time.Now().Add(-time.Second)
	conn, err := pgx.Connect(t.Context(), site.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, c := range []struct {
		busy time.Time
		ends bool
	}{{before, false}, {time.Now(), true}} {
		if err := site.Store.End(t.Context(), conn.PgConn().PID(), c.busy); err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(t.Context()); (err != nil) != c.ends {
			t.Errorf("a process that was there at %s: %v", c.busy, err)
		}
	}
}
