package eventstoretest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"sallyport/eventstore"
)

// killed has a process killed at each point of an append's way, in both ways
// that a group takes. After each kill every event that it had acknowledged is
// there with the position that it told, and what was under way is there once it
// is made again by its id, once; the log has no gap and its chain is whole.
func killed(t *testing.T, open func(testing.TB) *Site) {
	for way, points := range map[string][]point{
		oneTrip: {before("begin"), before("SELECT log_expect"), before("INSERT INTO events"), before("UPDATE log_head"),
			before("commit"), committed, unanswered, acknowledged},
		twoTrips: {before("begin"), before("SELECT site, role"), before("INSERT INTO events"), before("UPDATE log_head"),
			before("commit"), committed, unanswered, acknowledged},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := &sweep{site: open(t), way: way, statements: map[string]string{}}
			s.wire = NewWire(t, s.site.AppURL, s.toServer, s.toProgram)
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

// point is where a process is killed. A statement is told by how it begins: it
// never reaches the database.
type point struct{ statement, moment string }

func (p point) String() string { return p.moment + p.statement }

func before(statement string) point { return point{statement, "before "} }

var (
	committed    = point{moment: "when the commit was sent and nothing asked for an answer"}
	unanswered   = point{moment: "when the answer to the commit was under way"}
	acknowledged = point{moment: "when the first of a group was told"}
)

// hit is which group it is killed in: the second is whole, as the first caller
// does not wait for the others.
const hit = 2

// sweep is a site whose appending process is killed again and again.
type sweep struct {
	site *Site
	wire *Wire
	way  string

	mu         sync.Mutex
	statements map[string]string // SQL by the name under which it was prepared
	at         point
	armed      bool
	hits       int
	commits    bool // a commit was sent whose answer is awaited
	cmd        *exec.Cmd
}

// kill runs a process until it is killed at a point, makes again what it tried,
// and returns how many appends that were.
func (s *sweep) kill(t *testing.T, p point) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], appendUntil, s.way, s.wire.URL) //nolint:gosec // this program itself
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
	s.arm(cmd, p, false)
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
func (s *sweep) listen(t *testing.T, cmd *exec.Cmd, p point, in io.Writer, out io.Reader) (tried []string, positions map[string]int64) {
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
			s.arm(cmd, p, true)
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

func (s *sweep) arm(cmd *exec.Cmd, p point, armed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.at, s.armed, s.hits, s.commits = cmd, p, armed, 0, false
}

// toServer is a [Pass].
func (s *sweep) toServer(message []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch message[0] {
	case 'P': // Parse: name, SQL
		if fields := bytes.SplitN(message[5:], []byte{0}, 3); len(fields) == 3 {
			s.statements[string(fields[0])] = string(fields[1])
		}
	case 'B': // Bind: portal, name
		fields := bytes.SplitN(message[5:], []byte{0}, 3)
		sql := s.statements[string(fields[1])]
		if s.at.statement != "" && strings.HasPrefix(strings.TrimSpace(sql), s.at.statement) && s.reached() {
			return nil, false
		}
		s.commits = s.commits || sql == "commit"
	case 'S': // Sync: asks for the answers
		if s.commits && s.at == committed && s.reached() {
			return nil, false
		}
	}
	return message, true
}

// toProgram is a [Pass].
func (s *sweep) toProgram(message []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if message[0] == 'C' && bytes.Contains(message, []byte("COMMIT\x00")) {
		if s.at == unanswered && s.reached() {
			return nil, false
		}
		s.commits = false
	}
	return message, true
}

// reached counts that the point was come to, and kills at the chosen time.
func (s *sweep) reached() bool {
	if !s.armed {
		return false
	}
	if s.hits++; s.hits != hit {
		return false
	}
	_ = s.cmd.Process.Kill() // that it is dead is seen by how it ends
	return true
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
