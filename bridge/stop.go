package bridge

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Stop halts a link until people resume it: no data is sent and none applied.
// What arrives is verified and held; beacons still tell how far the site is.
// A link that is stopped already keeps its first reason.
func (b *Bridge) Stop(ctx context.Context, peer, reason, actor string) error {
	stopped := false
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		_, err := b.changeLink(ctx, tx, peer, func(l *Link) error {
			stopped = b.halt(l, reason)
			return nil
		})
		if err != nil || !stopped {
			return err
		}
		return b.note(ctx, tx, actor, domain.LinkStopped{Peer: peer, Reason: reason})
	})
	if err != nil {
		return fmt.Errorf("stop the link to %s: %w", peer, err)
	}
	if stopped {
		b.Logger.ErrorContext(ctx, "link stopped", "peer", peer, "reason", reason)
	}
	return nil
}

// halt reports whether the link ran until now.
func (b *Bridge) halt(l *Link, reason string) bool {
	if l.Stopped != "" {
		return false
	}
	l.Stopped = reason
	return true
}

// Resume lets a stopped link go on, after people have talked. What made it stop
// will stop it again if it is still there.
func (b *Bridge) Resume(ctx context.Context, peer, reason, actor string) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		running := false
		_, err := b.changeLink(ctx, tx, peer, func(l *Link) error {
			running = l.Stopped == ""
			l.Stopped = ""
			return nil
		})
		if err != nil || running {
			return err
		}
		return b.note(ctx, tx, actor, domain.LinkResumed{Peer: peer, Reason: reason})
	})
	if err != nil {
		return fmt.Errorf("resume the link to %s: %w", peer, err)
	}
	return nil
}

// Remove ends a link. Its mirror, its cursors and what it refused stay; adding
// the same card again goes on from there.
func (b *Bridge) Remove(ctx context.Context, peer, reason, actor string) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		if _, err := b.link(ctx, tx, peer, true); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE links SET removed_at = clock_timestamp() WHERE peer = $1`, peer); err != nil {
			return err
		}
		return b.note(ctx, tx, actor, domain.PeerRemoved{Peer: peer, Reason: reason})
	})
	if err != nil {
		return fmt.Errorf("remove the link to %s: %w", peer, err)
	}
	return nil
}
