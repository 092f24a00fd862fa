package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// scarcity gives the program room for so many KiB only, until undo.
type scarcity func(t *testing.T, on *station, cmd *exec.Cmd, kib int) (undo func())

// TestDiskFull gives export and import, step by step, a little more room on a
// disk: whatever does not fit is told with its path, and changes nothing.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	field, core := t.TempDir(), t.TempDir()
	if !isDisk(t, field) || !isDisk(t, core) {
		t.Log("this user may not mount a small disk: files are kept small instead")
		starve(t, newSweepIn(t, field, core), largestFile, []int{0, 1, 2, 3, 4})
		return
	}
	starve(t, newSweepIn(t, field, core), fullDisk, []int{0, 4, 8, 12, 16, 20})
}

// TestFileTooLarge does the same where no file may become large (ulimit -f).
func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	starve(t, newSweepIn(t, t.TempDir(), t.TempDir()), largestFile, []int{0, 1, 2, 3, 4})
}

func starve(t *testing.T, s *sweep, limit scarcity, rooms []int) {
	t.Helper()
	s.round(t, 2, untouched, untouched)
	refusedExports, refusedImports := 0, 0
	for _, kib := range rooms {
		s.damagedCopyArrives(t)
		s.round(t, 20, s.starving(limit, kib, &refusedExports), s.starving(limit, kib, &refusedImports))
		if t.Failed() {
			t.Fatalf("with room for %d KiB", kib)
		}
	}
	t.Logf("of %d runs each, %d exports and %d imports had no room", len(rooms), refusedExports, refusedImports)
	if refusedExports == 0 || refusedImports == 0 {
		t.Error("nothing was ever refused: this tests nothing")
	}
	s.quarantineIsWhole(t, len(rooms))
	s.allIsWell(t)
}

// starving runs the program with little room. What fails must say where, leave
// nothing half done behind and not move the cursor.
func (s *sweep) starving(limit scarcity, kib int, refused *int) killer {
	return func(t *testing.T, on *station, what string) {
		t.Helper()
		before := on.cursors(t)
		cmd := on.command(t.Context(), "bundle", what)
		undo := limit(t, on, cmd, kib)
		r := ended(t, cmd)
		undo()
		if r.code == 0 || r.code == 10 { // a damaged copy was put aside
			return
		}
		*refused++
		full := strings.Contains(r.stderr, syscall.ENOSPC.Error()) || strings.Contains(r.stderr, syscall.EFBIG.Error())
		if r.code != 1 || !full || !strings.Contains(r.stderr, on.dir) || strings.Contains(r.stderr, "goroutine ") {
			t.Errorf("%s with room for %d KiB: exit code %d\n%s", what, kib, r.code, r.stderr)
		}
		half := func(name string) bool { return strings.HasPrefix(name, ".") && name != ".tmp" }
		for _, folder := range []string{"outbox/.tmp", "outbox", "staging", "receipts", "archive"} {
			if left := on.names(t, folder); slices.ContainsFunc(left, half) || folder == "outbox/.tmp" && len(left) > 0 {
				t.Errorf("%s with room for %d KiB left in %s: %q", what, kib, folder, left)
			}
		}
		if after := on.cursors(t); what == "export" && after != before {
			t.Errorf("the cursor moved from %v to %v", before, after)
		}
	}
}

// cursors is how far the site has exported and imported.
func (s *station) cursors(t *testing.T) (through [2]int64) {
	t.Helper()
	var links []struct {
		Exported int64 `json:"exported_through"`
		Applied  int64 `json:"applied_through"`
	}
	decodeInto(t, s.must(t, "link", "status").stdout, &links)
	return [2]int64{links[0].Exported, links[0].Applied}
}

// isDisk makes a folder a disk of one MiB, if this user may.
func isDisk(t *testing.T, dir string) bool {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		return false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// fullDisk fills a site's disk but for so much.
func fullDisk(t *testing.T, on *station, _ *exec.Cmd, kib int) (undo func()) {
	t.Helper()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(on.dir, &disk); err != nil {
		t.Fatal(err)
	}
	free := int64(disk.Bavail)*disk.Bsize - int64(kib)<<10 //nolint:gosec // a small disk
	filling := filepath.Join(on.dir, "filling")
	if err := os.WriteFile(filling, make([]byte, max(free, 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(filling); err != nil {
			t.Fatal(err)
		}
	}
}

// largestFile lets the program make no file larger than this.
func largestFile(t *testing.T, _ *station, cmd *exec.Cmd, kib int) (undo func()) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{"bash", "-c", fmt.Sprintf(`ulimit -f %d; exec "$@"`, kib), "bash", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = bash
	return func() {}
}
