package bridge

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// CheckRestored finds out whether the database is an older one than what left
// this site. A log that lost events, or is another one, makes the whole site
// read-only. A link whose manifests' numbers went back gets a new incarnation,
// and heals by itself. It is cheap: call it before anything is sent or applied.
func (b *Bridge) CheckRestored(ctx context.Context) error {
	// Before the database: it is written after what it tells of was committed.
	kept, err := b.Folders.readHead()
	if err != nil || kept == nil {
		return err
	}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return err
	}
	if head.ReadOnly == "" {
		why, err := b.lost(ctx, kept, head)
		if err != nil {
			return err
		}
		if err := b.readOnly(ctx, why); err != nil {
			return err
		}
	}
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		if known := kept.Links[l.Card.Name]; known.No > l.Self.No {
			if err := b.reincarnate(ctx, l.Card.Name, known.No); err != nil {
				return err
			}
		}
	}
	return nil
}

// lost says what shows that the log is not the one, or not all of it, from
// which the files in the world were made; empty if nothing does.
func (b *Bridge) lost(ctx context.Context, kept *headFile, head eventstore.Head) (string, error) {
	switch {
	case b.intact.covers(kept, head):
		return "", nil
	case kept.Epoch != head.Epoch:
		ended, err := b.Log.Ended(ctx, head.Site)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(ended, func(e eventstore.Epoch) bool { return e.Epoch == kept.Epoch }) {
			return "", b.Folders.foundAnew(ctx, head) // the program died before it could
		}
		return fmt.Sprintf("head.json is of another log (epoch %s) than the database (epoch %s): the database was restored from a backup of before the log was founded anew, or the data folder is another site's",
			kept.Epoch, head.Epoch), nil
	case kept.Position > head.Pos:
		return fmt.Sprintf("it was restored from an old backup: its log ends at position %d, and files have left it that were made when it ended at position %d", head.Pos, kept.Position), nil
	}
	chain, err := b.chainAt(ctx, b.Pool, kept.Position)
	if err != nil {
		return "", err
	}
	if chain != kept.Chain {
		return fmt.Sprintf("it was restored from an old backup and written to since: its log has other events before position %d than when files left it", kept.Position), nil
	}
	b.intact.remember(kept)
	return "", nil
}

// DeclareRestored takes the word of people that this site was restored, for the
// case that nothing here can show it: the folders came from the backup too. The
// whole site is read-only until it is recovered.
//
// Each link gets a new incarnation first: a call that ends in between is made
// again, and nothing was written meanwhile that would not have been anyway.
func (b *Bridge) DeclareRestored(ctx context.Context, reason, actor string) error {
	links, err := b.Links(ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := b.reincarnate(ctx, l.Card.Name, l.Self.No+1); err != nil {
			return err
		}
	}
	return b.readOnly(ctx, fmt.Sprintf("%s says that it was restored from a backup: %s", actor, reason))
}

// readOnly stops all writing if there is a reason.
func (b *Bridge) readOnly(ctx context.Context, why string) error {
	if why == "" {
		return nil
	}
	made, err := b.Log.MakeReadOnly(ctx, why)
	if err != nil {
		return err
	}
	if made {
		b.Logger.ErrorContext(ctx, "this site is read-only", "reason", why, "next", "sallyport doctor")
	}
	return nil
}

// reincarnate begins a new life of a link's end, unless its manifests' numbers
// have reached the given one meanwhile.
func (b *Bridge) reincarnate(ctx context.Context, peer string, atLeast int64) error {
	restored := false
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		_, err := b.changeLink(ctx, tx, peer, func(l *Link) error {
			if restored = l.Self.No < atLeast; restored {
				l.Restore(newIncarnation(), atLeast)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a new incarnation of the link to %s: %w", peer, err)
	}
	if restored {
		b.Logger.WarnContext(ctx, "the link's state was restored from a backup: it begins a new incarnation and heals by itself", "peer", peer)
	}
	return nil
}

// intact remembers the head file that the log was last held against, so that
// its chain is not computed again at every turn.
type intact struct {
	mu       sync.Mutex
	epoch    string
	position int64
	chain    bundle.Hash
}

func (i *intact) remember(kept *headFile) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.epoch, i.position, i.chain = kept.Epoch, kept.Position, kept.Chain
}

func (i *intact) covers(kept *headFile, head eventstore.Head) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.epoch == kept.Epoch && i.position == kept.Position && i.chain == kept.Chain && head.Epoch == kept.Epoch && head.Pos >= kept.Position
}

// nextReadOnly says what people do with a site that is read-only as a whole.
func nextReadOnly(head eventstore.Head, peer string, waiting int) string {
	next := fmt.Sprintf("this site lost events and writes nothing: on %s run `sallyport link return %s --after %d`, bring here what it writes, then `sallyport link recover`",
		peer, head.Site, head.Pos)
	if waiting > 0 {
		next += fmt.Sprintf("; carry %s from outbox/ to %s", count(waiting, "file"), peer)
	}
	return next
}
