package bridge

import (
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

// stageAll copies files into staging/, where nobody else writes: the medium
// may be pulled, the file may change, it does not matter any more. In the
// inbox, what is no bundle by name is left alone, and what was staged is
// removed.
func (b *Bridge) stageAll(ctx context.Context, root *os.Root, prefix string, names []string, inbox bool) ([]Outcome, error) {
	var outcomes []Outcome
	for _, name := range names {
		if _, err := bundle.ParseName(name); err != nil && inbox {
			continue // labels, .DS_Store and the like
		}
		err := b.stage(ctx, root, prefix+name, name)
		if inbox && err == nil {
			err = root.Remove(prefix + name)
		}
		switch {
		case err == nil:
		case errors.Is(err, errNotRegular), errors.Is(err, errTooLarge), errors.Is(err, fs.ErrNotExist) && !inbox:
			bad := &bundle.Error{Code: bundle.Refused, Msg: "the file was not read", Err: err}
			outcomes = append(outcomes, Outcome{File: name, State: Quarantined, Err: bad, Reason: bad.Error()})
			if !inbox {
				continue
			}
			if err := b.putAside(ctx, name, bad); err != nil {
				return outcomes, err
			}
		case errors.Is(err, fs.ErrNotExist): // whoever brought it took it back
		default:
			return outcomes, fmt.Errorf("stage %s: %w; it is tried again", name, err)
		}
	}
	return outcomes, nil
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
	staged := id.String() + "_" + filepath.Base(name)
	limit := b.Limits.File
	if limit == 0 {
		limit = bundle.DefaultLimits().File
	}
	return b.Folders.create(stagingDir+"/"+staged, stagingDir+"/."+staged, func(dst *os.File) error {
		n, err := io.Copy(dst, io.LimitReader(src, limit+1))
		if err == nil && n > limit {
			err = errTooLarge
		}
		return errors.Join(err, ctx.Err())
	})
}

// originalName is the name a staged file came with.
func originalName(staged string) string {
	_, name, _ := strings.Cut(staged, "_")
	return name
}
