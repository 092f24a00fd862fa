// Package disk tells how much room there is for a site's files.
package disk

import (
	"fmt"
	"syscall"
)

// Below these many free bytes a site is not well, and cannot do its work.
const (
	Low  = 256 << 20
	Full = 16 << 20
)

// Space is the room of the file system that holds a folder, in bytes.
type Space struct {
	Free  uint64 // for this program
	Total uint64
}

// Of returns the room where dir is.
func Of(dir string) (Space, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return Space{}, fmt.Errorf("ask for the free disk of %s: %w", dir, err)
	}
	unit := uint64(s.Bsize) //nolint:gosec // never negative
	return Space{Free: s.Bavail * unit, Total: s.Blocks * unit}, nil
}
