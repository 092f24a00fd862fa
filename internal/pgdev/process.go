package pgdev

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// livePostmaster is the process id of the living server of this data folder, 0 when there is none. A process id in a file may
// since belong to any other process, so a process counts only if it is a PostgreSQL server that works in our data folder.
func (c *cluster) livePostmaster() int {
	pid := c.filePID()
	if pid == 0 || !alive(pid) || !serves(pid, c.data()) {
		return 0
	}
	return pid
}

// deaf tells whether the server says it is ready (line 8 of its process id file) but has no socket any more.
func (c *cluster) deaf() bool {
	b, err := os.ReadFile(c.pidFile())
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" {
		return false
	}
	_, err = os.Lstat(filepath.Join(c.socket, socketName))
	return errors.Is(err, os.ErrNotExist)
}

// noProcess is above every process id that Linux or macOS gives out.
const noProcess = 1<<31 - 2

// forgetServer makes the folder acceptable to a new server when no server of ours lives. PostgreSQL believes a process id file
// as soon as any process of that number exists: a stranger, or a dead server that nobody has waited for, as in a
// container without an init process. So the number is replaced by one of no process; the rest of the file stays, with which
// PostgreSQL looks for survivors of the old server that still hold its memory. The socket and its lock have no such use.
func (c *cluster) forgetServer() error {
	if pid := c.filePID(); pid != 0 && alive(pid) {
		b, err := os.ReadFile(c.pidFile())
		if err != nil {
			return fmt.Errorf("correct stale process id file: %w", err)
		}
		_, rest, _ := strings.Cut(string(b), "\n")
		if err := os.WriteFile(c.pidFile(), []byte(strconv.Itoa(noProcess)+"\n"+rest), 0o600); err != nil {
			return fmt.Errorf("correct stale process id file: %w", err)
		}
	}
	for _, name := range []string{socketName, socketName + ".lock"} {
		if err := os.Remove(filepath.Join(c.socket, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove stale socket: %w", err)
		}
	}
	return nil
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// serves tells whether the process works in the data folder, as a PostgreSQL server always does. Linux knows the working folder
// (a zombie has none); elsewhere the command line, which names the data folder, has to do.
func serves(pid int, data string) bool {
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
		return err == nil && cwd == data
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // a number; at once or never
	return err == nil && strings.Contains(string(out), data)
}
