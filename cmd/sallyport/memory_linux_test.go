package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// mostMemory is how far above the idle program bad input may take it, in KiB.
const mostMemory = 64 << 10

// TestBadInputTakesLittleMemory has the program, built as people run it, take in
// what a peer signed to fill its memory. Each is refused within the bound.
func TestBadInputTakesLittleMemory(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sallyport")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	field, core := newStations(t)
	idle := map[*station]int{}
	for _, s := range []*station{field, core} {
		idle[s], _ = peak(t, program, s)
	}
	for i, c := range fillers() {
		t.Run(c.name, func(t *testing.T) {
			to, role := core, domain.RequestSite
			if c.answers {
				to, role = field, domain.ResponseSite
			}
			from := newEnemy(t, fmt.Sprintf("enemy-%d", i), role)
			to.link(t, from.card)
			to.drop(t, from.fileName(to.name), c.make(t, from, to.name))
			most, r := peak(t, program, to)
			out := r.outcomes(t)
			if len(out) != 1 || out[0].State != bridge.Quarantined || !strings.Contains(out[0].Reason, c.says) {
				t.Errorf("exit code %d, %+v\n%s", r.code, out, r.stderr)
			}
			t.Logf("%d MiB above idle", (most-idle[to])>>10)
			if most-idle[to] > mostMemory {
				t.Errorf("it took %d MiB, the idle program takes %d MiB", most>>10, idle[to]>>10)
			}
		})
	}
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

// peak imports with a program and gives the most memory that it had, in KiB.
// (What the kernel tells of an ended child counts its parent's memory too.)
func peak(t *testing.T, program string, at *station) (most int, r result) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-C", at.config, "-o", "json", "bundle", "import")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-exited:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			return most, result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
		case <-look.C:
			most = max(most, highWater(cmd.Process.Pid, program))
		}
	}
}

var vmHWM = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// highWater reads the most memory that a process had so far: 0 if it is over, or
// not yet the program.
func highWater(pid int, program string) int {
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || exe != program {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	found := vmHWM.FindSubmatch(status)
	if found == nil {
		return 0
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		return 0
	}
	return kib
}
