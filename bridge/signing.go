package bridge

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// signing is what a manifest is signed with now.
type signing struct {
	site string
	// keys are the present one and, during a rotation, the next one.
	keys []ed25519.PrivateKey
	// next is the public side of the next one, for the manifest; empty: none.
	next string
	// rotation is the number of the one that runs; 0: none.
	rotation int64
}

func (s signing) signers() ([]*bundle.Signer, error) {
	all := make([]*bundle.Signer, 0, len(s.keys))
	for _, key := range s.keys {
		signer, err := bundle.NewSigner(s.site, key)
		if err != nil {
			return nil, err
		}
		all = append(all, signer)
	}
	return all, nil
}

// trust is what reads back what these keys signed.
func (s signing) trust() bundle.Trust {
	return func(id string) (ed25519.PublicKey, bool) {
		for _, key := range s.keys {
			if pub, ok := key.Public().(ed25519.PublicKey); ok && bundle.KeyID(s.site, pub) == id {
				return pub, true
			}
		}
		return nil, false
	}
}

// rotation is one change of this site's signing key.
type rotation struct {
	no         int64
	oldKey     string // the public keys, in the form of C2SP signed-note
	newKey     string
	begunBy    string
	begunAt    time.Time
	finishedAt *time.Time
}

func (r *rotation) running() bool { return r != nil && r.finishedAt == nil }

// lastRotation returns the one that decides which key signs; nil: the first
// key still does.
func (b *Bridge) lastRotation(ctx context.Context, q querier) (*rotation, error) {
	var r rotation
	err := q.QueryRow(ctx, `SELECT no, old_key, new_key, begun_by, begun_at, finished_at FROM key_rotations ORDER BY no DESC LIMIT 1`).
		Scan(&r.no, &r.oldKey, &r.newKey, &r.begunBy, &r.begunAt, &r.finishedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look which key signs: %w", err)
	}
	return &r, nil
}

// own is the key that signs alone or, during a rotation, first.
type own struct {
	card Card
	key  ed25519.PrivateKey
}

// signing returns the keys to sign with. The row of the last rotation decides,
// the files follow it: any program that signs sees at once what another began
// or finished, and a file that is not yet, or not any more, where the row wants
// it makes no difference. Files are read only when the row says something new.
func (b *Bridge) signing(ctx context.Context, q querier) (signing, error) {
	s := signing{site: b.Log.Site()}
	r, err := b.lastRotation(ctx, q)
	if err != nil {
		return s, err
	}
	if own := b.own.Load(); r == nil || !r.running() && own.card.Key == r.newKey {
		s.keys = []ed25519.PrivateKey{own.key}
		return s, nil
	}
	next, err := b.Keys.readNext(r.newKey) // before the present one: so a move between the two is seen
	if err != nil {
		return s, err
	}
	present, err := b.Keys.readPresent()
	if err != nil {
		return s, err
	}
	name, err := verifierKey(s.site, present)
	switch {
	case err != nil:
		return s, err
	case name != r.oldKey:
		s.keys = []ed25519.PrivateKey{present}
	case next == nil:
		return s, b.keyGone(r)
	case r.running():
		s.keys, s.next, s.rotation = []ed25519.PrivateKey{present, next}, r.newKey, r.no
	default:
		s.keys = []ed25519.PrivateKey{next}
	}
	return s, b.signsWith(s.keys[0])
}

// keyGone says that the folder of the keys is older than the log.
func (b *Bridge) keyGone(r *rotation) error {
	return fmt.Errorf("the signing key %s is missing: peers were told of it, but %s is not there; nothing was signed: bring back the newest copy of the folder %s", keyID(r.newKey), b.Keys.nextPath(r.newKey), b.Keys.dir)
}

// signsWith remembers the key that signs now, and its card.
func (b *Bridge) signsWith(key ed25519.PrivateKey) error {
	card, err := Keys{Signing: key, Identity: b.Keys.Identity}.Card(b.Log.Site(), b.Log.Role(), b.Log.Epoch())
	if err != nil {
		return fmt.Errorf("the site's keys make no card: %w", err)
	}
	b.own.Store(&own{card: card, key: key})
	return nil
}

// announce notes, in the transaction that numbers a manifest and holds the
// link's row, the first number by which the peer is told of the next key. Since
// the keys are read under that row, every later number tells it too.
func (b *Bridge) announce(ctx context.Context, tx pgx.Tx, peer string, a *bundle.Ack, s signing) error {
	if s.rotation == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO key_announcements (rotation, peer, incarnation, no) VALUES ($1, $2, $3, $4)
		ON CONFLICT (rotation, peer) DO UPDATE SET incarnation = excluded.incarnation, no = excluded.no
		WHERE key_announcements.incarnation <> excluded.incarnation`, s.rotation, peer, a.Incarnation, a.No)
	if err != nil {
		return fmt.Errorf("note that %s is told of the next key: %w", peer, err)
	}
	return nil
}

// announcing reports whether a peer has not shown yet to know the next key.
func (b *Bridge) announcing(ctx context.Context, peer string) (bool, error) {
	r, err := b.lastRotation(ctx, b.Pool)
	if err != nil || !r.running() {
		return false, err
	}
	waits, err := b.waitsFor(ctx, b.Pool, r)
	return slices.Contains(waits, peer), err
}

// ownTrust knows every key that signs or ever signed for this site: what lies
// in the outbox, and what peers bring back, may be older than a rotation.
func (b *Bridge) ownTrust(ctx context.Context) (bundle.Trust, error) {
	rows, err := b.Pool.Query(ctx, `SELECT unnest(ARRAY[old_key, new_key]) FROM key_rotations`)
	if err != nil {
		return nil, fmt.Errorf("list the keys of this site: %w", err)
	}
	keys, err := pgx.AppendRows([]string{b.Card().Key}, rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the keys of this site: %w", err)
	}
	return trustOf(keys), nil
}

// trustOf knows public keys in the form of C2SP signed-note.
func trustOf(keys []string) bundle.Trust {
	return func(id string) (ed25519.PublicKey, bool) {
		for _, key := range keys {
			if keyID(key) == id {
				_, pub, err := bundle.ParseVerifierKey(key)
				return pub, err == nil
			}
		}
		return nil, false
	}
}
