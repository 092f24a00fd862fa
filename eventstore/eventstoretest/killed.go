package eventstoretest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sallyport/eventstore"
)

// killed has a process killed at each point of an append's way, in both ways
// that a group takes. After each kill every event that it had acknowledged is
// there with the position that it told, and what was under way is there once it
// is made again by its id, once; the log has no gap and its chain is whole.
func killed(t *testing.T, open func(testing.TB) *Site) {
	for way, points := range map[string][]Point{
		oneTrip: {Before("begin"), Before("SELECT log_expect"), Before("COPY events"), Before("UPDATE log_head"),
			Before("commit"), Committed, Unanswered, acknowledged},
		twoTrips: {Before("begin"), Before("SELECT site, role"), Before("COPY events"), Before("UPDATE log_head"),
			Before("commit"), Committed, Unanswered, acknowledged},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			site := open(t)
			s := &sweep{Killer: NewKiller(t, site.AppURL), site: site, way: way}
			tried := 0
			for _, p := range points {
				tried += s.kill(t, p)
				if t.Failed() {
					t.Fatalf("after a kill %s", p)
				}
			}
			if got := len(Whole(t, s.site.Store)); got != 1+tried {
				t.Errorf("%d events are stored, %d were tried", got-1, tried)
			}
			head, err := s.site.Store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v := verify(t, s.site, head); !v.OK {
				t.Errorf("verified: %+v", v)
			}
		})
	}
}

// hit is which group it is killed in: the second is whole, as the first caller
// does not wait for the others.
const hit = 2

// acknowledged is when the first of a group was told.
var acknowledged = Point{moment: "when the first of a group was told"}

// sweep is a site whose appending process is killed again and again.
type sweep struct {
	*Killer

	site *Site
	way  string
}

// kill runs a process until it is killed at a point, makes again what it tried,
// and returns how many appends that were.
func (s *sweep) kill(t *testing.T, p Point) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], appendUntil, s.way, s.URL) //nolint:gosec // this program itself
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.Disarm()
	tried, positions := s.listen(t, cmd, p, in, out)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("the process was to be killed %s, and ended with %v", p, err)
	}
	for _, id := range tried {
		records, err := s.site.Store.Append(t.Context(), named(s.way, id))
		if err != nil || len(records) != 1 || records[0].ID != id {
			t.Errorf("made again after a kill %s: %v, %v", p, records, err)
			continue
		}
		if told, acknowledged := positions[id]; acknowledged && told != records[0].Pos {
			t.Errorf("it told position %d of %s, which is at %d", told, id, records[0].Pos)
		}
	}
	if len(positions) < readies {
		t.Errorf("%d appends were acknowledged: this sweeps nothing", len(positions))
	}
	return len(tried)
}

// listen reads what the process tells until it is dead.
func (s *sweep) listen(t *testing.T, cmd *exec.Cmd, p Point, in io.Writer, out io.Reader) (tried []string, positions map[string]int64) {
	t.Helper()
	positions = map[string]int64{}
	ready, oks := false, 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "try":
			tried = append(tried, rest)
		case "ready":
			ready = true
			s.Arm(cmd, p, hit)
			if _, err := io.WriteString(in, "\n"); err != nil {
				t.Error(err)
			}
		case "ok":
			id, pos := "", int64(0)
			if _, err := fmt.Sscan(rest, &id, &pos); err != nil {
				t.Errorf("it said %q", lines.Text())
			}
			positions[id] = pos
			if ready {
				oks++
			}
			if ready && oks == hit && p == acknowledged {
				_ = cmd.Process.Kill() // that it is dead is seen by how it ends
			}
		}
	}
	return tried, positions
}

// verify recomputes what `audit verify` does of a site's own log.
func verify(t testing.TB, site *Site, head eventstore.Head) eventstore.Verified {
	t.Helper()
	v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: head.Site, Epoch: head.Epoch, After: head.Start, Through: head.Pos, Chain: head.Chain}, eventstore.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	if v.OK {
		if rows, err := site.Store.VerifyRows(t.Context()); err != nil || !rows.OK {
			rows.Problem += fmt.Sprint(err)
			return rows
		}
	}
	return v
}
