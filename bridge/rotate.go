package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// A rotation of this site's signing key:
//
//	begin      the next key's file, then a row: from now on every manifest is
//	   │       signed by both keys and shows the next one; a beacon is due
//	   │
//	   │       each peer keeps the next key and shows, by the newest of our
//	   ▼       manifests that it saw, that it has it
//	finish     one transaction: the row is finished, the log says so
//	   ▼
//	settle     the files and the site card follow the row
//
// It goes on from any of these places, whoever looks next.

// RotateKey begins to change this site's signing key, or goes on with a change
// that runs: it ends when every linked peer has shown that it knows the new
// key. A person must ask for it; the bridge finishes it by itself.
func (b *Bridge) RotateKey(ctx context.Context, actor string) error {
	err := b.locked(ctx, "keys", func(ctx context.Context) error {
		if err := b.settle(ctx); err != nil {
			return err
		}
		return b.beginRotation(ctx, actor)
	})
	if err != nil {
		return fmt.Errorf("rotate the signing key: %w", err)
	}
	return b.advanceRotation(ctx)
}

func (b *Bridge) beginRotation(ctx context.Context, actor string) error {
	r, err := b.lastRotation(ctx, b.Pool)
	if err != nil || r.running() {
		return err
	}
	oldKey, err := b.presentKey()
	if err != nil {
		return err
	}
	newKey, err := b.Keys.makeNext(b.Log.Site())
	if err != nil {
		return err
	}
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO key_rotations (old_key, new_key, begun_by) VALUES ($1, $2, $3)`, oldKey, newKey, actor); err != nil {
			return fmt.Errorf("note the new key: %w", err)
		}
		for _, l := range links {
			_, err := b.changeLink(ctx, tx, l.Card.Name, func(l *Link) error {
				l.Owes = l.Self.No + 1
				return nil
			})
			if err != nil && !errors.Is(err, ErrNoLink) { // removed since
				return err
			}
		}
		return nil
	})
}

// ErrNoRotation is returned when there is no rotation to finish.
var ErrNoRotation = errors.New("no rotation of the signing key runs")

// FinishRotation ends a rotation without the peers that have not shown to know
// the new key, and returns their names: they refuse what this site signs until
// somebody brings them its new card.
func (b *Bridge) FinishRotation(ctx context.Context, actor string) (without []string, err error) {
	err = b.locked(ctx, "keys", func(ctx context.Context) error {
		r, err := b.lastRotation(ctx, b.Pool)
		if err != nil {
			return err
		}
		if !r.running() {
			return ErrNoRotation
		}
		if without, err = b.finishRotation(ctx, r, actor, true); err != nil {
			return err
		}
		return b.settle(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("finish the rotation of the signing key: %w", err)
	}
	return without, nil
}

// advanceRotation finishes a rotation that waits for nobody any more, and lets
// the files follow. With nothing to do it costs one look at the database.
func (b *Bridge) advanceRotation(ctx context.Context) error {
	r, err := b.lastRotation(ctx, b.Pool)
	if err != nil || r == nil {
		return err
	}
	idle, err := b.nothingToAdvance(ctx, r)
	if err != nil || idle {
		return err
	}
	return b.locked(ctx, "keys", func(ctx context.Context) error {
		r, err := b.lastRotation(ctx, b.Pool)
		if err != nil {
			return err
		}
		if r.running() {
			if _, err := b.finishRotation(ctx, r, b.actor(), false); err != nil {
				return err
			}
		}
		return b.settle(ctx)
	})
}

// nothingToAdvance reports whether a rotation waits for a peer, or is finished
// and known to be settled.
func (b *Bridge) nothingToAdvance(ctx context.Context, r *rotation) (bool, error) {
	if !r.running() {
		return b.settled.Load() == r.no, nil
	}
	present, err := b.presentKey()
	if err != nil || present != r.oldKey {
		return false, err
	}
	waits, err := b.waitsFor(ctx, b.Pool, r)
	return len(waits) > 0, err
}

// presentKey is the public side of the key in the file of the one that signs.
func (b *Bridge) presentKey() (string, error) {
	present, err := b.Keys.readPresent()
	if err != nil {
		return "", err
	}
	return verifierKey(b.Log.Site(), present)
}

// waitsFor names the linked peers that have not shown to know the new key.
func (b *Bridge) waitsFor(ctx context.Context, q rowsQuerier, r *rotation) ([]string, error) {
	peers, err := b.toldPeers(ctx, q, r)
	if err != nil {
		return nil, err
	}
	var waits []string
	for _, p := range peers {
		if !p.Knows {
			waits = append(waits, p.Peer)
		}
	}
	return waits, nil
}

type rowsQuerier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// ToldPeer is how far a peer has got with a new key of this site.
type ToldPeer struct {
	Peer string `json:"peer"`
	// Told: a manifest that shows the new key was written for it.
	Told bool `json:"told"`
	// Knows: it has shown that it counted such a manifest.
	Knows bool `json:"knows"`
}

func (b *Bridge) toldPeers(ctx context.Context, q rowsQuerier, r *rotation) ([]ToldPeer, error) {
	rows, err := q.Query(ctx, `SELECT l.peer, a.no IS NOT NULL, coalesce(l.seen_incarnation = a.incarnation AND l.seen_no >= a.no, false)
		FROM links l LEFT JOIN key_announcements a ON a.rotation = $1 AND a.peer = l.peer WHERE l.removed_at IS NULL ORDER BY l.peer`, r.no)
	if err != nil {
		return nil, fmt.Errorf("look who knows the new key: %w", err)
	}
	peers, err := pgx.AppendRows([]ToldPeer{}, rows, pgx.RowToStructByPos[ToldPeer])
	if err != nil {
		return nil, fmt.Errorf("look who knows the new key: %w", err)
	}
	return peers, nil
}

var errStillWaits = errors.New("a peer is waited for")

// finishRotation decides that the new key signs alone. Unless a person insists,
// it does nothing while a peer is waited for. A database that was restored may
// hold a rotation that was finished since: then the files show the key.
func (b *Bridge) finishRotation(ctx context.Context, r *rotation, actor string, insist bool) (without []string, err error) {
	s, err := b.signing(ctx, b.Pool)
	if err != nil {
		return nil, err
	}
	newKey := r.newKey
	if s.rotation == 0 {
		insist = true
		if newKey, err = verifierKey(s.site, s.keys[0]); err != nil {
			return nil, err
		}
	}
	err = pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE key_rotations SET finished_at = clock_timestamp(), finished_by = $2, new_key = $3 WHERE no = $1 AND finished_at IS NULL`, r.no, actor, newKey)
		if err != nil {
			return err
		}
		if without, err = b.waitsFor(ctx, tx, r); err != nil {
			return err
		}
		if tag.RowsAffected() == 0 || len(without) > 0 && !insist {
			return errStillWaits
		}
		return b.note(ctx, tx, actor, domain.KeyRotated{Old: siteKey(r.oldKey), New: siteKey(newKey), Without: without})
	})
	if errors.Is(err, errStillWaits) {
		return nil, nil
	}
	if err == nil {
		b.Logger.InfoContext(ctx, "signing key rotated", "old", keyID(r.oldKey), "new", keyID(newKey), "without", without)
	}
	return without, err
}

