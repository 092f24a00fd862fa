package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/bridge/wholefile"
)

// Folders are a site's folders for the crossing, below one data folder. Every
// path goes through an os.Root: no name in them can lead outside.
type Folders struct {
	Path string
	root *os.Root
}

const (
	outboxDir     = "outbox"
	inboxDir      = "inbox"
	stagingDir    = "staging"
	archiveDir    = "archive"
	quarantineDir = "quarantine"
	receiptsDir   = "receipts"
	tmpDir        = "outbox/.tmp"
)

// OpenFolders opens the folders below dir and makes those that are missing.
// Outbox and inbox are open to a courier of the same group.
func OpenFolders(dir string) (*Folders, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	for _, d := range []string{outboxDir, tmpDir, inboxDir, stagingDir, archiveDir, quarantineDir, receiptsDir} {
		if err := root.MkdirAll(d, 0o750); err != nil {
			return nil, errors.Join(fmt.Errorf("make the folder %s: %w", d, err), root.Close())
		}
	}
	return &Folders{Path: dir, root: root}, nil
}

// Close ends the use of the folders.
func (f *Folders) Close() error { return f.root.Close() }

// abs is for messages to people.
func (f *Folders) abs(name string) string { return filepath.Join(f.Path, name) }

// create makes a file by writing it under a temporary name, syncing it, and
// renaming it: who sees the name sees all of the file.
func (f *Folders) create(name, temporary string, write func(*os.File) error) error {
	if err := f.root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("make the folder of %s: %w", f.abs(name), err)
	}
	if err := wholefile.Create(f.root, name, temporary, write); err != nil {
		return fmt.Errorf("write %s: %w", f.abs(name), err)
	}
	return nil
}

// move renames and makes the new name durable.
func (f *Folders) move(from, to string) error {
	if err := f.root.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return fmt.Errorf("make the folder of %s: %w", f.abs(to), err)
	}
	if err := f.root.Rename(from, to); err != nil {
		return fmt.Errorf("move %s: %w", f.abs(from), err)
	}
	return f.syncDir(filepath.Dir(to))
}

func (f *Folders) syncDir(name string) error {
	if err := wholefile.SyncDir(f.root, name); err != nil {
		return fmt.Errorf("sync the folder %s: %w", f.abs(name), err)
	}
	return nil
}

// remove deletes a file; one that is gone already is no error.
func (f *Folders) remove(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", f.abs(name), err)
	}
	return nil
}

// removeUnfinished deletes what a run that was killed left half written. The
// caller holds the lock of those who write there.
func (f *Folders) removeUnfinished(dir string) error {
	names, err := f.list(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, ".") {
			if err := f.remove(dir + "/" + n); err != nil {
				return err
			}
		}
	}
	return nil
}

// list returns the names in a folder, sorted.
func (f *Folders) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.abs(dir), err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

var errNotRegular = wholefile.ErrNotRegular

// openRegular opens a file for reading only if it is a regular file with one
// name; see [wholefile.Open].
func openRegular(root *os.Root, name string) (*os.File, error) {
	return wholefile.Open(root, name)
}

// hashFile returns the SHA-256 of a file, in hex.
func hashFile(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
