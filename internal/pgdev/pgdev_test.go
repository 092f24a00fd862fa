package pgdev_test

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
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/owndir"
	"sallyport/internal/pgdev"
	"sallyport/internal/pgdev/pgtest"
)

const childDir = "SALLYPORT_TEST_PGDEV_DIR"

// TestMain doubles as the owner process that gets killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		ownUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// ownUntilKilled starts a server, says so and waits to be killed.
func ownUntilKilled(dir string) {
	s, err := pgdev.Start(context.Background(), pgdev.Config{Dir: dir, Ephemeral: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready", s.DSN("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// owner starts a child that owns dir. The function it returns kills the child, as kill -9 would.
func owner(t *testing.T, dir string) (pid int, kill func()) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
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
	if !lines.Scan() {
		t.Fatal("the child did not start a server")
	}
	return child.Process.Pid, func() {
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
	}
}

// start starts a server that ends with the test, and returns what it said.
func start(t *testing.T, cfg pgdev.Config) (*pgdev.Server, *strings.Builder) {
	t.Helper()
	said := &strings.Builder{}
	cfg.Ephemeral = true
	cfg.Say = func(format string, args ...any) { fmt.Fprintf(said, format+"\n", args...) }
	s, err := pgdev.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s, said
}

func query(t *testing.T, s *pgdev.Server, sql string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestStartStopStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(pgtest.Folder(t), "it's a long "+strings.Repeat("folder/", 12))
	s, _ := start(t, pgdev.Config{Dir: dir, Settings: map[string]string{"work_mem": "5MB", "application_name": "it's"}})
	if got := query(t, s, "show work_mem") + query(t, s, "show listen_addresses"); got != "5MB" {
		t.Errorf("work_mem and listen_addresses: %q", got)
	}
	if len(s.SocketDir()) > 85 {
		t.Errorf("socket folder of %d bytes", len(s.SocketDir()))
	}
	for i, want := range []bool{true, false} {
		if created, err := s.EnsureDatabase(t.Context(), `odd "name"`); err != nil || created != want {
			t.Errorf("ensure database, call %d: created %t, error %v", i+1, created, err)
		}
	}
	for range 2 {
		if err := s.Stop(t.Context()); err != nil {
			t.Fatalf("stop: %v", err)
		}
	}
	if _, err := pgx.Connect(t.Context(), s.DSN("postgres")); err == nil {
		t.Error("the server answers after Stop")
	}
	again, _ := start(t, pgdev.Config{Dir: dir})
	if created, err := again.EnsureDatabase(t.Context(), `odd "name"`); err != nil || created {
		t.Errorf("after a second start the database is gone: created %t, error %v", created, err)
	}
	if got := query(t, again, "show work_mem"); got != "4MB" {
		t.Errorf("work_mem after a start without settings: %s", got)
	}
}

func TestSecondOwnerIsRefusedAndAKilledOnesServerReused(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	pid, kill := owner(t, dir)
	_, err := pgdev.Start(t.Context(), pgdev.Config{Dir: dir})
	var inUse *owndir.InUseError
	if !errors.As(err, &inUse) || inUse.PID != pid || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("a second owner: %v, want an error that names process %d", err, pid)
	}
	kill()
	s, said := start(t, pgdev.Config{Dir: dir})
	if !strings.Contains(said.String(), "already runs") {
		t.Errorf("the server of the killed process was not used again; said:\n%s", said)
	}
	query(t, s, "select 'alive'")
}

// postmaster is the process id and the path of the process id file of the server.
func postmaster(t *testing.T, s *pgdev.Server) (pid int, file string) {
	t.Helper()
	file = filepath.Join(query(t, s, "show data_directory"), "postmaster.pid")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	if pid, err = strconv.Atoi(first); err != nil {
		t.Fatal(err)
	}
	return pid, file
}

func TestServerKilledTooIsRecovered(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	_, kill := owner(t, dir)
	s, err := pgdev.Running(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.EnsureDatabase(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	pid, _ := postmaster(t, s)
	kill()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again, _ := start(t, pgdev.Config{Dir: dir})
	if created, err := again.EnsureDatabase(t.Context(), "kept"); err != nil || created {
		t.Errorf("after a crash: created %t, error %v, want the database kept", created, err)
	}
}

func TestStaleProcessIDOfALivingStranger(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	s, _ := start(t, pgdev.Config{Dir: dir})
	_, file := postmaster(t, s)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.Stat(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	if st, ok := data.Sys().(*syscall.Stat_t); !ok || os.Chown(file, int(st.Uid), int(st.Gid)) != nil {
		t.Fatal("cannot hand the process id file back to the server's account")
	}
	again, _ := start(t, pgdev.Config{Dir: dir})
	query(t, again, "select 'alive'")
}

func TestSocketSweptAway(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	_, kill := owner(t, dir)
	kill()
	if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, pgdev.Config{Dir: dir})
	query(t, s, "select 'alive'")
}

func TestHalfMadeClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	for _, left := range []string{"data", "data.new"} {
		if err := os.MkdirAll(filepath.Join(dir, left, "base"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := start(t, pgdev.Config{Dir: dir})
	query(t, s, "select 'alive'")
}

func TestClusterOfAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := pgtest.Folder(t)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, "data", "PG_VERSION")
	if err := os.WriteFile(mark, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pgdev.Start(t.Context(), pgdev.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("start on a cluster of version 9: %v", err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the cluster of another version was touched: %v", err)
	}
}

func TestTemporaryServerLeavesNothing(t *testing.T) {
	t.Parallel()
	s, _ := start(t, pgdev.Config{})
	dir := filepath.Dir(query(t, s, "show data_directory"))
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a temporary server is still there: %v", err)
	}
}

// TestFolderOfRoot holds when we are root, where a folder closed to all others is closed to the server's account; for
// anyone else it is one more start in a folder.
func TestFolderOfRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, pgdev.Config{Dir: dir})
	if far, err := os.Readlink(filepath.Join(dir, "cluster")); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(far) })
	}
	if _, err := s.EnsureDatabase(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, _ := start(t, pgdev.Config{Dir: dir})
	if created, err := again.EnsureDatabase(t.Context(), "kept"); err != nil || created {
		t.Errorf("second start: created %t, error %v", created, err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return
	}
	if err := os.Remove(filepath.Join(dir, "cluster")); err != nil {
		t.Fatalf("no link to the cluster: %v", err)
	}
	anew, _ := start(t, pgdev.Config{Dir: dir})
	if created, err := anew.EnsureDatabase(t.Context(), "kept"); err != nil || !created {
		t.Errorf("after the folder was emptied: created %t, error %v, want a new cluster", created, err)
	}
}
