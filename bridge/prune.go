package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Prune says what to clear away.
type Prune struct {
	// OlderThan is how long what was applied stays in the archive.
	OlderThan time.Duration
	DryRun    bool // removes nothing
}

// Pruned is what was cleared away and what stays.
type Pruned struct {
	DryRun  bool         `json:"dry_run"`
	Removed []PrunedFile `json:"removed"`
	Kept    []PrunedFile `json:"kept"`
	Bytes   int64        `json:"bytes"` // of the removed
}

// PrunedFile is one file, below the site's data folder.
type PrunedFile struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}

func (p *Pruned) add(remove bool, f PrunedFile) {
	if !remove {
		p.Kept = append(p.Kept, f)
		return
	}
	p.Removed = append(p.Removed, f)
	p.Bytes += f.Bytes
}

// Prune clears the outbox of what its peers have and the archive of what was
// applied long ago. Nothing goes that may still be needed: in the outbox only
// what the peer's own word shows to have arrived, and beacons that something
// newer has overtaken, each with its label; in the archive only bundles whose
// signed manifest the database keeps, which it does for ever, and of each peer's
// beacons all but the newest. It may be run at any time, beside all else.
func (b *Bridge) Prune(ctx context.Context, p Prune) (Pruned, error) {
	out := Pruned{DryRun: p.DryRun, Removed: []PrunedFile{}, Kept: []PrunedFile{}}
	if err := b.pruneOutbox(ctx, p, &out); err != nil {
		return out, fmt.Errorf("clear the outbox: %w; what was not removed stays", err)
	}
	if err := b.pruneArchive(ctx, p, &out); err != nil {
		return out, fmt.Errorf("clear the archive: %w; what was not removed stays", err)
	}
	return out, nil
}

// pruneOutbox looks at each link while nobody writes for it: what is made again
// meanwhile is not what the peer has acknowledged.
func (b *Bridge) pruneOutbox(ctx context.Context, p Prune, out *Pruned) error {
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		peer := l.Card.Name
		err := b.locked(ctx, "export/"+peer, func(ctx context.Context) error {
			l, err := b.link(ctx, b.Pool, peer, false)
			if err != nil {
				return err
			}
			return b.pruneFor(ctx, l, p, out)
		})
		if err != nil && !errors.Is(err, ErrNoLink) {
			return err
		}
	}
	return nil
}

func (b *Bridge) pruneFor(ctx context.Context, l Link, p Prune, out *Pruned) error {
	made, err := b.lastMade(ctx, l)
	if err != nil {
		return err
	}
	names, err := b.Folders.list(outboxDir)
	if err != nil {
		return err
	}
	for _, n := range names {
		name, err := bundle.ParseName(labelled(n))
		if err != nil || !name.Between(b.Log.Site(), l.Card.Name) {
			continue
		}
		why := l.arrived(name, made[name.Seq])
		f := PrunedFile{File: outboxDir + "/" + n, Why: why}
		if why == "" {
			f.Why = fmt.Sprintf("%s is not known to have it", l.Card.Name)
		}
		if err := b.prune(p, out, f, why != ""); err != nil {
			return err
		}
	}
	return nil
}

// prune removes a file, or keeps it, and says so. One that is gone is not worth
// a word.
func (b *Bridge) prune(p Prune, out *Pruned, f PrunedFile, remove bool) error {
	info, err := b.Folders.root.Lstat(f.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", b.Folders.abs(f.File), err)
	}
	f.Bytes = info.Size()
	if remove && !p.DryRun {
		if err := b.Folders.remove(f.File); err != nil {
			return err
		}
	}
	out.add(remove, f)
	return nil
}

// archivedFile is one in the archive, as its manifest describes it.
type archivedFile struct {
	path     string
	at       time.Time
	manifest bundle.Manifest
}

func (b *Bridge) pruneArchive(ctx context.Context, p Prune, out *Pruned) error {
	files, err := b.archiveFiles(ctx)
	if err != nil {
		return err
	}
	newest := newestBeacons(files)
	for _, f := range files {
		why, remove, err := b.mayForget(ctx, f, p.OlderThan, newest)
		if err != nil {
			return err
		}
		if err := b.prune(p, out, PrunedFile{File: f.path, Why: why}, remove); err != nil {
			return err
		}
	}
	return nil
}

// archiveFiles lists the bundles and beacons there. A file that is none was not
// put there by this program, and stays.
func (b *Bridge) archiveFiles(ctx context.Context) ([]archivedFile, error) {
	var files []archivedFile
	err := fs.WalkDir(b.Folders.root.FS(), archiveDir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(path.Base(p), "sp1_") {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if m, ok := b.archivedManifest(p); ok {
			files = append(files, archivedFile{p, info.ModTime(), m})
		}
		return ctx.Err()
	})
	return files, err
}

// newestBeacons tells the newest beacon of each peer: its last word stays.
func newestBeacons(files []archivedFile) map[string]string {
	newest, no := map[string]string{}, map[string]int64{}
	for _, f := range files {
		if peer, a := f.manifest.Core.From, f.manifest.Ack; f.manifest.Core.Kind == bundle.Beacon && a != nil && a.No > no[peer] {
			newest[peer], no[peer] = f.path, a.No
		}
	}
	return newest
}

// mayForget reports whether a file of the archive may go, and why, or why not.
func (b *Bridge) mayForget(ctx context.Context, f archivedFile, age time.Duration, newestBeacon map[string]string) (why string, yes bool, err error) {
	c := f.manifest.Core
	if c.Kind == bundle.Beacon {
		switch {
		case newestBeacon[c.From] == f.path || f.manifest.Ack == nil:
			return fmt.Sprintf("it is the newest beacon of %s", c.From), false, nil
		case time.Since(f.at) < age:
			return "it came less than " + days(age) + " ago", false, nil
		}
		return fmt.Sprintf("%s has sent a newer beacon", c.From), true, nil
	}
	var old bool
	err = b.Pool.QueryRow(ctx, `SELECT applied_at < clock_timestamp() - $5::interval FROM inbound_bundles
		WHERE peer = $1 AND epoch = $2 AND seq = $3 AND id = $4 AND state = 'archived' AND applied_at IS NOT NULL AND manifest <> ''`,
		c.From, c.Epoch, c.Seq, c.ID(), age).Scan(&old)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "the database does not know when it was applied", false, nil
	case err != nil:
		return "", false, fmt.Errorf("look up when %s was applied: %w", f.path, err)
	case old && age == 0:
		return "it was applied, and its manifest is kept", true, nil
	case !old:
		return "it was applied less than " + days(age) + " ago", false, nil
	}
	return "it was applied more than " + days(age) + " ago, and its manifest is kept", true, nil
}

// days writes a time as people do who plan by the day.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day && d%day == 0:
		return count(int(d/day), "day")
	}
	return d.String()
}
