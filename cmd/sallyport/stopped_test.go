package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stops is how many moments of a run the first of two programs is stopped at.
const stops = 5

// TestStoppedWhileAnotherWorks stops an exporter, then an importer, in the
// middle of its work, lets another one do the same work, and wakes the first.
// Whether the other waited or took over: no gap, nothing twice.
func TestStoppedWhileAnotherWorks(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	exports, imports := newWire(t, s.field.AppURL, true), newWire(t, s.core.AppURL, true)
	s.round(t, 2, exports.killing(0), imports.killing(0))
	sent, exporterLocks := exports.counted()
	taken, importerLocks := imports.counted()
	for i := range stops {
		e := between(exporterLocks, sent, i)
		m := between(importerLocks, taken, i)
		s.round(t, 2, exports.stopping(e), imports.stopping(m))
		if t.Failed() {
			t.Fatalf("after stops at answered message %d of export and %d of import", e, m)
		}
	}
	s.allIsWell(t)
}

// between spreads the stops over the messages from the lock on. The last few are
// not the same in each run.
func between(first, last, i int) int {
	first = max(first, 1)
	return first + (last-first)*i/stops
}

// stopping runs the program twice at once: the first is stopped at its n-th
// message until the second is done or waits.
func (w *wire) stopping(n int) killer {
	return func(t *testing.T, on *station, what string) {
		t.Helper()
		first := on.command(t.Context(), "bundle", what)
		first.Env = append(first.Env, "SALLYPORT_DATABASE_URL="+w.url)
		started, stopped := make(chan struct{}), make(chan struct{})
		w.armStop(n, func() {
			<-started
			_ = first.Process.Signal(syscall.SIGSTOP) // it cannot be over: it has just spoken
			close(stopped)
		})
		firstEnds := running(t, first, started)
		select {
		case <-stopped:
		case r := <-firstEnds:
			t.Fatalf("message %d never came: exit code %d\n%s", n, r.code, r.stderr)
		}
		secondEnds := running(t, on.command(t.Context(), "bundle", what), make(chan struct{}))
		second, over := on.waitsOrEnds(t, secondEnds)
		if err := first.Process.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		if !over {
			second = <-secondEnds
		}
		r := <-firstEnds
		if r.code != 0 && second.code != 0 {
			t.Errorf("neither %s succeeded: exit codes %d and %d\n%s\n%s", what, r.code, second.code, r.stderr, second.stderr)
		}
		t.Logf("%s stopped at %d: exit codes %d and, over before it went on: %v, %d", what, n, r.code, over, second.code)
	}
}

// running starts the program and tells how it ends.
func running(t *testing.T, cmd *exec.Cmd, started chan<- struct{}) <-chan result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	ends := make(chan result, 1)
	go func() {
		_ = cmd.Wait() // the exit code tells
		if strings.Contains(stderr.String(), "DATA RACE") {
			t.Errorf("a data race:\n%s", &stderr)
		}
		ends <- result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}()
	return ends
}

// waitsOrEnds returns once the program is over, or seen to wait for a lock that
// the stopped one has.
func (s *station) waitsOrEnds(t *testing.T, ends <-chan result) (r result, over bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case r := <-ends:
			return r, true
		case <-look.C:
		}
		var waiting bool
		err := s.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if waiting {
			return result{}, false
		}
	}
}
