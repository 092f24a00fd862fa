package owndir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/owndir"
)

func TestTakeIsExclusive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := owndir.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = owndir.Take(dir)
	var inUse *owndir.InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() || inUse.Dir != dir {
		t.Fatalf("second claim: %v", err)
	}
	for range 2 {
		if err := first.Release(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := owndir.Take(dir)
	if err != nil {
		t.Fatalf("claim after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

// What another part of the program starts just then does not keep the claim.
func TestReleaseCountsWhileAChildIsStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	claim, err := owndir.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := claim.Twin()
	if err != nil {
		t.Fatal(err)
	}
	defer twin.Close()
	if err := claim.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := owndir.Take(dir)
	if err != nil {
		t.Fatalf("claim after release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestWaitGetsTheFolderNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := owndir.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		second, err := owndir.Wait(dir)
		if err == nil {
			err = second.Release()
		}
		got <- err
	}()
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestTakeOfAMissingFolder(t *testing.T) {
	t.Parallel()
	if _, err := owndir.Take(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("claim of a missing folder: %v", err)
	}
}

func TestSocketDir(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{t.TempDir(), long} {
		run, err := owndir.SocketDir(dir, "x.sock", os.Getuid(), os.Getgid())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(run) })
		if n := len(filepath.Join(run, "x.sock")); n > 100 {
			t.Errorf("socket path of %d bytes for %s", n, dir)
		}
		if again, err := owndir.SocketDir(dir, "x.sock", os.Getuid(), os.Getgid()); err != nil || again != run {
			t.Errorf("second call: %s, %v; first %s", again, err, run)
		}
		info, err := os.Stat(run)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("mode of %s: %v, %v", run, info.Mode(), err)
		}
	}
}

func TestSocketDirRefusesATrap(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(path string) error{
		"link": func(path string) error { return os.Symlink(t.TempDir(), path) },
		"file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := lay(filepath.Join(dir, "run")); err != nil {
				t.Fatal(err)
			}
			if run, err := owndir.SocketDir(dir, "x.sock", os.Getuid(), os.Getgid()); err == nil {
				t.Errorf("a %s was taken for a socket folder: %s", name, run)
			}
		})
	}
}
