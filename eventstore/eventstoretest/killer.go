package eventstoretest

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Point is where a process is killed. A statement is told by how it begins: it
// never reaches the database.
type Point struct{ statement, moment string }

func (p Point) String() string { return p.moment + p.statement }

// Before is the moment at which a statement would be sent.
func Before(statement string) Point { return Point{statement, "before "} }

// Moments around a commit that the database carries out.
var (
	// Committed is for a commit that is one of several statements of a trip.
	Committed  = Point{moment: "when the commit was sent and nothing asked for an answer"}
	Unanswered = Point{moment: "when the answer to the commit was under way"}
)

// Killer kills a process at a point of what it says to its database, which it
// reaches by the killer's URL. No other process may use that.
type Killer struct {
	*Wire

	mu         sync.Mutex
	statements map[string]string // SQL by the name under which it was prepared
	victim     *exec.Cmd         // nil: nobody is to be killed
	at         Point
	left       int  // how often the point may still be come to
	commits    bool // a commit was sent whose answer is awaited
}

// NewKiller returns a killer before a database, which ends with the test.
func NewKiller(t testing.TB, appURL string) *Killer {
	t.Helper()
	k := &Killer{statements: map[string]string{}}
	k.Wire = NewWire(t, appURL, k.toServer, k.toProgram)
	return k
}

// Arm has a running process killed when it comes to a point for the n-th time
// from now.
func (k *Killer) Arm(victim *exec.Cmd, at Point, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.victim, k.at, k.left, k.commits = victim, at, n, false
}

// Disarm has nobody killed until Arm is called.
func (k *Killer) Disarm() { k.Arm(nil, Point{}, 0) }

// toServer is a [Pass].
func (k *Killer) toServer(message []byte) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sql := ""
	switch fields := bytes.SplitN(message[5:], []byte{0}, 3); message[0] {
	case 'P': // Parse: name, SQL
		k.statements[string(fields[0])] = string(fields[1])
	case 'B': // Bind: portal, name
		sql = k.statements[string(fields[1])]
	case 'Q': // Query: SQL
		sql = string(fields[0])
	case 'S': // Sync: asks for the answers
		if k.commits && k.at == Committed && k.reached() {
			return nil, false
		}
	}
	if k.at.statement != "" && strings.HasPrefix(strings.TrimSpace(sql), k.at.statement) && k.reached() {
		return nil, false
	}
	k.commits = k.commits || sql == "commit"
	return message, true
}

// toProgram is a [Pass].
func (k *Killer) toProgram(message []byte) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if message[0] == 'C' && bytes.Contains(message, []byte("COMMIT\x00")) {
		if k.at == Unanswered && k.reached() {
			return nil, false
		}
		k.commits = false
	}
	return message, true
}

// reached counts that the point was come to, and kills at the chosen time.
func (k *Killer) reached() bool {
	if k.victim == nil {
		return false
	}
	if k.left--; k.left != 0 {
		return false
	}
	_ = k.victim.Process.Kill() // that it is dead is seen by how it ends
	return true
}
