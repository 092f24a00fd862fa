package eventstoretest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Wire stands between a program and its database. What each says to the other
// passes message by message of PostgreSQL's protocol, and a test decides about
// each:
//
//	program ──message──▶ toServer ──▶ PostgreSQL
//	program ◀── toProgram ◀──message── PostgreSQL
type Wire struct {
	// URL leads through it.
	URL string

	toServer, toProgram Pass
	refuses             atomic.Bool
}

// Pass decides about one message, whose first byte is its type: what goes on
// in its place, if anything, and whether the connection lives on. It is called
// by several connections at once.
type Pass func(message []byte) (instead []byte, on bool)

const socketName = ".s.PGSQL.5432"

// NewWire returns a wire to the database of a connection string, which ends
// with the test.
func NewWire(t testing.TB, appURL string, toServer, toProgram Pass) *Wire {
	t.Helper()
	w := &Wire{toServer: toServer, toProgram: toProgram}
	w.URL = Between(t, appURL, w.serve)
	return w
}

// Refuse has whoever comes from now on find no database.
func (w *Wire) Refuse() { w.refuses.Store(true) }

func (w *Wire) serve(program, server net.Conn) {
	if w.refuses.Load() {
		_, _ = program.Close(), server.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { carry(server, program, 0, w.toServer) })
	both.Go(func() { carry(program, server, 1, w.toProgram) })
	both.Wait()
}

// Between returns a connection string that leads to the database of another one
// by way of serve, which gets both ends of each connection, and ends them. The
// test waits for it.
func Between(t testing.TB, appURL string, serve func(program, server net.Conn)) string {
	t.Helper()
	u, err := url.Parse(appURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	target := filepath.Join(q.Get("host"), socketName)
	dir, err := os.MkdirTemp("", "sp-wire-") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, socketName)) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			program, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", target) //nolint:noctx // ends with the program's connection
			if err != nil {
				_ = program.Close()
				continue
			}
			conns.Go(func() { serve(program, server) })
		}
	})
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
		conns.Wait()
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

// carry copies whole messages until one side ends or a message is the last,
// then ends both. The first message of a program has no type: typed is 0.
func carry(to, from net.Conn, typed int, pass Pass) {
	defer func() { _, _ = to.Close(), from.Close() }() // the other direction may have closed them before
	for {
		head := make([]byte, typed+4)
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		message := make([]byte, typed+int(binary.BigEndian.Uint32(head[typed:])))
		copy(message, head)
		if _, err := io.ReadFull(from, message[len(head):]); err != nil {
			return
		}
		on := true
		if typed > 0 {
			message, on = pass(message)
		}
		typed = 1
		if len(message) > 0 {
			if _, err := to.Write(message); err != nil {
				return
			}
		}
		if !on {
			return
		}
	}
}
