package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stops is how many moments of a run the first of two programs is stopped at.
const stops = 5

// TestStoppedWhileAnotherWaits stops an exporter, then an importer, in the
// middle of its work, has another one begin the same work, and wakes the first
// once the other waits for it: no gap, nothing twice.
func TestStoppedWhileAnotherWaits(t *testing.T) {
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

// TestStoppedUntilAnotherTookOver leaves both stopped for so long that another
// takes their place and does all the work. What they still do when they wake
// changes nothing.
func TestStoppedUntilAnotherTookOver(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	exports, imports := newWire(t, s.field.AppURL, true), newWire(t, s.core.AppURL, true)
	s.round(t, 2, exports.killing(0), imports.killing(0))
	sent, exporterLocks := exports.counted()
	taken, importerLocks := imports.counted()
	s.field.submit(t, 2)
	s.field.must(t, "bundle", "export")
	s.remember(t)
	s.carry(t)
	s.field.submit(t, 2)
	stopped := []*pairOfRuns{
		exports.stopped(t, s.field, "export", between(exporterLocks, sent, 1+rand.IntN(stops-1))), //nolint:gosec // which is told
		imports.stopped(t, s.core, "import", between(importerLocks, taken, 1+rand.IntN(stops-1))), //nolint:gosec // which is told
	}
	for _, p := range stopped {
		p.end(t, <-p.secondEnds)
	}
	s.round(t, 2, untouched, untouched)
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
		p := w.stopped(t, on, what, n)
		if second, over := on.waitsOrEnds(t, p.secondEnds); over {
			p.end(t, second)
			return
		}
		p.wake(t)
		p.end(t, <-p.secondEnds)
	}
}

// pairOfRuns is the program twice at once, the first of them stopped.
type pairOfRuns struct {
	what                  string // and where the first is stopped
	first                 *exec.Cmd
	firstEnds, secondEnds <-chan result
	awake                 bool
}

// stopped starts both.
func (w *wire) stopped(t *testing.T, on *station, what string, n int) *pairOfRuns {
	t.Helper()
	p := &pairOfRuns{what: fmt.Sprintf("%s stopped at message %d", what, n), first: on.command(t.Context(), "bundle", what)}
	p.first.Env = append(p.first.Env, "SALLYPORT_DATABASE_URL="+w.url)
	started, stopped := make(chan struct{}), make(chan struct{})
	w.armStop(n, func() {
		<-started
		_ = p.first.Process.Signal(syscall.SIGSTOP) // it cannot be over: it has just spoken
		close(stopped)
	})
	p.firstEnds = running(t, p.first, started)
	select {
	case <-stopped:
	case r := <-p.firstEnds:
		t.Fatalf("%s, which never came: exit code %d\n%s", p.what, r.code, r.stderr)
	}
	p.secondEnds = running(t, on.command(t.Context(), "bundle", what), make(chan struct{}))
	return p
}

func (p *pairOfRuns) wake(t *testing.T) {
	t.Helper()
	if err := p.first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Error(err)
	}
	p.awake = true
}

// end wakes the first if it sleeps, and holds that the work was done.
func (p *pairOfRuns) end(t *testing.T, second result) {
	t.Helper()
	took := !p.awake
	if took {
		p.wake(t)
	}
	first := <-p.firstEnds
	if first.code != 0 && second.code != 0 {
		t.Errorf("%s: neither succeeded: exit codes %d and %d\n%s\n%s", p.what, first.code, second.code, first.stderr, second.stderr)
	}
	t.Logf("%s: exit codes %d and %d, the second took over: %v", p.what, first.code, second.code, took)
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
