package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// finish does what follows the last event: the note in the log, the receipt,
// the archive. Each part may already have been done by a run that was ended.
func (a *arrival) finish(ctx context.Context) error {
	first, err := a.bundle.First(ctx, a.bridge.Keys.Identity)
	if err != nil {
		return err
	}
	a.outcome.State, a.outcome.Events = Applied, int64(first.Events)
	c := a.core
	note := domain.BundleImported{Peer: c.From, Seq: c.Seq, ID: c.ID(), File: a.name, After: c.Range.After, Through: c.Range.Through,
		Events: a.outcome.Events, Withheld: c.Range.Through - c.Range.After - a.outcome.Events}
	_, err = a.bridge.Log.Append(ctx, eventstore.Append{Actor: a.bridge.actor(), Writes: []eventstore.Write{{
		Stream: domain.BundleInStream(c.From, c.Epoch, c.Seq), Facts: []domain.Fact{note}}}})
	var noted *eventstore.ConflictError
	if err != nil && !errors.As(err, &noted) {
		return err
	}
	if err := a.receipt(ctx); err != nil {
		return err
	}
	if err := a.archive(); err != nil {
		return err
	}
	return a.set(ctx, a.bridge.Pool, "archived", "", "")
}

// duplicate drops what is known already; the archive has it.
func (a *arrival) duplicate(ctx context.Context) error {
	a.outcome.State = Duplicate
	at, known, err := a.appliedAt(ctx)
	if err != nil {
		return err
	}
	args := []any{"file", a.name, "peer", a.core.From, "seq", a.core.Seq}
	if known {
		args = append(args, "applied_at", bundle.FormatTime(at))
	}
	a.bridge.Logger.InfoContext(ctx, "bundle known already", args...)
	return a.bridge.Folders.remove(stagingDir + "/" + a.staged)
}

// appliedAt tells when this very bundle was applied; false if its positions
// came in others.
func (a *arrival) appliedAt(ctx context.Context) (at time.Time, known bool, err error) {
	err = a.bridge.Pool.QueryRow(ctx, `SELECT applied_at FROM inbound_bundles
		WHERE peer = $1 AND epoch = $2 AND seq = $3 AND id = $4 AND applied_at IS NOT NULL`,
		a.core.From, a.core.Epoch, a.core.Seq, a.core.ID()).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, false, nil
	}
	if err != nil {
		return at, false, fmt.Errorf("look up when bundle %d of %s was applied: %w", a.core.Seq, a.core.From, err)
	}
	return at, true, nil
}

// properName is the name that the manifest gives: under a false one a bundle
// could take the place of another. Only the number of a beacon is not signed.
func (a *arrival) properName() string {
	beacon := 0
	if a.core.Kind == bundle.Beacon {
		beacon = 1
		if n, err := bundle.ParseName(a.name); err == nil && n.Beacon > 0 {
			beacon = n.Beacon
		}
	}
	return bundle.NameFor(a.core, beacon, a.bundle.Manifest().Encryption != nil).String()
}

// archive moves the staged file under the month of its arrival. Nothing there
// is ever replaced: another bundle of the same name gets its id into its own,
// the same bundle is dropped.
func (a *arrival) archive() error {
	staged, name := stagingDir+"/"+a.staged, a.properName()
	month := archiveDir + "/" + time.Now().UTC().Format("2006/01")
	withID := strings.Replace(name, ".jsonl.zst", "."+a.core.ID()+".jsonl.zst", 1)
	for _, path := range []string{month + "/" + name, month + "/" + withID} {
		_, err := a.bridge.Folders.root.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return a.bridge.Folders.move(staged, path)
		}
		if err != nil {
			return fmt.Errorf("look into the archive: %w", err)
		}
		if a.bridge.archivedID(path) == a.core.ID() {
			break
		}
	}
	return a.bridge.Folders.remove(staged)
}

// archivedID reads the id of a bundle in the archive; empty if it is none.
func (b *Bridge) archivedID(path string) string {
	m, ok := b.archivedManifest(path)
	if !ok {
		return ""
	}
	return m.Core.ID()
}

// archivedManifest reads what a bundle in the archive says of itself.
func (b *Bridge) archivedManifest(path string) (m bundle.Manifest, ok bool) {
	f, err := openRegular(b.Folders.root, path)
	if err != nil {
		return m, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return m, false
	}
	archived, err := bundle.Open(f, info.Size(), b.Limits)
	if err != nil {
		return m, false
	}
	return archived.Manifest(), true
}
