package bridge

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// ReplaceCard puts a new card of a known peer in the place of its old one,
// after two people have compared its fingerprint: the peer's key was stolen or
// lost. The old signing key is revoked: it is believed only in bundles of this
// epoch up to the number lastValid, 0 for none, and only in their events. The
// same card again changes nothing.
func (b *Bridge) ReplaceCard(ctx context.Context, card Card, lastValid int64, actor string) error {
	if err := b.mayLink(ctx, card, true); err != nil {
		return err
	}
	if lastValid < 0 || lastValid > maxNumber {
		return fmt.Errorf("%d is no bundle's number: give 0, or the last one that %s signed before its key was stolen; nothing was changed", lastValid, card.Name)
	}
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		var text []byte
		if err := tx.QueryRow(ctx, `SELECT card FROM links WHERE peer = $1 FOR UPDATE`, card.Name).Scan(&text); err != nil {
			return fmt.Errorf("there is no card to replace: add the first one without --replace: %w", err)
		}
		old, err := storedCard(text)
		if err != nil || old == card {
			return err
		}
		if err := b.revoke(ctx, tx, old, card, lastValid, actor); err != nil {
			return err
		}
		// What the old key said of numbers that nobody has seen may be a thief's
		// word: the next manifest says it anew.
		_, err = tx.Exec(ctx, `UPDATE links SET card = $2, removed_at = NULL, peer_head_seq = applied_seq, peer_head = applied_through WHERE peer = $1`,
			card.Name, string(card.Encode()))
		if err != nil {
			return err
		}
		return b.note(ctx, tx, actor, domain.PeerAdded{Peer: card.Name, Role: card.Role, Epoch: card.Epoch, Fingerprint: card.Fingerprint()})
	})
	if err != nil {
		return fmt.Errorf("replace the card of %s: %w", card.Name, err)
	}
	return nil
}

// maxNumber is the largest number of a bundle: it has ten digits.
const maxNumber = 9_999_999_999

// revoke gives up the key of a peer's old card, and a next key that it showed:
// who stole the one may have made the other.
func (b *Bridge) revoke(ctx context.Context, tx pgx.Tx, old, card Card, lastValid int64, actor string) error {
	if old.Key == card.Key {
		return nil
	}
	ring, err := readKeyring(ctx, tx, old)
	if err != nil {
		return err
	}
	if k, known := ring.other(card.Key); known && k.State != keyNext {
		return fmt.Errorf("the card shows the key %s, which was %s: it is an old card; nothing was changed", keyID(card.Key), k.State)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM link_keys WHERE peer = $1 AND state = $2`, card.Name, keyNext); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO link_keys (peer, key, state, epoch, last_valid) VALUES ($1, $2, $3, $4, $5)`,
		card.Name, old.Key, keyRevoked, old.Epoch, lastValid)
	if err != nil {
		return err
	}
	return b.note(ctx, tx, actor, domain.PeerKeyRevoked{Peer: card.Name, Revoked: siteKey(old.Key), Epoch: old.Epoch, LastValid: lastValid})
}
