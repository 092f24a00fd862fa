package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge/bundle"
)

// TestFaultyDisk has each fsync of export and import fail in turn, and then
// writes reported as done that were not: nothing is taken to be on the disk that
// is not there.
func TestFaultyDisk(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Log("no program strace here: no disk is made to fail (scripts/setup-test.sh)")
		return
	}
	s := newSweep(t)
	s.round(t, 2, untouched, untouched)
	for n, failed := 1, 1; failed > 0; n++ {
		failed = 0
		broken := faulty(strace, syscall.EIO.Error(), &failed, "-e", "trace=fsync", "-e", fmt.Sprintf("inject=fsync:error=EIO:when=%d", n))
		s.round(t, 2, broken, broken)
		if t.Failed() {
			t.Fatalf("at fsync number %d", n)
		}
		if failed == 0 && n < 5 {
			t.Fatalf("no run has %d: this tests nothing", n)
		}
	}
	for _, call := range []string{"write", "copy_file_range"} {
		failed := 0
		lying := append([]string{"-e", "trace=" + call, "-e", "inject=" + call + ":retval=1:when=1"}, s.nextFiles(t)...)
		s.round(t, 2, faulty(strace, "reads back differently", &failed, lying...), untouched)
		if failed == 0 {
			t.Errorf("a %s that did not take place went unnoticed", call)
		}
	}
	s.allIsWell(t)
}

// faulty runs the program under strace, which has system calls fail. A run that
// fails says why and where, and leaves nothing half done in outbox or staging.
func faulty(strace, says string, failed *int, how ...string) killer {
	return func(t *testing.T, on *station, what string) {
		t.Helper()
		cmd := on.command(t.Context(), "bundle", what)
		cmd.Args = slices.Concat([]string{strace, "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"}, how, []string{cmd.Path}, cmd.Args[1:])
		cmd.Path = strace
		r := ended(t, cmd)
		if r.code == 0 {
			return
		}
		*failed++
		if !slices.Contains([]int{1, 10, 11}, r.code) || !strings.Contains(r.stderr, says) || !strings.Contains(r.stderr, on.dir) {
			t.Errorf("%s: exit code %d\n%s", what, r.code, r.stderr)
		}
		half := func(name string) bool { return strings.HasPrefix(name, ".") }
		if left := append(on.names(t, "outbox/.tmp"), slices.DeleteFunc(on.names(t, "staging"), func(name string) bool { return !half(name) })...); len(left) > 0 {
			t.Errorf("%s left %q", what, left)
		}
	}
}

// nextFiles restricts strace to the files of the next export.
func (s *sweep) nextFiles(t *testing.T) []string {
	t.Helper()
	last := bundle.Name{}
	for _, name := range s.field.bundles(t, "outbox") {
		if n, err := bundle.ParseName(name); err == nil && n.Seq > last.Seq && n.Beacon == 0 {
			last = n
		}
	}
	last.Seq++
	tmp := filepath.Join(s.field.dir, "outbox", ".tmp")
	return []string{"-P", filepath.Join(tmp, last.String()), "-P", filepath.Join(tmp, fmt.Sprintf("core-%d.payload", last.Seq))}
}
