package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/eventstore"
)

// epochs returns the epochs of a log, the oldest first; the last is the present
// one. Of a peer's log they are what is mirrored here, also of a peer whose link
// was removed.
func (b *Bridge) epochs(ctx context.Context, origin string) ([]eventstore.Epoch, error) {
	ended, err := b.Log.Ended(ctx, origin)
	if err != nil {
		return nil, err
	}
	if origin != b.Log.Site() {
		l, err := b.scanLink(b.Pool.QueryRow(ctx, selectEver+`peer = $1`, origin))
		if errors.Is(err, pgx.ErrNoRows) {
			return ended, nil
		}
		return append(ended, l.epoch()), err
	}
	head, err := b.Log.Head(ctx)
	return append(ended, eventstore.Epoch{Origin: head.Site, Epoch: head.Epoch, After: head.Start, Through: head.Pos, Chain: head.Chain}), err
}

var errNotHeld = errors.New("this site does not hold position")

// epochAt returns the one epoch of a log that holds a position.
func (b *Bridge) epochAt(ctx context.Context, origin string, pos int64) (eventstore.Epoch, error) {
	all, err := b.epochs(ctx, origin)
	if err != nil {
		return eventstore.Epoch{}, err
	}
	for _, e := range all {
		if e.After < pos && pos <= e.Through {
			return e, nil
		}
	}
	return eventstore.Epoch{}, fmt.Errorf("%w %d of the log of %s", errNotHeld, pos, origin)
}
