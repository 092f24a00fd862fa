package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

// said is what a manifest tells the peer of its own bundles.
type said struct {
	ack     *bundle.Ack
	telling link.Telling
	sign    signing
}

// heard is the number of the peer's newest manifest that had counted by then.
func (s said) heard() int64 {
	if s.ack.Seen == nil {
		return 0
	}
	return s.ack.Seen.No
}

// say numbers the next manifest and composes what it tells. The number is
// committed before anything is written: it is never used twice.
func (x *exporter) say(ctx context.Context, peer string) (s said, l Link, err error) {
	err = pgx.BeginFunc(ctx, x.Pool, func(tx pgx.Tx) error {
		l, err = x.changeLink(ctx, tx, peer, func(l *Link) error {
			if s.telling, err = x.telling(ctx, tx, *l); err != nil {
				return err
			}
			s.ack = l.NextAck(s.telling, x.Schemas.Known())
			return nil
		})
		if err != nil {
			return err
		}
		if s.sign, err = x.signing(ctx, tx); err != nil {
			return err
		}
		return x.announce(ctx, tx, peer, s.ack, s.sign)
	})
	if err != nil {
		return s, l, fmt.Errorf("number the next manifest for %s: %w", peer, err)
	}
	return s, l, nil
}

// errFenced is what an exporter finds that slept until another took its place.
var errFenced = errors.New("another program writes for this peer now; nothing was recorded, what was written is the same")

// published notes in the caller's transaction that a file is out, and what else
// change wants to note.
func (x *exporter) published(ctx context.Context, tx pgx.Tx, file string, said said, change func(*Link)) (Link, error) {
	return x.changeLink(ctx, tx, x.peer, func(l *Link) error {
		var mark int64
		err := tx.QueryRow(ctx, `UPDATE links SET last_file = $2 WHERE peer = $1 RETURNING export_fence`, x.peer, file).Scan(&mark)
		if err != nil {
			return err
		}
		if mark != x.fence {
			return errFenced
		}
		l.Tell(said.ack, said.telling)
		now := time.Now()
		l.LastWritten = &now
		change(l)
		return nil
	})
}

// beaconIfDue writes a beacon if something must be said.
func (x *exporter) beaconIfDue(ctx context.Context, p link.Pressure) error {
	l, err := x.link(ctx, x.Pool, x.peer, false)
	if err != nil {
		return err
	}
	p, why, err := x.beaconDue(ctx, l, p)
	if err != nil || why == "" {
		return err
	}
	if err := x.beacon(ctx, l, p, why); err != nil {
		return fmt.Errorf("write a beacon for %s: %w; nothing was lost, the next export tries again", x.peer, err)
	}
	return nil
}

// beaconDue tells why a beacon is due, empty if none is, and under which
// pressure.
func (b *Bridge) beaconDue(ctx context.Context, l Link, p link.Pressure) (link.Pressure, string, error) {
	t, err := b.telling(ctx, b.Pool, l)
	if err != nil {
		return p, "", err
	}
	if p == link.Turn && l.LastWritten != nil && time.Since(*l.LastWritten) >= l.Patience(b.ResendAfter) {
		p = link.Overdue
	}
	if waits, err := b.lastFileWaits(l); err != nil {
		return p, "", err
	} else if waits {
		p = link.Turn // it says all that a reminder would say: it must be carried
	}
	if l.Announcing, err = b.announcing(ctx, l.Card.Name); err != nil {
		return p, "", err
	}
	return p, l.BeaconDue(t, p), nil
}

// lastFileWaits reports whether the newest file for the peer still lies in the
// outbox.
func (b *Bridge) lastFileWaits(l Link) (bool, error) {
	if l.LastFile == "" {
		return false, nil
	}
	_, err := b.Folders.root.Lstat(outboxDir + "/" + l.LastFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (x *exporter) beacon(ctx context.Context, l Link, p link.Pressure, why string) error {
	var n int
	if err := x.Pool.QueryRow(ctx, `UPDATE links SET beacons = beacons + 1 WHERE peer = $1 RETURNING beacons`, x.peer).Scan(&n); err != nil {
		return fmt.Errorf("number it: %w", err)
	}
	said, l, err := x.say(ctx, x.peer)
	if err != nil {
		return err
	}
	e := Exported{Kind: bundle.Beacon, Peer: x.peer, Seq: l.Out.Seq, After: l.Out.Through, Through: l.Out.Through, Why: why}
	payload := tmpDir + "/" + payloadName(x.peer, "b"+strconv.Itoa(n))
	defer func() { _ = x.Folders.remove(payload) }() // scratch: a later run makes another
	content, err := x.beaconPayload(ctx, l, payload)
	if err != nil {
		return err
	}
	if err := x.seal(ctx, content.Manifest(), l.Out.Seq, said, payload, n, &e); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, x.Pool, func(tx pgx.Tx) error {
		_, err := x.published(ctx, tx, e.File, said, func(l *Link) {
			if p == link.Overdue {
				l.Resends++
			}
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("record it: %w", err)
	}
	x.Logger.InfoContext(ctx, "beacon written", "peer", x.peer, "why", why, "file", e.File)
	x.out = append(x.out, e)
	return nil
}

// beaconPayload makes the one line of a beacon.
func (x *exporter) beaconPayload(ctx context.Context, l Link, name string) (c bundle.Content, err error) {
	f, err := x.Folders.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return c, fmt.Errorf("create %s: %w", x.Folders.abs(name), err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var salt [16]byte
	rand.Read(salt[:]) //nolint:errcheck // documented never to fail
	span := bundle.Span{Format: bundle.Format, Kind: bundle.Beacon, From: x.Log.Site(), To: x.peer, Epoch: l.Out.Epoch, Seq: l.Out.Seq,
		Range: bundle.Range{After: l.Out.Through, Through: l.Out.Through}, Chain: bundle.ChainEnds{After: l.Out.Chain, Through: l.Out.Chain}}
	w, err := bundle.NewWriter(ctx, f, bundle.Plan{First: bundle.First{Span: span, Salt: hex.EncodeToString(salt[:]), Operator: x.operator}, Limits: x.Limits})
	if err != nil {
		return c, err
	}
	defer w.Close()
	return w.Finish()
}

// stopIfRefused stops a link whose peer refused for good what this site sent.
func (x *exporter) stopIfRefused(ctx context.Context, l Link) (Link, error) {
	reason, err := x.refusal(ctx, l)
	if err != nil || reason == "" || l.Stopped != "" {
		return l, err
	}
	if err := x.Stop(ctx, x.peer, reason, x.actor()); err != nil {
		return l, err
	}
	return x.link(ctx, x.Pool, x.peer, false)
}

// refusal tells that the peer refused for good what this site sent; empty: it
// did not.
func (b *Bridge) refusal(ctx context.Context, l Link) (string, error) {
	var numbers []int64
	for _, r := range l.Out.Rejected {
		numbers = append(numbers, r.Seq)
	}
	makings, err := b.makings(ctx, l, numbers)
	if err != nil {
		return "", err
	}
	n, refused := l.Refused(makings)
	if !refused {
		return "", nil
	}
	peer := l.Card.Name
	return fmt.Sprintf("%s refused bundle %d: look there at what it says (`sallyport quarantine list`), and let two people decide here: `sallyport link withhold %s POSITION`", peer, n, peer), nil
}
