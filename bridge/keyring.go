package bridge

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
)

// Keyring is what a site believes of the keys of one sender. It is read before
// a file is verified, and changed only by what is signed and by people:
//
//	next ──▶ on the card ──▶ retired, when a manifest comes that the next key signed alone
//	              └────────▶ revoked, when people replace the card
type Keyring struct {
	Card   Card
	others []otherKey
}

// The states of a key that is not on the card.
const (
	keyNext    = "next"    // the sender showed it, and may sign with it alone
	keyRetired = "retired" // the sender went on to another: believed no more
	keyRevoked = "revoked" // people replaced it: believed up to a number
)

type otherKey struct {
	Key       string
	State     string
	Epoch     string
	LastValid int64
	Since     time.Time
}

// Keyring returns what this site believes of the keys of a site: a linked peer
// or itself. It fails with [ErrNoLink] for any other.
func (b *Bridge) Keyring(ctx context.Context, site string) (Keyring, error) {
	if site != b.Log.Site() {
		l, err := b.link(ctx, b.Pool, site, false)
		if err != nil {
			return Keyring{}, err
		}
		return readKeyring(ctx, b.Pool, l.Card)
	}
	own, err := b.OwnKeys(ctx)
	ring := Keyring{Card: b.Card()}
	if own.Rotation != nil {
		ring.others = append(ring.others, otherKey{Key: own.Rotation.Next, State: keyNext})
	}
	for _, old := range own.Old {
		ring.others = append(ring.others, otherKey{Key: old.Key, State: keyRetired})
	}
	return ring, err
}

func readKeyring(ctx context.Context, q rowsQuerier, card Card) (Keyring, error) {
	rows, err := q.Query(ctx, `SELECT key, state, epoch, last_valid, since FROM link_keys WHERE peer = $1 ORDER BY since`, card.Name)
	if err != nil {
		return Keyring{}, fmt.Errorf("read the keys of %s: %w", card.Name, err)
	}
	others, err := pgx.CollectRows(rows, pgx.RowToStructByPos[otherKey])
	if err != nil {
		return Keyring{}, fmt.Errorf("read the keys of %s: %w", card.Name, err)
	}
	return Keyring{Card: card, others: others}, nil
}

// peerRings are those of all peers, of those too whose link was removed: what
// they sent is still to be checked.
func (b *Bridge) peerRings(ctx context.Context) ([]Keyring, error) {
	cards, err := b.cards(ctx)
	if err != nil {
		return nil, err
	}
	rings := make([]Keyring, len(cards))
	for i, card := range cards {
		if rings[i], err = readKeyring(ctx, b.Pool, card); err != nil {
			return nil, err
		}
	}
	return rings, nil
}

// next returns the key that the sender goes on to; empty: none.
func (r Keyring) next() otherKey {
	for _, k := range r.others {
		if k.State == keyNext {
			return k
		}
	}
	return otherKey{}
}

// other finds one of the keys that are not on the card.
func (r Keyring) other(key string) (otherKey, bool) {
	for _, k := range r.others {
		if k.Key == key {
			return k, true
		}
	}
	return otherKey{}, false
}

// VerifySignatures checks every signature of a manifest, by keys that are
// believed no more too: during a rotation they stand beside one that is. It
// reports whether all that the manifest says counts. By a key that was revoked
// later only the events of a bundle do: whoever stole it could write any ack.
func (r Keyring) VerifySignatures(f *bundle.File) (counts bool, err error) {
	newer := f.Manifest().Core.Format == ""
	err = f.VerifySignatures(func(id string) (ed25519.PublicKey, bool) {
		if key, ok := r.Card.Trust()(id); ok {
			return key, true
		}
		for _, k := range r.others {
			if keyID(k.Key) == id && (k.State == keyNext || !newer) {
				_, key, err := bundle.ParseVerifierKey(k.Key)
				return key, err == nil
			}
		}
		return nil, false
	})
	if err != nil {
		return false, err
	}
	return r.believed(f.Manifest())
}

