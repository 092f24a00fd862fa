package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// account is who runs the server: ourselves, or another account when we are root.
type account struct {
	name     string
	uid, gid uint32
	switched bool
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil // #nosec G115 -- ids are 32 bits
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return account{name: name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
		}
	}
	return account{}, errors.New("postgresql refuses to run as root and there is no account postgres or nobody: make one, or run as another user")
}

// command prepares a program that runs as the account. Its session is its own, so that Ctrl-C on our terminal reaches us and
// not the server; settings of libpq in our environment do not reach it.
func (a account) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) // #nosec G204 -- server programs found by this package
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C"}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "PG") && !strings.HasPrefix(kv, "LC_") && !strings.HasPrefix(kv, "LANG") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs a program to its end; its output becomes part of the error.
func (a account) run(ctx context.Context, dir, name string, args ...string) error {
	out, err := a.command(ctx, dir, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLines(string(out), 12))
	}
	return nil
}

// canEnter asks the kernel, which knows more (mounts, access lists) than permission bits tell.
func (a account) canEnter(ctx context.Context, dir string) bool {
	return !a.switched || a.run(ctx, "/", "/bin/sh", "-c", `cd -- "$1"`, "sh", dir) == nil
}

// own hands a file or folder over to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
