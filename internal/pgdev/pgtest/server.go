package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"sallyport/internal/pgdev"
)

// Server returns the shared server, starting it if need be. Tests may not stop it; it stays up at least until t has ended.
func Server(t testing.TB) *pgdev.Server {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatalf("folder of the shared postgresql: %v", err)
	}
	users, err := join(dir, syscall.LOCK_SH)
	if err != nil {
		t.Fatalf("join the users of the shared postgresql: %v", err)
	}
	t.Cleanup(func() { _ = users.Close() }) // closing a lock file cannot lose anything
	server, err := pgdev.Running(t.Context(), serverDir(dir))
	if errors.Is(err, pgdev.ErrNotRunning) {
		server, err = pgdev.Start(t.Context(), pgdev.Config{Dir: serverDir(dir), Ephemeral: true, Shared: true, Say: t.Logf})
	}
	if err != nil {
		t.Fatalf("shared postgresql: %v", err)
	}
	return server
}

// Folder makes a folder for a server of the test's own, to be started with pgdev.Start. It is removed when t ends. Unlike
// t.TempDir it lets the account pass that runs servers when we are root.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(home(), "sallyport-own-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the folder of a server: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil { // #nosec G302 -- see above
		t.Fatal(err)
	}
	return dir
}

// Stop stops the shared server and removes its files. While tests of another process use it, it is left alone and inUse is true.
func Stop(ctx context.Context) (inUse bool, err error) {
	dir, err := folder()
	if err != nil {
		return false, err
	}
	users, err := join(dir, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	server, err := pgdev.Running(ctx, serverDir(dir))
	if err == nil {
		err = server.Stop(ctx)
	}
	if err != nil && !errors.Is(err, pgdev.ErrNotRunning) {
		return false, err
	}
	return false, os.RemoveAll(serverDir(dir))
}

func serverDir(dir string) string { return filepath.Join(dir, "server") }

// memory is Linux' file system in memory, and enough is how large it must be to hold servers: whole test runs leave most of it free.
const (
	memory = "/dev/shm"
	enough = 4 << 30
)

// home is where servers live: in memory where it is large enough, unless TMPDIR says otherwise. To clone a database is to make
// three hundred files, and to drop it to remove them: on a disk's file system that takes ten times the processor's time. The
// size asked for is the whole, not what is free, so that all processes find the same server.
func home() string {
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memory, &fs) != nil || fs.Blocks*uint64(fs.Bsize) < enough { // #nosec G115 -- a block's size is small
		return os.TempDir()
	}
	return memory
}

// folder is one a user: servers of several users cannot share files. The folder above is open to all, so one that someone else
// has made is refused.
func folder() (string, error) {
	dir := filepath.Join(home(), "sallyport-test-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { // #nosec G301 -- when root, the account postgres passes
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to another user or is no folder: remove it", dir)
	}
	return dir, nil
}

// join takes the lock of the users: shared to use the server, exclusive to end it.
func join(dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "users"), os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- our own folder
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how) // #nosec G115 -- a descriptor is small
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