// believed reports whether one of the keys that signed is believed.
func (r Keyring) believed(m bundle.Manifest) (counts bool, err error) {
	limited, why := false, "no trusted key of the sender has signed the manifest"
	for _, id := range m.Signers {
		if id == keyID(r.Card.Key) || id == keyID(r.next().Key) {
			return true, nil
		}
		for _, k := range r.others {
			switch {
			case keyID(k.Key) != id:
			case k.State == keyRetired:
				why = fmt.Sprintf("signed by the key %s, which %s has replaced: what is still needed is made again there, signed by the new one", id, r.Card.Name)
			case m.Core.Kind == bundle.Data && m.Core.Epoch == k.Epoch && m.Core.Seq <= k.LastValid:
				limited = true
			default:
				why = fmt.Sprintf("signed by the key %s of %s, which was revoked and is believed only in bundles up to number %d", id, r.Card.Name, k.LastValid)
			}
		}
	}
	if limited {
		return false, nil
	}
	return false, &bundle.Error{Code: bundle.Untrusted, Msg: why}
}

// learn takes over what a verified manifest shows of the sender's keys, in the
// transaction that holds the link's row. counted says that it is the newest one
// that counts; an older one may not bring back a key that was given up.
func (b *Bridge) learn(ctx context.Context, tx pgx.Tx, l *Link, m bundle.Manifest, counted bool) error {
	r, err := readKeyring(ctx, tx, l.Card)
	if err != nil {
		return err
	}
	if next := r.next(); next.Key != "" && signedWithout(m, r.Card.Key, next.Key) {
		if err := b.succeed(ctx, tx, l, next.Key); err != nil {
			return err
		}
		if r, err = readKeyring(ctx, tx, l.Card); err != nil {
			return err
		}
	}
	if !counted || m.NextKey == "" || m.NextKey == l.Card.Key {
		return nil
	}
	if known, isKnown := r.other(m.NextKey); isKnown {
		if known.State != keyNext {
			b.Logger.WarnContext(ctx, "the peer wants to go on to a key that it gave up, or that was revoked: it is not believed", "peer", l.Card.Name, "key", keyID(m.NextKey))
		}
		return nil
	}
	l.Owes = l.Self.No + 1 // it waits to hear that we know the key
	return b.keepNext(ctx, tx, l, m.NextKey)
}

// signedWithout reports whether a manifest is signed by key and not by without.
func signedWithout(m bundle.Manifest, without, key string) bool {
	with := false
	for _, id := range m.Signers {
		if id == keyID(without) {
			return false
		}
		with = with || id == keyID(key)
	}
	return with
}

// succeed puts the next key on the card, since the sender signs with it alone.
func (b *Bridge) succeed(ctx context.Context, tx pgx.Tx, l *Link, key string) error {
	old := l.Card.Key
	l.Card.Key = key
	_, err := tx.Exec(ctx, `UPDATE links SET card = $2 WHERE peer = $1`, l.Card.Name, string(l.Card.Encode()))
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM link_keys WHERE peer = $1 AND key = $2`, l.Card.Name, key)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO link_keys (peer, key, state, epoch) VALUES ($1, $2, $3, $4)`, l.Card.Name, old, keyRetired, l.Card.Epoch)
	}
	if err != nil {
		return fmt.Errorf("take over the new key of %s: %w", l.Card.Name, err)
	}
	b.Logger.InfoContext(ctx, "the peer signs with its new key", "peer", l.Card.Name, "old", keyID(old), "new", keyID(key))
	return nil
}

// keepNext stores the key that the sender goes on to, in place of one that it
// gave up meanwhile.
func (b *Bridge) keepNext(ctx context.Context, tx pgx.Tx, l *Link, key string) error {
	_, err := tx.Exec(ctx, `DELETE FROM link_keys WHERE peer = $1 AND state = $2`, l.Card.Name, keyNext)
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO link_keys (peer, key, state, epoch) VALUES ($1, $2, $3, $4)`, l.Card.Name, key, keyNext, l.Card.Epoch)
	}
	if err != nil {
		return fmt.Errorf("keep the next key of %s: %w", l.Card.Name, err)
	}
	b.Logger.InfoContext(ctx, "the peer shows its next key", "peer", l.Card.Name, "key", keyID(key))
	return nil
}
