// Package redistest gives a test a Redis server of its own, so that it may flush, kill and fill it as it likes.
package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/redisdev"
)

// URL starts a private Redis server (some 30 ms), which ends with t, and returns its address for redis.ParseURL. Without a
// redis-server on this machine ok is false and the log of the test says so: run the suite on the in-process implementation
// alone.
func URL(t testing.TB) (url string, ok bool) {
	t.Helper()
	server, ok := Server(t)
	if !ok {
		return "", false
	}
	return server.URL(), true
}

// Server is URL for tests that stop the server.
func Server(t testing.TB) (server *redisdev.Server, ok bool) {
	t.Helper()
	dir, err := folder(t.Context())
	if err != nil {
		t.Fatalf("folder of a private redis: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the folder of a private redis: %v", err)
		}
	})
	server, err = redisdev.Start(t.Context(), redisdev.Config{Dir: dir})
	if errors.Is(err, redisdev.ErrNoServer) {
		t.Logf("%v", err)
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return server, true
}

// folder makes a folder named after this process, after ending the servers of processes that died without doing it.
func folder(ctx context.Context) (string, error) {
	base := filepath.Join(os.TempDir(), "sallyport-redis-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(base)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to another user or is no folder: remove it", base)
	}
	if err := sweep(ctx, base); err != nil {
		return "", err
	}
	dir := filepath.Join(base, fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()[:8]))
	return dir, os.Mkdir(dir, 0o700)
}

func sweep(ctx context.Context, base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, _, _ := strings.Cut(e.Name(), "-")
		pid, err := strconv.Atoi(text)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		dir := filepath.Join(base, e.Name())
		server, err := redisdev.Start(ctx, redisdev.Config{Dir: dir})
		if err != nil {
			continue // another process sweeps it
		}
		if err := errors.Join(server.Stop(ctx), os.RemoveAll(dir)); err != nil {
			return err
		}
	}
	return nil
}
