package bridge

import (
	"context"

	"sallyport/eventstore"
)

// VerifyLogs verifies this site's own log and the mirror of every peer's log
// against their heads, each epoch for itself. The own log comes first, and of
// each log the oldest epoch.
func (b *Bridge) VerifyLogs(ctx context.Context) ([]eventstore.Verified, error) {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	all, err := b.verifyLog(ctx, nil, eventstore.Epoch{Origin: head.Site, Epoch: head.Epoch, After: head.Start, Through: head.Pos, Chain: head.Chain})
	if err != nil {
		return nil, err
	}
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		all, err = b.verifyLog(ctx, all, l.epoch())
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// epoch is the present epoch of the peer's log, as far as it is mirrored. Of a
// log that was founded anew and of which nothing came yet it is empty.
func (l Link) epoch() eventstore.Epoch {
	return eventstore.Epoch{Origin: l.Card.Name, Epoch: l.In.Epoch, After: l.Start, Through: l.In.Through, Chain: eventstore.Hash(l.In.Chain)}
}

func (b *Bridge) verifyLog(ctx context.Context, all []eventstore.Verified, present eventstore.Epoch) ([]eventstore.Verified, error) {
	epochs, err := b.Log.Ended(ctx, present.Origin)
	if err != nil {
		return nil, err
	}
	for _, e := range append(epochs, present) {
		v, err := b.Log.Verify(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
