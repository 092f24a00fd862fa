package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// AddLink begins a link to the site of a card whose fingerprint two people
// have compared, or goes on with one that was removed. Adding the same card
// again changes nothing.
func (b *Bridge) AddLink(ctx context.Context, card Card, actor string) error {
	if err := b.mayLink(ctx, card, false); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		ours := eventstore.Genesis(b.Log.Epoch(), b.Log.Site())
		theirs := eventstore.Genesis(card.Epoch, card.Name)
		tag, err := tx.Exec(ctx, `INSERT INTO links (peer, card, exported_chain, applied_chain, incarnation)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT (peer) DO UPDATE SET removed_at = NULL WHERE links.removed_at IS NOT NULL`,
			card.Name, string(card.Encode()), ours[:], theirs[:], newIncarnation())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		err = b.note(ctx, tx, actor, domain.PeerAdded{Peer: card.Name, Role: card.Role, Epoch: card.Epoch, Fingerprint: card.Fingerprint()})
		var readOnly *eventstore.ReadOnlyError
		if errors.As(err, &readOnly) {
			return nil // a restored site forgot the link, and needs it to get its log back, which says so
		}
		return err
	})
	if err == nil {
		err = b.AgreeVersions(ctx)
	}
	if err != nil {
		return fmt.Errorf("add the link to %s: %w", card.Name, err)
	}
	return nil
}

// mayLink holds a card against this site and all cards it ever had. replace
// says that people want another card of a known site in the place of its own.
func (b *Bridge) mayLink(ctx context.Context, card Card, replace bool) error {
	if err := card.check(); err != nil {
		return err
	}
	if card.Name == b.Log.Site() || card.Role == b.Log.Role() {
		return fmt.Errorf("a %s site links to sites of the other role, not to %s, which is a %s site", b.Log.Role(), card.Name, card.Role)
	}
	known, err := b.cards(ctx)
	if err != nil {
		return err
	}
	for _, k := range known {
		switch {
		case k.Name == card.Name && k.Epoch != card.Epoch:
			return fmt.Errorf("the card of %s shows another epoch than the one that it is linked with: that site founded its log anew, and its old log must be closed here first; a new card alone does not do that; nothing was changed", card.Name)
		case k.Name == card.Name && k != card && !replace:
			return fmt.Errorf("%s is linked already with another card, whose fingerprint is %s: if that site has a new key, two people must compare the new card, and then `sallyport link add CARD --replace`; nothing was changed", card.Name, k.Fingerprint())
		case k.Name != card.Name && k.Epoch == card.Epoch:
			return fmt.Errorf("the card of %s shows the epoch of %s: one of the two is false; nothing was changed", card.Name, k.Name)
		}
	}
	return nil
}

// cards returns the cards of all links, removed ones too.
func (b *Bridge) cards(ctx context.Context) ([]Card, error) {
	rows, err := b.Pool.Query(ctx, `SELECT card FROM links ORDER BY peer`)
	if err != nil {
		return nil, fmt.Errorf("read the cards: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Card, error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return Card{}, err
		}
		return storedCard(text)
	})
}

// note appends what this site says about itself.
func (b *Bridge) note(ctx context.Context, tx pgx.Tx, actor string, f domain.Fact) error {
	_, err := b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: actor, Writes: []eventstore.Write{{
		Stream: domain.SiteStream(b.Log.Site()), Expected: eventstore.Any, Facts: []domain.Fact{f}}}})
	return err
}
