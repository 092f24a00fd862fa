package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"sallyport/bridge/bundle"
)

// stageInbox copies what lies in the inbox into staging/, where nobody else
// writes: the medium may be pulled, the file may change, it does not matter any
// more. What was staged is removed from the inbox; what cannot be removed is
// taken in once. A file that fails does not stop the others.
func (b *Bridge) stageInbox(ctx context.Context, names []string) ([]Outcome, error) {
	b.told.keep(names)
	var outcomes []Outcome
	var errs []error
	for _, name := range names {
		if ctx.Err() != nil {
			return outcomes, errors.Join(append(errs, ctx.Err())...)
		}
		o, err := b.stageFromInbox(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("stage %s: %w; it is tried again", name, err))
		}
		if o.State != "" {
			outcomes = append(outcomes, o)
		}
	}
	return outcomes, errors.Join(errs...)
}

// stageFromInbox returns an outcome without a state if staging is not its end.
func (b *Bridge) stageFromInbox(ctx context.Context, name string) (Outcome, error) {
	path := inboxDir + "/" + name
	if _, err := bundle.ParseName(name); err != nil {
		return b.ignore(ctx, name), nil //nolint:nilerr // a name that is no bundle's is no failure
	}
	info, err := b.Folders.root.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Outcome{}, nil // whoever brought it took it back
	}
	if err != nil {
		return Outcome{}, err
	}
	seen := markOf(info)
	if b.told.knows(name, seen) {
		return Outcome{}, nil
	}
	err = b.stage(ctx, b.Folders.root, path, name)
	switch {
	case errors.Is(err, errNotRegular), errors.Is(err, errTooLarge):
		return b.putAside(ctx, name, seen, unread(err))
	case errors.Is(err, fs.ErrNotExist):
		return Outcome{}, nil
	case err != nil:
		return Outcome{}, err
	}
	if err := b.Folders.remove(path); err != nil {
		b.told.add(name, seen)
		b.Logger.WarnContext(ctx, "a file was taken in and stays in the inbox, because it cannot be removed", "file", name, "error", err)
	}
	return Outcome{}, nil
}

const whyIgnored = "its name is not the name of a bundle; it was not read and stays in the inbox"

// quiet reports whether a file that is no bundle is not worth a word.
func quiet(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, labelSuffix)
}

// ignore reports a file that is no bundle by its name, in the log only once.
// Labels and hidden files belong there and are not worth a word.
func (b *Bridge) ignore(ctx context.Context, name string) Outcome {
	if quiet(name) {
		return Outcome{}
	}
	if !b.told.knows(name, mark{}) {
		b.told.add(name, mark{})
		b.Logger.InfoContext(ctx, "file ignored", "file", name, "reason", whyIgnored)
	}
	return Outcome{File: name, State: Ignored, Reason: whyIgnored}
}

// stageFiles copies single files that stay where they are. Each was named by
// somebody who waits, so that what cannot be read is an error.
func (b *Bridge) stageFiles(ctx context.Context, root *os.Root, names []string) error {
	var errs []error
	for _, name := range names {
		err := b.stage(ctx, root, name, name)
		if errors.Is(err, errNotRegular) || errors.Is(err, errTooLarge) {
			err = unread(err)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w; nothing of it was taken in", name, err))
		}
	}
	return errors.Join(errs...)
}

func unread(err error) *bundle.Error {
	return &bundle.Error{Code: bundle.Refused, Msg: "the file was not read", Err: err}
}

var errTooLarge = errors.New("it is larger than any bundle may be")

// stage copies one file under a temporary name, syncs it and renames it.
func (b *Bridge) stage(ctx context.Context, root *os.Root, path, name string) error {
	src, err := openRegular(root, path)
	if err != nil {
		return err
	}
	defer src.Close()
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	base := filepath.Base(name)
	if base == reasonName {
		base = "_" + base // else it would take its own reason's place in quarantine
	}
	staged := id.String() + "_" + base
	limit := b.FileLimit()
	return b.Folders.create(stagingDir+"/"+staged, stagingDir+"/."+staged, func(dst *os.File) error {
		n, err := io.Copy(dst, io.LimitReader(metered{src, b.Progress}, limit+1))
		if err == nil && n > limit {
			err = errTooLarge
		}
		return errors.Join(err, ctx.Err())
	})
}

// FileLimit is the size in bytes that no file of a bundle may exceed.
func (b *Bridge) FileLimit() int64 { return cmp.Or(b.Limits.File, bundle.DefaultLimits().File) }

// originalName is the name a staged file came with.
func originalName(staged string) string {
	_, name, _ := strings.Cut(staged, "_")
	return name
}
