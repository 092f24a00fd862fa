package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// wire stands between the program and its database. It counts what the program
// sends, message by message, and has it killed, or stopped, at a chosen one:
//
//	program ──message n──▶ wire ──▶ PostgreSQL     before: n is never sent
//	program ◀─────✂────── wire ◀── PostgreSQL     after: n is done, nobody is told
type wire struct {
	listener net.Listener
	target   string
	url      string // leads through it
	conns    sync.WaitGroup

	mu   sync.Mutex
	seen int // messages counted so far
	lock int // the number of the first that asks for the exporter's or importer's lock
	at   int // which to kill at; 0: none
	done bool
	kill func() // may be called more than once
	stop func() // instead of kill: all goes on once the program does
	// after counts only what the server answers: all else takes effect no
	// earlier than that.
	after bool
}

const socketName = ".s.PGSQL.5432"

// newWire returns a wire of its own.
func newWire(t *testing.T, appURL string, after bool) *wire {
	t.Helper()
	u, err := url.Parse(appURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	dir, err := os.MkdirTemp("", "sp-wire-") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, socketName)) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: filepath.Join(q.Get("host"), socketName), after: after}
	w.conns.Go(w.accept)
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
		w.conns.Wait()
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	w.url = u.String()
	return w
}

// arm has the program killed at its n-th message from now; 0 only counts.
func (w *wire) arm(n int, kill func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.lock, w.at, w.done, w.kill, w.stop = 0, 0, n, false, kill, nil
}

// armStop has the program stopped at its n-th message from now, which the
// server still gets.
func (w *wire) armStop(n int, stop func()) {
	w.arm(n, nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stop = stop
}

// counted gives how many messages there were, and which asked for the lock.
func (w *wire) counted() (all, lock int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, w.lock
}

// reached reports whether the message came that the program was to be killed at.
func (w *wire) reached() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

func (w *wire) accept() {
	for {
		program, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", w.target) //nolint:noctx // ends with the program's connection
		if err != nil {
			_ = program.Close()
			continue
		}
		w.conns.Go(func() { carryMessages(server, program, 0, w.toServer) })
		w.conns.Go(func() { carryMessages(program, server, 1, w.toProgram) })
	}
}

// carryMessages copies the whole messages that pass lets through until one side
// ends, then ends both. The first message of a program has no type: typed is 0.
func carryMessages(to, from net.Conn, typed int, pass func(message []byte) bool) {
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
		begins := typed == 0
		typed = 1
		if !begins && !pass(message) {
			continue
		}
		if _, err := to.Write(message); err != nil {
			return
		}
	}
}

// toServer counts a message of the program and reports whether it is sent on.
func (w *wire) toServer(message []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return w.stop != nil
	}
	if message[0] == 'X' { // Terminate: the work is over
		return true
	}
	if w.lock == 0 && bytes.Contains(message, []byte("pg_advisory_lock")) {
		w.lock = w.seen + 1
	}
	if answered := message[0] == 'S' || message[0] == 'Q' || message[0] == 'c'; w.after && !answered { // Sync, Query, CopyDone
		return true
	}
	w.seen++
	if w.seen != w.at {
		return true
	}
	w.done = true
	if w.stop != nil {
		w.stop()
		return true
	}
	if w.after {
		return true
	}
	w.kill()
	return false
}

// toProgram reports whether an answer is delivered. None is once the chosen
// message was sent; the answer that ends its work has the program killed.
func (w *wire) toProgram(message []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done || w.stop != nil {
		return true
	}
	if ends := message[0] == 'Z' || message[0] == 'G'; ends { // ReadyForQuery, CopyInResponse
		w.kill()
	}
	return false
}
