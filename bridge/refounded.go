package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Refounded goes on with a peer that founded its log anew after a loss: two
// people have compared the fingerprint of its new card, which differs in the
// epoch alone. What is mirrored of the old epoch stays and ends where it is; the
// new one is received from its beginning. What we send goes on.
func (b *Bridge) Refounded(ctx context.Context, card Card, actor string) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		l, err := b.link(ctx, tx, card.Name, true)
		if err != nil || l.Card == card {
			return err
		}
		if err := b.mayRefound(ctx, l, card); err != nil {
			return err
		}
		if l.In.Through > 0 {
			if err := l.epoch().End(ctx, tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE links SET card = $2 WHERE peer = $1`, card.Name, string(card.Encode())); err != nil {
			return err
		}
		_, err = b.changeLink(ctx, tx, card.Name, func(l *Link) error {
			l.In = link.Inbound{Epoch: card.Epoch, Chain: bundle.Start(card.Epoch, card.Name)}
			l.Start = 0
			return nil
		})
		if err != nil {
			return err
		}
		return b.note(ctx, tx, actor, domain.PeerAdded{Peer: card.Name, Role: card.Role, Epoch: card.Epoch, Fingerprint: card.Fingerprint()})
	})
	if err != nil {
		return fmt.Errorf("go on with the log that %s founded anew: %w", card.Name, err)
	}
	return nil
}

func (b *Bridge) mayRefound(ctx context.Context, l Link, card Card) error {
	if err := card.check(); err != nil {
		return err
	}
	same := card
	if same.Epoch = l.Card.Epoch; same != l.Card {
		return errors.New("the card differs from the known one in more than the epoch: it is another site's, or its keys changed too; nothing was changed")
	}
	ended, err := b.Log.Ended(ctx, card.Name)
	if err != nil {
		return err
	}
	for _, e := range ended {
		if e.Epoch == card.Epoch {
			return errors.New("the card is an old one: that epoch of the log has ended; nothing was changed")
		}
	}
	known, err := b.cards(ctx)
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Name != card.Name && k.Epoch == card.Epoch {
			return fmt.Errorf("the card shows the epoch of %s: one of the two is false; nothing was changed", k.Name)
		}
	}
	return nil
}

// findEarlier looks whether the bundle must begin a new epoch of the log.
func (a *arrival) findEarlier(ctx context.Context) error {
	if a.earlier = nil; a.link.In.Through > 0 {
		return nil
	}
	ended, err := a.bridge.Log.Ended(ctx, a.core.From)
	if err == nil && len(ended) > 0 {
		a.earlier = &ended[len(ended)-1]
	}
	return err
}

// beginsAnew takes the run that stands for a log's earlier epochs: it ends above
// all that is mirrored of them, and nothing happened in it.
func (a *arrival) beginsAnew(c *chunk, line bundle.Line) error {
	w := line.Withheld
	if w == nil || w.Through < a.earlier.Through || w.Chain != a.link.In.Chain {
		return &bundle.Error{Code: bundle.Refused, Position: a.core.Range.After + 1,
			Msg: fmt.Sprintf("the log was founded anew and does not begin above position %d, which this site holds of its earlier epoch", a.earlier.Through)}
	}
	c.start, c.through = w.Through, w.Through
	return nil
}

// refounds holds the first event of a new epoch against what is mirrored of the
// one before: the sender must not declare lost what this site holds.
func (a *arrival) refounds(facts []domain.Fact) error {
	bad := func(msg string) error { return &bundle.Error{Code: bundle.Refused, Msg: msg} }
	if len(facts) == 0 {
		return bad("the log was founded anew and does not begin by saying so")
	}
	f, ok := facts[0].(domain.SiteRefounded)
	switch {
	case !ok || f.Epoch != a.core.Epoch || f.OldEpoch != a.earlier.Epoch:
		return bad("the log was founded anew and does not begin by saying so")
	case f.Position < a.earlier.Through:
		return bad(fmt.Sprintf("it takes all events after position %d of its earlier epoch for lost, of which this site holds those through %d: they were not brought home", f.Position, a.earlier.Through))
	case f.Position == a.earlier.Through && f.Chain != a.earlier.Chain.String():
		return bad(fmt.Sprintf("it claims another history of its earlier epoch than this site holds through position %d", f.Position))
	}
	return nil
}

// readFirst reads the payload's own line again; its bytes are what was hashed.
func (a *arrival) readFirst(ctx context.Context) error {
	first, err := a.bundle.First(ctx, a.bridge.Keys.Identity)
	if err == nil {
		a.first, err = first.Line()
	}
	return err
}

// keepFirst stores it: with it the mirror can give the payload back.
func (a *arrival) keepFirst(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE inbound_bundles SET first = $5 WHERE peer = $1 AND epoch = $2 AND seq = $3 AND id = $4`,
		a.core.From, a.core.Epoch, a.core.Seq, a.core.ID(), string(a.first))
	if err != nil {
		return fmt.Errorf("keep the first line of bundle %d of %s: %w", a.core.Seq, a.core.From, err)
	}
	return nil
}

// verifyReturn goes on with a file that gives this site its own log back, once
// the peer's signature was found good. One that was recovered is known already.
func (a *arrival) verifyReturn(ctx context.Context) error {
	switch ended, err := a.bridge.Log.Ended(ctx, a.core.To); {
	case err != nil:
		return err
	case containsEpoch(ended, a.core.Epoch):
	case a.core.Epoch != a.bridge.Log.Epoch():
		return &bundle.Error{Code: bundle.Untrusted, Msg: "it gives back a log that this site never had"}
	case a.readOnly == "":
		return &bundle.Error{Code: bundle.Refused, Msg: "it gives this site its own log back, of which nothing was lost: ask the people of " + a.core.From + " why they made it"}
	}
	return a.bundle.VerifyPayload()
}

// takeReturn keeps the file for [Bridge.Recover], or puts it away afterwards.
func (a *arrival) takeReturn(context.Context) error {
	if a.readOnly != "" {
		a.outcome.State, a.outcome.Reason = Held, "it gives this site its own log back: `sallyport link recover` takes it"
		return nil
	}
	a.outcome.State = Duplicate
	return a.archive()
}

func containsEpoch(all []eventstore.Epoch, epoch string) bool {
	for _, e := range all {
		if e.Epoch == epoch {
			return true
		}
	}
	return false
}
