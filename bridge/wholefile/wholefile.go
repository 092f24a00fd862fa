// Package wholefile opens only what is a file, and writes only whole ones.
//
// # Promised
//
//   - [Open] gives a regular file with one name or fails; it follows no link,
//     waits for no pipe and touches no device, whoever made the folder.
//   - Under the name that [Create] is given, all of a file is seen or nothing,
//     and once Create has returned it is there after a power cut too.
//
// Every path goes through an [os.Root], so that no name leads outside.
//
// # Not promised
//
// That nobody else writes in the folder: of two who create one name at once,
// the later one wins.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotRegular is the cause when [Open] refuses what a name leads to.
var ErrNotRegular = errors.New("it is no regular file with one name: links and devices are not read")

// Open opens a file for reading only if it is a regular file with one name.
// The check is made on what was opened, so that it cannot be swapped; a pipe
// does not block. It fails with [ErrNotRegular] for anything else that exists.
func Open(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(info)
	}
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err = file.Stat()
	if err == nil {
		err = notRegular(info)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// notRegular says why a file is not read; nil for one that is.
func notRegular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("%w (this is a symbolic link)", ErrNotRegular)
	case mode.IsDir():
		return fmt.Errorf("%w (this is a folder)", ErrNotRegular)
	case mode&fs.ModeNamedPipe != 0:
		return fmt.Errorf("%w (this is a pipe)", ErrNotRegular)
	case mode&fs.ModeSocket != 0:
		return fmt.Errorf("%w (this is a socket)", ErrNotRegular)
	case !mode.IsRegular():
		return fmt.Errorf("%w (this is a device)", ErrNotRegular)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Nlink != 1 {
		return fmt.Errorf("%w (this file has several names)", ErrNotRegular)
	}
	return nil
}

// Create makes a file by writing it under a temporary name, syncing it, and
// renaming it. What write returns ends it; then, as after any failure, the
// temporary file is removed and the name is as it was before. A leftover of
// the temporary name is replaced, never written through.
func Create(root *os.Root, name, temporary string, write func(*os.File) error) (err error) {
	if err := root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the leftover %s: %w", temporary, err)
	}
	file, err := root.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temporary) // the error that matters is already there
		}
	}()
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := root.Rename(temporary, name); err != nil {
		return err
	}
	return SyncDir(root, filepath.Dir(name))
}

// SyncDir makes the names in a folder durable.
func SyncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
