package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// damage flips one bit in a copy of a bundle that core has applied, carries
// the copy there again, and expects it in quarantine with nothing applied.
func (r *run) damage(ctx context.Context) error {
	core := r.stack.Core
	original, err := newestBundle(filepath.Join(core.Dir, "archive"), "_field-core_")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	data[len(data)*3/4] ^= 0x10
	sum := sha256.Sum256(data)
	before, err := core.Bridge.Status(ctx)
	if err != nil {
		return err
	}
	if err := drop(filepath.Join(core.Dir, "inbox"), filepath.Base(original), data); err != nil {
		return err
	}
	reason, err := r.refusal(ctx, hex.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	after, err := core.Bridge.Status(ctx)
	if err != nil {
		return err
	}
	if before[0].AppliedThrough != after[0].AppliedThrough || after[0].Stopped != nil {
		return errors.New("the damaged copy changed something")
	}
	r.summary.DamageRefused = true
	r.tell("one bit was flipped in a copy of %s: core put it in quarantine (%s) and applied nothing", filepath.Base(original), reason)
	return nil
}

// refusal waits until the file with this hash was quarantined.
func (r *run) refusal(ctx context.Context, sum string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		files, err := r.stack.Core.Bridge.QuarantinedFiles(ctx)
		if err != nil {
			return "", fmt.Errorf("the damaged copy was not refused: %w", err)
		}
		for _, f := range files {
			if f.SHA256 == sum {
				return string(f.Code) + ": " + f.Message, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", errors.New("the damaged copy was not refused")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func newestBundle(dir, link string) (newest string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), link) && path > newest {
			newest = path
		}
		return err
	})
	if err == nil && newest == "" {
		err = fmt.Errorf("no bundle of %s in %s", link, dir)
	}
	return newest, err
}

// drop puts a file into an inbox whole, as a courier does.
func drop(inbox, name string, data []byte) error {
	carrying := filepath.Join(inbox, ".carrying-"+name)
	if err := os.WriteFile(carrying, data, 0o640); err != nil { //nolint:gosec // a bundle is for the courier's group too
		return err
	}
	return os.Rename(carrying, filepath.Join(inbox, name))
}
