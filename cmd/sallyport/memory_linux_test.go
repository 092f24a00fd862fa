//go:build !race

// What is measured is the program as people run it, and what it is brought takes
// long to make under the race detector: `make test` runs this without it.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// mostMemory is how far above the idle program bad input may take it, in KiB.
const mostMemory = 64 << 10

// TestBadInputTakesLittleMemory has the program serve, built as people run it,
// and brings it what a peer signed to fill its memory. Each is refused within
// the bound.
func TestBadInputTakesLittleMemory(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	field, core := newStations(t)
	servers := map[*station]*server{field: serving(t, program, field), core: serving(t, program, core)}
	for i, c := range fillers() {
		t.Run(c.name, func(t *testing.T) {
			to, role := core, domain.RequestSite
			if c.answers {
				to, role = field, domain.ResponseSite
			}
			from := newEnemy(t, fmt.Sprintf("enemy-%d", i), role)
			to.link(t, from.card)
			if r := servers[to].refuses(t, from.fileName(to.name), c.make(t, from, to.name)); !strings.Contains(r.Message, c.says) {
				t.Errorf("refused because %s, want %q", r.Message, c.says)
			}
			most := servers[to].highWater(t) - servers[to].idle
			t.Logf("%d MiB above idle", most>>10)
			if most > mostMemory {
				t.Errorf("it took %d MiB more than the idle program with %d MiB", most>>10, servers[to].idle>>10)
			}
		})
	}
}

// server is a site that serves as a process of its own.
type server struct {
	*station
	pid  int
	idle int // KiB
}

// serving starts a site. Once it has refused a small file it has done all that
// an idle one does.
func serving(t *testing.T, program string, at *station) *server {
	t.Helper()
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, "-C", at.config, "serve")
	cmd.Env = append(os.Environ(), "SALLYPORT_BRIDGE_SCAN_EVERY=50ms")
	var stderr safeBuffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		_ = cmd.Wait() // it is killed
		if t.Failed() {
			t.Logf("%s said:\n%s", at.name, &stderr)
		}
	})
	s := &server{station: at, pid: cmd.Process.Pid}
	s.refuses(t, newEnemy(t, "nobody", domain.RequestSite).fileName(at.name), []byte("no bundle"))
	s.idle = s.highWater(t)
	return s
}

// refuses brings a file and waits for its quarantine.
func (s *server) refuses(t *testing.T, name string, data []byte) (r bridge.Reason) {
	t.Helper()
	before := s.names(t, "quarantine")
	s.drop(t, name, data)
	eventually(t, "the quarantine of "+name, func() bool {
		i := slices.IndexFunc(s.names(t, "quarantine"), func(id string) bool { return !slices.Contains(before, id) })
		if i < 0 {
			return false
		}
		dir := filepath.Join(s.dir, "quarantine", s.names(t, "quarantine")[i])
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false // moved there last
		}
		decodeStrictly(t, readFile(t, filepath.Join(dir, "reason.json")), &r)
		return true
	})
	return r
}

var vmHWM = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// highWater is the most memory that the process had so far, in KiB.
func (s *server) highWater(t *testing.T) int {
	t.Helper()
	found := vmHWM.FindSubmatch(readFile(t, fmt.Sprintf("/proc/%d/status", s.pid)))
	if found == nil {
		t.Fatal("the server is gone")
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// filler is a bundle that is made to fill memory.
type filler struct {
	name    string
	make    func(t *testing.T, e enemy, to string) []byte
	says    string // why it is refused
	answers bool   // it comes from a response site
}

func fillers() []filler {
	request := domain.RequestStream("x")
	forbidden := says(domain.UserStream("eve"), "user.registered", `{}`) // what no request site may send
	large := asks(1<<20 - 1000)
	return []filler{
		{name: "a frame that says it holds 200 MiB", says: "decompresses to more", make: claims(1, 200<<20, ' ')},
		{name: "two gigabytes in the largest frames", says: "more than one line", make: claims(127, 16<<20, '\n')},
		{name: "a recorded line of 16 MiB and 1", says: "decompresses to more", answers: true, make: writes(recorded(16<<20+1, "a"))},
		{name: "a recorded line of 16 MiB", says: "never asked", answers: true, make: writes(recorded(16<<20, "a"))},
		{name: "a recorded line of a million names", says: "never asked", answers: true, make: writes(names(1_300_000))},
		{name: "a hundred lines of 1 MiB", says: "may not come", make: writes(func(event func(bundle.Event), _ func(int64)) {
			for range 100 {
				event(large)
			}
			event(forbidden)
		})},
		{name: "a million and one withheld runs", says: "more lines", make: writes(func(_ func(bundle.Event), run func(int64)) {
			for i := range int64(1_000_001) {
				run(i + 1)
			}
		})},
		{name: "deep JSON", says: "nested too deeply", make: writes(one(says(request, "request.submitted",
			`{"x":`+strings.Repeat("[", 500_000)+strings.Repeat("]", 500_000)+`}`)))},
		{name: "a manifest of 4 MiB that asks for numbers", says: "may not come", make: func(t *testing.T, e enemy, to string) []byte {
			return e.write(t, to, one(forbidden), func(m *bundle.Manifest) {
				m.Ack = &bundle.Ack{Epoch: e.card.Epoch, Incarnation: strings.Repeat("0", 32), No: 1, Missing: make([]int64, 250_000)}
				for i := range m.Ack.Missing {
					m.Ack.Missing[i] = int64(i) + 1
				}
			})
		}},
		{name: "a manifest of 4 MiB that lists frames", says: "payload does not belong", make: claims(17_000, 10, '\n')},
	}
}

type maker = func(t *testing.T, e enemy, to string) []byte

func writes(lines content) maker {
	return func(t *testing.T, e enemy, to string) []byte { return e.write(t, to, lines, nil) }
}

func claims(frames, size int, of byte) maker {
	return func(t *testing.T, e enemy, to string) []byte {
		return e.claim(t, to, int64(frames)*int64(size), bombs(frames, size, of)...)
	}
}

func one(e bundle.Event) content {
	return func(event func(bundle.Event), _ func(int64)) { event(e) }
}

// answered is an answer with this result.
func answered(result string) bundle.Event {
	return says(domain.ResponseStream("0194d7a0-0000-7000-8000-000000000000"), "response.recorded",
		`{"status":"answered","result":`+result+`,"result_count":1,"took_ms":1,"truncated":false,"responder":"sql","cached":false,"content_type":"application/json"}`)
}

// recorded is one answer whose line, the first of its log, has n bytes.
func recorded(n int, of string) content {
	e := answered(`""`)
	e.Pos = 1
	return one(answered(`"` + strings.Repeat(of, n-len(bundle.AppendEvent(nil, e))) + `"`))
}

// names is one answer that is an object of n names, each with an escape.
func names(n int) content {
	var b bytes.Buffer
	b.WriteString(`{"x":0`)
	for i := range n {
		fmt.Fprintf(&b, `,"\t%x":0`, i)
	}
	return one(answered(b.String() + "}"))
}