func siteKey(key string) domain.SiteKey { return domain.SiteKey{ID: keyID(key), Key: key} }

// cardFile is the site's own card, beside its folders.
const cardFile = "site-card.json"

// settle lets the files follow the last rotation, if it is finished. The
// caller holds the lock of the keys.
func (b *Bridge) settle(ctx context.Context) error {
	r, err := b.lastRotation(ctx, b.Pool)
	if err != nil || r == nil || r.running() {
		return err
	}
	if _, err := b.signing(ctx, b.Pool); err != nil { // the next key's file is there, or in its place
		return err
	}
	if present, err := b.presentKey(); err != nil {
		return err
	} else if present == r.oldKey {
		if err := b.Keys.promote(r.oldKey, r.newKey); err != nil {
			return err
		}
	}
	if err := b.writeCard(); err != nil {
		return err
	}
	b.settled.Store(r.no)
	return nil
}

// writeCard makes the card on the disk the one of the key that signs.
func (b *Bridge) writeCard() error {
	have, err := b.Folders.root.ReadFile(cardFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the site card: %w", err)
	}
	if bytes.Equal(have, b.Card().Encode()) {
		return nil
	}
	return b.Folders.create(cardFile, "."+cardFile, func(f *os.File) error {
		_, err := f.Write(b.Card().Encode())
		return errors.Join(err, f.Chmod(0o644)) // a card is public
	})
}
