package password

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sallyport/domain"
)

// TestMain makes this program one that hashes for another.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "hash" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// said is what was logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) times(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), what)
}

// apart returns a hasher with one process, which was not started yet, and what
// it logs.
func apart(t *testing.T, program string) (*Hasher, *said) {
	t.Helper()
	h, log := New(Config{Slots: 1}), &said{}
	h.Apart(slog.New(slog.NewTextHandler(log, nil)), program, "password.test", "hash")
	t.Cleanup(h.Close)
	return h, log
}

func ownFile(t *testing.T) string {
	t.Helper()
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// cheap are credentials of "correct horse" that cost little.
func cheap(t *testing.T) []domain.Credential {
	t.Helper()
	made := phc{memory: 64, passes: 1, lanes: 2, salt: random(saltBytes)}
	made.key = made.task("correct horse", keyBytes).do().Digest
	old, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return []domain.Credential{{Algorithm: Argon2id, Hash: made.String()}, {Algorithm: Bcrypt, Hash: string(old)}}
}

// checks lets a hasher tell right from wrong.
func checks(t *testing.T, h *Hasher) {
	t.Helper()
	for _, c := range cheap(t) {
		for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
			if got, err := h.Verify(t.Context(), c, password); got != want || err != nil {
				t.Errorf("verify %q by %s: %v, %v; want %v", password, c.Algorithm, got, err, want)
			}
		}
	}
}

// pid is that of the one process, or 0.
func (h *Hasher) pid() (pid int) {
	h.each(func(w *worker) {
		if w.process != nil {
			pid = w.process.cmd.Process.Pid
		}
	})
	return pid
}

func TestApart(t *testing.T) {
	t.Parallel()
	h, log := apart(t, ownFile(t))
	if pid := h.pid(); pid != 0 {
		t.Errorf("process %d was started before it was needed", pid)
	}
	checks(t, h)
	first := h.pid()
	if first == 0 {
		t.Fatal("nothing was hashed in another process")
	}
	if runtime.GOOS == "linux" {
		givesWay(t, first)
	}

	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	checks(t, h)
	if second := h.pid(); second == 0 || second == first {
		t.Errorf("after process %d was killed there is process %d, want another", first, second)
	}
	if n := log.times("level=WARN"); n != 1 || log.times("correct") > 0 {
		t.Errorf("one process was killed, and %d warnings were logged:\n%s", n, log.text.String())
	}

	second := h.pid()
	h.Close()
	if err := syscall.Kill(second, 0); err == nil {
		t.Errorf("process %d is there though its hasher was closed", second)
	}
	checks(t, h)
	if pid := h.pid(); pid != 0 {
		t.Errorf("process %d was started by a closed hasher", pid)
	}
}

// givesWay asks for the niceness of every thread of a process, for its session
// and for its environment.
func givesWay(t *testing.T, pid int) {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatalf("no threads of process %d: %v", pid, err)
	}
	own := nice(t, "/proc/self/stat")
	for _, stat := range stats {
		if got, want := nice(t, stat), min(19, own+10); got != want {
			t.Errorf("%s has niceness %d, want %d", stat, got, want)
		}
	}
	if environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || len(environment) > 0 {
		t.Errorf("the process sees an environment of %d bytes (%v)", len(environment), err)
	}
}

// nice reads a file such as /proc/self/stat, see proc_pid_stat(5).
func nice(t *testing.T, file string) (n int) {
	t.Helper()
	stat, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if _, err := fmt.Sscan(fields[16], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPasswordsAreHashedWithoutAProcess(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]string{"there is no program": "/nowhere/sallyport", "it does something else": "/bin/true"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, log := apart(t, program)
			checks(t, h)
			if n := log.times("level=WARN"); n != 1 {
				t.Errorf("%d warnings, want one:\n%s", n, log.text.String())
			}
		})
	}
}

func TestServeRefusesWhatIsNoHasher(t *testing.T) {
	t.Parallel()
	cmd := &exec.Cmd{Path: ownFile(t), Args: []string{"password.test", "hash"}, Stdin: strings.NewReader("hello\n")}
	if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "sallyport serve") {
		t.Errorf("%v, and it says %q", err, said)
	}
}
