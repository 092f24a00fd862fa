package redisdev_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/owndir"
	"sallyport/internal/redisdev"
)

// start starts a server in dir that ends with the test; nil, and a word in the log, on a machine without redis-server.
func start(t *testing.T, dir string) *redisdev.Server {
	t.Helper()
	s, err := redisdev.Start(t.Context(), redisdev.Config{Dir: dir, Say: t.Logf})
	if errors.Is(err, redisdev.ErrNoServer) {
		t.Log(err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestServesOnASocket(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"short": t.TempDir(),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("long/", 30)),
		"odd":   filepath.Join(t.TempDir(), `a "b" c%20d`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, dir)
			if s == nil {
				return
			}
			opts, err := redis.ParseURL(s.URL())
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(opts)
			if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Error(err)
			}
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			if len(s.Socket()) > 100 {
				t.Errorf("socket path of %d bytes", len(s.Socket()))
			}
			for range 2 {
				if err := s.Stop(t.Context()); err != nil {
					t.Errorf("stop: %v", err)
				}
			}
			if _, err := os.Stat(s.Socket()); !errors.Is(err, os.ErrNotExist) {
				t.Error("the socket is still there after Stop")
			}
		})
	}
}

func TestSecondOwnerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if start(t, dir) == nil {
		return
	}
	_, err := redisdev.Start(t.Context(), redisdev.Config{Dir: dir})
	var inUse *owndir.InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("a second start: %v", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	_, err := redisdev.Start(t.Context(), redisdev.Config{Dir: t.TempDir(), Search: []string{}})
	if !errors.Is(err, redisdev.ErrNoServer) {
		t.Errorf("start without a redis-server: %v", err)
	}
}
