package main

import (
	"bytes"
	"sync"
	"testing"

	"sallyport/eventstore/eventstoretest"
)

// wire stands between the program and its database. It counts what the program
// sends, message by message, and has it killed, or stopped, at a chosen one:
//
//	program ──message n──▶ wire ──▶ PostgreSQL     before: n is never sent
//	program ◀─────✂────── wire ◀── PostgreSQL     after: n is done, nobody is told
type wire struct {
	url string // leads through it

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

// newWire returns a wire of its own.
func newWire(t *testing.T, appURL string, after bool) *wire {
	t.Helper()
	w := &wire{after: after}
	through := eventstoretest.NewWire(t, appURL,
		func(message []byte) ([]byte, bool) { return w.passed(message, w.toServer(message)) },
		func(message []byte) ([]byte, bool) { return w.passed(message, w.toProgram(message)) })
	w.url = through.URL
	return w
}

// passed keeps a connection whatever becomes of a message: that the program is
// dead is what ends it.
func (*wire) passed(message []byte, on bool) (instead []byte, lives bool) {
	if !on {
		return nil, true
	}
	return message, true
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
