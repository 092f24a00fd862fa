package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Received is a file that lies in the inbox now.
type Received struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Already says that the same bytes lay there before.
	Already bool `json:"already"`
}

// Receive puts a file into the inbox as a careful courier does: all of it, or
// nothing. Nothing in it is believed for that: the next import judges it. name
// must be a bundle's, and body holds no more bytes than a bundle may. A file of
// this name that is there already stays: with the same bytes all is well, with
// others it fails with a [domain.Error] of kind Conflict.
//
// An upload that was ended leaves a hidden file, which a later one removes.
func (b *Bridge) Receive(ctx context.Context, name string, body io.Reader) (Received, error) {
	if _, err := bundle.ParseName(name); err != nil {
		return Received{}, &domain.Error{Kind: domain.Invalid, Code: "invalid-filename",
			Detail: fmt.Sprintf("%.120q is not the name of a bundle: keep the name that the sender gave; nothing was stored", name)}
	}
	p, err := b.Folders.beginUpload()
	if err != nil {
		return Received{}, fmt.Errorf("receive %s: %w", name, err)
	}
	r, err := p.fill(ctx, body, b.FileLimit())
	if err == nil {
		r.File = name
		r.Already, err = p.publish(name, r.SHA256)
	}
	if err = errors.Join(err, p.end()); err != nil {
		return Received{}, fmt.Errorf("receive %s: %w; nothing was stored", name, err)
	}
	b.Logger.InfoContext(ctx, "file received", "file", name, "bytes", r.Bytes, "sha256", r.SHA256, "already", r.Already)
	return r, nil
}

const (
	uploadPrefix = ".upload-"
	// uploadLock is held, in the data folder, by whoever begins or publishes.
	uploadLock = ".uploads.lock"
)

// upload is a file on its way into the inbox, under a hidden name. It is locked
// while somebody writes it: one that is not locked was left behind.
type upload struct {
	folders *Folders
	file    *os.File
	path    string
}

// beginUpload removes what was left behind and creates the hidden file.
func (f *Folders) beginUpload() (p *upload, err error) {
	err = f.publishing(func() error {
		if err := f.removeAbandoned(); err != nil {
			return err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		p = &upload{folders: f, path: inboxDir + "/" + uploadPrefix + id.String()}
		p.file, err = f.root.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return fmt.Errorf("create %s: %w", f.abs(p.path), err)
		}
		return flock(p.file, syscall.LOCK_EX)
	})
	return p, err
}

// publishing runs fn while no other upload of any program on these folders is
// begun or published.
func (f *Folders) publishing(fn func() error) error {
	lock, err := f.root.OpenFile(uploadLock, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open %s: %w", f.abs(uploadLock), err)
	}
	err = flock(lock, syscall.LOCK_EX)
	if err == nil {
		err = fn()
	}
	return errors.Join(err, lock.Close())
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how) //nolint:gosec // a descriptor is small
		if !errors.Is(err, syscall.EINTR) {
			if err != nil {
				return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
			}
			return nil
		}
	}
}

// removeAbandoned deletes the hidden files whose writers are gone.
func (f *Folders) removeAbandoned() error {
	names, err := f.list(inboxDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasPrefix(n, uploadPrefix) {
			continue
		}
		file, err := openRegular(f.root, inboxDir+"/"+n)
		if err != nil {
			continue // it was just published, or is none of ours
		}
		if flock(file, syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = f.remove(inboxDir + "/" + n)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the body down, syncs it and hashes it.
func (p *upload) fill(ctx context.Context, body io.Reader, limit int64) (Received, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(p.file, h), io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return Received{}, err
	case n > limit:
		return Received{}, errTooLarge
	case n == 0:
		return Received{}, &domain.Error{Kind: domain.Invalid, Code: "empty-file", Detail: "the body is empty, and no bundle is; nothing was stored"}
	}
	if err := errors.Join(ctx.Err(), p.file.Sync()); err != nil {
		return Received{}, err
	}
	return Received{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// publish gives the file its name, unless that is taken; it reports whether
// these very bytes have it.
func (p *upload) publish(name, sum string) (already bool, err error) {
	err = p.folders.publishing(func() error {
		there, err := p.folders.inboxHash(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return p.folders.move(p.path, inboxDir+"/"+name)
		case err == nil && there == sum:
			already = true
			return nil
		case err == nil || errors.Is(err, errNotRegular):
			return &domain.Error{Kind: domain.Conflict, Code: "name-taken",
				Detail: fmt.Sprintf("another file named %s lies in the inbox: import first, or take it away; nothing was stored", name)}
		}
		return err
	})
	return already, err
}

func (f *Folders) inboxHash(name string) (string, error) {
	file, err := openRegular(f.root, inboxDir+"/"+name)
	if err != nil {
		return "", err
	}
	sum, err := hashFile(file)
	return sum, errors.Join(err, file.Close())
}

// end removes the hidden name, if it is still there, and lets go of the file.
func (p *upload) end() error {
	return errors.Join(p.folders.remove(p.path), p.file.Close())
}
