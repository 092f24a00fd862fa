package bridge

import (
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"
)

// told remembers the inbox files that were dealt with and are still there: in
// a folder that nobody may write, or under a name that is not a bundle's. It
// is lost with the program; a bundle that is then taken in again is a duplicate.
type told struct {
	mu    sync.Mutex
	files map[string]mark
}

// mark tells one file from another that took its name, without reading it.
type mark struct {
	Size    int64
	Mode    fs.FileMode
	Changed int64 // nanoseconds; only compared with itself
	Device  uint64
	Inode   uint64
}

func markOf(info fs.FileInfo) mark {
	m := mark{Size: info.Size(), Mode: info.Mode(), Changed: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		m.Device, m.Inode = uint64(st.Dev), st.Ino //nolint:unconvert // Dev is no uint64 everywhere
	}
	return m
}

func (t *told) add(name string, m mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.files == nil {
		t.files = map[string]mark{}
	}
	t.files[name] = m
}

func (t *told) knows(name string, m mark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.files[name]
	return ok && known == m
}

// keep forgets all but the given names, which must be sorted.
func (t *told) keep(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.files, func(name string, _ mark) bool {
		_, there := slices.BinarySearch(names, name)
		return !there
	})
}
