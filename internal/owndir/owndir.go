// Package owndir gives a folder to one process at a time.
//
// A private PostgreSQL or Redis server lives in a folder. Two programs that start servers in the same folder
// would fight over its files, so a program claims the folder first:
//
//	DIR/lock   flock'd for as long as the claim is held; holds the process id of the owner
//
// The kernel drops the lock when the owner ends, however it ends: a claim never has to be repaired, and the process
// id in the file is only there for the error message. Child processes do not inherit a claim.
//
// SocketDir finds a place for a server's Unix socket, whose path may not be longer than about 100 bytes.
package owndir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// InUseError says that another living process holds the claim on a folder.
type InUseError struct {
	Dir string
	PID int // 0 when the owner has not written it yet
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("folder %s is in use by process %d; nothing was changed: stop that process or choose another folder", e.Dir, e.PID)
}

// Claim is the exclusive use of a folder until Release or the end of the process.
type Claim struct {
	file *os.File
	once sync.Once
}

// Take claims dir, which must exist, and answers at once: the error is an *InUseError when another process, or
// another part of this one, holds the claim.
func Take(dir string) (*Claim, error) {
	return take(dir, syscall.LOCK_EX|syscall.LOCK_NB)
}

// Wait is Take that waits for the present owner to let go. It does not hear a context: the owners it is meant for
// hold a claim for seconds.
func Wait(dir string) (*Claim, error) {
	return take(dir, syscall.LOCK_EX)
}

func take(dir string, how int) (*Claim, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claim folder: %w", err)
	}
	if err := flock(f, how); err != nil {
		defer func() { _ = f.Close() }() // only read from
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &InUseError{Dir: dir, PID: owner(f)}
		}
		return nil, fmt.Errorf("claim folder %s: %w", dir, err)
	}
	if err := writeOwner(f); err != nil {
		return nil, errors.Join(fmt.Errorf("claim folder %s: %w", dir, err), f.Close())
	}
	return &Claim{file: f}, nil
}

// flock repeats the system call when a signal interrupts it, as the Go runtime's own signals do.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how) // #nosec G115 -- a descriptor is small
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func owner(f *os.File) int {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Release gives the folder back. It may be called more than once. The lock is undone by itself: a child process that is
// being started has the file too, until it becomes another program.
func (c *Claim) Release() error {
	var err error
	c.once.Do(func() { err = errors.Join(flock(c.file, syscall.LOCK_UN), c.file.Close()) })
	return err
}

// maxSocketPath is below the 104 bytes of macOS and the 108 of Linux, with room for a terminating zero.
const maxSocketPath = 100

// SocketDir returns a folder, readable by uid alone, in which a socket called name may lie: dir/run if its path is
// short enough, else a folder in the system's temporary folder whose name is derived from dir, so that every later
// call for dir returns the same one. A folder of that name that belongs to someone else is an error: it may be a trap.
// Only root may name a uid other than its own.
func SocketDir(dir, name string, uid, gid int) (string, error) {
	run := filepath.Join(dir, "run")
	if len(filepath.Join(run, name)) > maxSocketPath {
		var err error
		if run, err = shortDir(dir, name); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(run, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	info, err := os.Lstat(run)
	if err != nil {
		return "", fmt.Errorf("make socket folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || (int(st.Uid) != uid && int(st.Uid) != os.Getuid()) {
		return "", fmt.Errorf("socket folder %s belongs to another user or is no folder: remove it and start again", run)
	}
	if err := os.Chown(run, uid, gid); err != nil {
		return "", fmt.Errorf("hand over socket folder: %w", err)
	}
	return run, os.Chmod(run, 0o700) // #nosec G302 -- a folder needs its x bit
}

func shortDir(dir, name string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	short := "sallyport-" + hex.EncodeToString(sum[:8])
	for _, tmp := range []string{os.TempDir(), "/tmp"} {
		if len(filepath.Join(tmp, short, name)) <= maxSocketPath {
			return filepath.Join(tmp, short), nil
		}
	}
	return "", fmt.Errorf("no folder short enough for the socket %s of %s: choose a shorter folder", name, dir)
}
