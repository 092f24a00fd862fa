package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// openMedium opens a medium and one of the site's own folders. The device is
// the medium's, 0 if both are on one disk: then it is no medium by itself.
func openMedium(dir, own string) (medium, folder *os.Root, device uint64, err error) {
	if folder, err = os.OpenRoot(own); err != nil {
		return nil, nil, 0, fmt.Errorf("open the site's own folder: %w", err)
	}
	if medium, err = os.OpenRoot(dir); err != nil {
		return nil, nil, 0, errors.Join(err, folder.Close())
	}
	device, err = deviceOf(medium)
	home, homeErr := deviceOf(folder)
	if err = errors.Join(err, homeErr); err != nil {
		return nil, nil, 0, errors.Join(err, medium.Close(), folder.Close())
	}
	if device == home {
		device = 0
	}
	return medium, folder, device, nil
}

func deviceOf(folder *os.Root) (uint64, error) {
	info, err := folder.Stat(".")
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, nil
	}
	return uint64(st.Dev), nil //nolint:unconvert // it has 32 bits on other systems
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
