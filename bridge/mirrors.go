package bridge

import (
	"context"

	"sallyport/eventstore"
)

// VerifyLogs verifies this site's own log and the mirror of every peer's log
// against their heads. The first entry is the own log.
func (b *Bridge) VerifyLogs(ctx context.Context) ([]eventstore.Verified, error) {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	own, err := b.Log.Verify(ctx, head.Site, head.Epoch, head.Pos, head.Chain)
	if err != nil {
		return nil, err
	}
	all := []eventstore.Verified{own}
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		v, err := b.Log.Verify(ctx, l.Card.Name, l.Card.Epoch, l.In.Through, eventstore.Hash(l.In.Chain))
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}
