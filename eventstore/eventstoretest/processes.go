package eventstoretest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"sallyport/eventstore"
)

// appended is how many events the part "processes" has acknowledged before it
// counts: `go test ./eventstore -run TestContract/processes -events 1000000`.
var appended = flag.Int("events", 4000, "how many events four processes append, of which some are killed")

const (
	// processes append to one log at the same time, each with callers.
	processes = 4
	callers   = 64
	// kills are spread evenly over the run; another process takes each one's place.
	kills = 12
)

// until is the way of a process that appends until its input ends.
const until = "until the input ends"

// processesKilled has four processes append to one log while one after the
// other is killed wherever it may be. Every acknowledged event is there once, at
// the position that was told; what was under way is there once after it was made
// again by its id; their count is exact, and the log verifies.
func processesKilled(t *testing.T, open func(testing.TB) *Site) {
	site := open(t)
	c := &crowd{site: site, told: map[string]int64{}, pending: map[string]bool{}, every: max(*appended/(kills+1), 1)}
	var all sync.WaitGroup
	for range processes {
		all.Go(func() { c.keepOne(t) })
	}
	all.Wait()
	if c.killed < kills {
		t.Errorf("%d processes were killed, want %d", c.killed, kills)
	}
	for id := range c.pending {
		records, err := site.Store.Append(t.Context(), named(oneTrip, id))
		if err != nil || len(records) != 1 || records[0].ID != id {
			t.Fatalf("made again: %v, %v", records, err)
		}
		c.told[id] = records[0].Pos
	}
	t.Logf("%d events were appended by %d processes, %d of which were killed; %d appends were under way then", len(c.told), processes+c.killed, c.killed, len(c.pending))
	c.compare(t)
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := verify(t, site, head); !v.OK {
		t.Errorf("verified: %+v", v)
	}
}

// crowd is what all processes told.
type crowd struct {
	site  *Site
	every int // acknowledged events from one kill to the next

	mu      sync.Mutex
	told    map[string]int64 // positions of acknowledged events, by id
	pending map[string]bool  // what was tried by processes that were killed
	killed  int
}

// keepOne runs one process after another, until all events are acknowledged.
func (c *crowd) keepOne(t *testing.T) {
	for !c.done() && !t.Failed() {
		if err := c.run(t.Context(), t.Output()); err != nil {
			t.Error(err)
		}
	}
}

func (c *crowd) done() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.told) >= *appended
}

// run listens to one process until it ended or was killed.
func (c *crowd) run(ctx context.Context, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, os.Args[0], appendUntil, until, c.site.AppURL) //nolint:gosec // this program itself
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	open := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		id, pos := rest, int64(0)
		if word == "try" {
			open[id] = true
			continue
		}
		if _, err := fmt.Sscan(rest, &id, &pos); err != nil {
			return fmt.Errorf("it said %q: %w", lines.Text(), err)
		}
		delete(open, id)
		kill, enough := c.acknowledged(id, pos)
		if kill {
			_ = cmd.Process.Kill() // that it is dead is seen by how it ends
		}
		if enough {
			_ = in.Close() // it ends in its own time
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range open {
		c.pending[id] = true
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		return fmt.Errorf("a process ended by itself: %w", err)
	}
	return nil
}

// acknowledged notes an event, and tells whether its process is to be killed
// now, and whether there are enough.
func (c *crowd) acknowledged(id string, pos int64) (kill, enough bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[id] = pos
	if kill = c.killed < kills && len(c.told) >= (c.killed+1)*c.every; kill {
		c.killed++
	}
	return kill, len(c.told) >= *appended
}

// compare holds the log against what was told: nothing more, nothing less,
// nothing elsewhere.
func (c *crowd) compare(t *testing.T) {
	t.Helper()
	rows, err := c.site.Owner.Query(t.Context(), `SELECT id::text, pos FROM events WHERE type <> 'site.founded' ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n, id, pos := 0, "", int64(0)
	for rows.Next() {
		if err := rows.Scan(&id, &pos); err != nil {
			t.Fatal(err)
		}
		if told, known := c.told[id]; !known || told != pos {
			t.Fatalf("event %s is at position %d; told was %d", id, pos, told)
		}
		n++
	}
	if err := rows.Err(); err != nil || n != len(c.told) {
		t.Errorf("%d events are stored, %d were told (%v)", n, len(c.told), err)
	}
}

// appendUntilClosed makes appends by many callers until the input ends.
func appendUntilClosed(ctx context.Context, store *eventstore.Store) error {
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the input, whatever ended it
		close(closed)
	}()
	for {
		select {
		case <-closed:
			return nil
		default:
		}
		if err := appendAtOnce(ctx, store, oneTrip, callers); err != nil {
			return err
		}
	}
}
