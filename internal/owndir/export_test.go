package owndir

import (
	"os"
	"syscall"
)

// Twin is the claim's file once more, as a child process has it between fork
// and exec.
func (c *Claim) Twin() (*os.File, error) {
	fd, err := syscall.Dup(int(c.file.Fd()))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), c.file.Name()), nil
}
