package redistest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/redisdev"
	"sallyport/internal/redisdev/redistest"
)

// TestMain doubles as the test process that gets killed.
func TestMain(m *testing.M) {
	if base := os.Getenv("SALLYPORT_TEST_LEAVE_REDIS"); base != "" {
		leave(base)
	}
	os.Exit(m.Run())
}

// leave starts a server in a folder of this process' name, says so and waits to be killed.
func leave(base string) {
	dir := filepath.Join(base, strconv.Itoa(os.Getpid())+"-left")
	if _, err := redisdev.Start(context.Background(), redisdev.Config{Dir: dir}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	var clients []*redis.Client
	for range 2 {
		url, ok := redistest.URL(t)
		if !ok {
			return // said in the log
		}
		opts, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(opts)
		t.Cleanup(func() { _ = client.Close() })
		clients = append(clients, client)
	}
	if err := clients[0].Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	n, err := clients[1].Exists(t.Context(), "k").Result()
	if err != nil || n != 0 {
		t.Errorf("a key of another server: %d, error %v", n, err)
	}
}

func TestServerOfAKilledProcessIsSwept(t *testing.T) {
	t.Parallel()
	server, ok := redistest.Server(t)
	if !ok {
		return
	}
	base := filepath.Dir(filepath.Dir(filepath.Dir(server.Socket())))
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "SALLYPORT_TEST_LEAVE_REDIS="+base)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	left := lines.Text()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if left == "" {
		t.Fatal("the child started no server")
	}
	if _, ok := redistest.URL(t); !ok {
		t.Fatal("no server")
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the killed process is still there: %v", err)
	}
}
