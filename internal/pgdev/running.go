package pgdev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/owndir"
)

// ErrNotRunning says that no server runs in a folder.
var ErrNotRunning = errors.New("no postgresql server runs in this folder")

// Running returns the server that another process started in dir with Shared, without claiming the folder: the quick way for
// many test processes to one server. The error is ErrNotRunning when Start is needed. Stop stops it for everyone.
func Running(ctx context.Context, dir string) (*Server, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, errors.Join(ErrNotRunning, err)
	}
	who, err := serverAccount()
	if err != nil {
		return nil, err
	}
	c := cluster{who: who, base: real}
	if far, err := os.Readlink(filepath.Join(real, "cluster")); err == nil {
		c.base = far
	}
	opts, err := os.ReadFile(filepath.Join(c.data(), "postmaster.opts")) // its first word is the server program
	if err != nil {
		return nil, errors.Join(ErrNotRunning, err)
	}
	program, _, _ := strings.Cut(string(opts), ` "`)
	c.bin = filepath.Dir(program)
	if c.socket, err = owndir.SocketDir(c.base, socketName, int(who.uid), int(who.gid)); err != nil {
		return nil, err
	}
	if err := c.ask(ctx); err != nil {
		return nil, errors.Join(ErrNotRunning, err)
	}
	return &Server{cluster: c}, nil
}
