package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"sallyport/bridge/bundle"
)

// Meter is told how copying gets on; its zero value tells nobody.
type Meter struct {
	// Start is called once, before the first byte, with all that will be read.
	Start func(total int64)
	// Add is called with the bytes that were read since the last call.
	Add func(n int64)
}

func (m Meter) start(total int64) {
	if m.Start != nil {
		m.Start(total)
	}
}

func (m Meter) add(n int64) {
	if m.Add != nil {
		m.Add(n)
	}
}

// labelSuffix ends the names of the files for people beside bundles.
const labelSuffix = ".label.txt"

// maxEntries bounds what is listed of a medium. A medium holds bundles, their
// labels and what computers leave behind.
const maxEntries = 10_000

// entries lists a folder, sorted by name.
func entries(root *os.Root) ([]fs.DirEntry, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	all, err := dir.ReadDir(maxEntries + 1)
	if errors.Is(err, io.EOF) {
		err = nil // it is empty
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	if len(all) > maxEntries {
		return nil, fmt.Errorf("it holds more than %d entries, which no medium of bundles does: name the folder that holds the bundles", maxEntries)
	}
	return all, nil
}

// openFolder opens a folder and tells which device it is on.
func openFolder(path string) (root *os.Root, device uint64, err error) {
	if root, err = os.OpenRoot(path); err != nil {
		return nil, 0, err
	}
	info, err := root.Stat(".")
	if err != nil {
		return nil, 0, errors.Join(err, root.Close())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		device = uint64(st.Dev)
	}
	return root, device, nil
}

// removeLeftovers deletes what a run that was ended left half written.
func removeLeftovers(root *os.Root) error {
	all, err := entries(root)
	if err != nil {
		return err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), temporary) {
			if err := root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the leftover: %w", err)
			}
		}
	}
	return nil
}

// fileLimit is the most that a bundle's file may hold.
func fileLimit(l bundle.Limits) int64 {
	if l.File == 0 {
		return bundle.DefaultLimits().File
	}
	return l.File
}
