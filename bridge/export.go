package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Exported is a bundle or a beacon that was published.
type Exported struct {
	Kind     bundle.Kind `json:"kind"`
	Peer     string      `json:"peer"`
	Seq      int64       `json:"seq"`
	ID       string      `json:"id"`
	File     string      `json:"file"`
	After    int64       `json:"after"`
	Through  int64       `json:"through"`
	Events   int64       `json:"events"`
	Withheld int64       `json:"withheld"`
	Bytes    int64       `json:"bytes"`
	// Again says that the number was made before; Why is why it was made.
	Again bool   `json:"again"`
	Why   string `json:"why"`
}

// fact is what the log records of it.
func (e Exported) fact() domain.BundleExported {
	return domain.BundleExported{Peer: e.Peer, Seq: e.Seq, ID: e.ID, File: e.File, After: e.After, Through: e.Through,
		Events: e.Events, Withheld: e.Withheld, Bytes: e.Bytes}
}

// ErrStopped is returned for a link that people must look at first.
var ErrStopped = errors.New("the link is stopped")

// Export writes all that is due for a peer into the outbox and returns it; none
// when nothing is due. It first finishes a bundle that an earlier run began and
// makes again what the peer asks for. A person asks for it: what has left the
// outbox and is not acknowledged makes a beacon due at once. operator is who
// asked: `cli:<os user>`, `user-<id>` or `site:<name>`.
func (b *Bridge) Export(ctx context.Context, peer, operator string) ([]Exported, error) {
	return b.export(ctx, peer, operator, link.ByHand)
}

// Resend makes numbers again that were published before, because people want
// them: the same content under the same ids. If one of them never was, none is
// made.
func (b *Bridge) Resend(ctx context.Context, peer, operator string, numbers []int64) ([]Exported, error) {
	var out []Exported
	err := b.exporting(ctx, peer, operator, func(ctx context.Context, x *exporter) error {
		if err := x.mayResend(ctx, numbers); err != nil {
			return err
		}
		err := x.again(ctx, numbers, "a person asked for it again")
		out = x.out
		return err
	})
	return out, err
}

func (b *Bridge) export(ctx context.Context, peer, operator string, p link.Pressure) ([]Exported, error) {
	var readOnly *eventstore.ReadOnlyError // then a rotation goes on later
	if err := b.advanceRotation(ctx); err != nil && !errors.As(err, &readOnly) {
		return nil, err
	}
	var out []Exported
	err := b.exporting(ctx, peer, operator, func(ctx context.Context, x *exporter) error {
		err := x.turn(ctx, p)
		out = x.out
		return err
	})
	return out, err
}

// exporter is the one who writes for a peer now.
type exporter struct {
	*Bridge
	peer, operator string
	fence          int64 // see [Bridge.fence]
	out            []Exported
}

// exporting runs fn as the only exporter of a link.
func (b *Bridge) exporting(ctx context.Context, peer, operator string, fn func(context.Context, *exporter) error) error {
	return b.locked(ctx, "export/"+peer, func(ctx context.Context) error {
		mark, err := b.fence(ctx, peer)
		if err != nil {
			return err
		}
		if err := fn(ctx, &exporter{Bridge: b, peer: peer, operator: operator, fence: mark}); err != nil {
			return err
		}
		return b.removeScratch(peer)
	})
}

// turn writes what is due: what the peer wants again, then what is new, and a
// beacon if there was neither and something must be said.
func (x *exporter) turn(ctx context.Context, p link.Pressure) error {
	head, err := x.Log.Head(ctx)
	if err != nil {
		return err
	}
	if head.ReadOnly != "" {
		return x.beaconIfDue(ctx, p)
	}
	l, err := x.link(ctx, x.Pool, x.peer, false)
	if err != nil {
		return err
	}
	if l, err = x.stopIfRefused(ctx, l); err != nil {
		return err
	}
	if l.Stopped == "" {
		if err := x.data(ctx, l); err != nil {
			return err
		}
	} else if p == link.ByHand {
		return fmt.Errorf("%w (%s): %s", ErrStopped, x.peer, l.Stopped)
	}
	if len(x.out) > 0 {
		return x.warnUnread(ctx, l)
	}
	return x.beaconIfDue(ctx, p)
}

// warnUnread tells that what was written will wait at the peer: it is sent all
// the same, so that nobody has to carry it once more after the upgrade.
func (x *exporter) warnUnread(ctx context.Context, l Link) error {
	unread, err := x.unread(ctx, l)
	if len(unread) > 0 {
		x.Logger.WarnContext(ctx, "the peer does not read what was written for it, and keeps it until it is upgraded", "peer", x.peer, "versions", unread)
	}
	return err
}

// data makes again what the peer asks for and makes what is new.
func (x *exporter) data(ctx context.Context, l Link) error {
	wanted, changed, err := x.wanted(ctx, l)
	if err != nil {
		return err
	}
	if err := x.again(ctx, changed, whyChanged); err != nil {
		return err
	}
	if err := x.again(ctx, wanted, whyMissed); err != nil {
		return err
	}
	for {
		l, err := x.link(ctx, x.Pool, x.peer, false)
		if err != nil {
			return err
		}
		p, err := x.nextPlan(ctx, l, x.operator)
		if err != nil || p == nil {
			return err
		}
		if err := x.publish(ctx, p, false, whyNew); err != nil {
			return err
		}
	}
}

// Why a bundle is made.
const (
	whyNew     = "events are due"
	whyMissed  = "the peer misses it"
	whyChanged = "two people decided to withhold an event that the peer refused"
)

// wanted returns the numbers to make again: those that the peer wants, and
// those whose content people changed.
func (b *Bridge) wanted(ctx context.Context, l Link) (wanted, changed []int64, err error) {
	makings, err := b.makings(ctx, l, l.Asked())
	if err != nil {
		return nil, nil, err
	}
	if changed, err = b.replanned(ctx, l); err != nil {
		return nil, nil, err
	}
	wanted = slices.DeleteFunc(l.Again(makings), func(n int64) bool { return slices.Contains(changed, n) })
	return wanted, changed, nil
}

func (x *exporter) again(ctx context.Context, numbers []int64, why string) error {
	for _, n := range numbers {
		p, err := x.madePlan(ctx, x.peer, n)
		if err != nil {
			return err
		}
		if err := x.publish(ctx, p, true, why); err != nil {
			return err
		}
	}
	return nil
}

// publish makes the plan's file, gives it its name and records it.
func (x *exporter) publish(ctx context.Context, p *plan, again bool, why string) error {
	if err := x.Log.Writable(ctx); err != nil {
		return err
	}
	e, said, err := x.write(ctx, p)
	if err == nil {
		e.Again, e.Why = again, why
		err = x.record(ctx, p, e, said)
	}
	if err != nil {
		return fmt.Errorf("export bundle %d for %s: %w; nothing was lost, the next export makes the same bundle", p.Seq, x.peer, err)
	}
	x.out = append(x.out, e)
	return nil
}

func (x *exporter) write(ctx context.Context, p *plan) (Exported, said, error) {
	said, l, err := x.say(ctx, x.peer)
	if err != nil {
		return Exported{}, said, err
	}
	e := Exported{Kind: bundle.Data, Peer: p.Peer, Seq: p.Seq, After: p.After, Through: p.Through, Events: p.Events, Withheld: p.Withheld}
	payload := tmpDir + "/" + payloadName(p.Peer, strconv.FormatInt(p.Seq, 10))
	content, err := x.writePayload(ctx, l, p, payload)
	defer func() { _ = x.Folders.remove(payload) }() // scratch: a later run overwrites it
	if err != nil {
		return Exported{}, said, err
	}
	err = x.seal(ctx, content.Manifest(), max(l.Out.Seq, p.Seq), said, payload, 0, &e)
	return e, said, err
}

// seal signs a manifest and publishes the file of it and a payload.
func (x *exporter) seal(ctx context.Context, m bundle.Manifest, last int64, said said, payload string, beacon int, e *Exported) error {
	head, err := x.Log.Head(ctx)
	if err != nil {
		return err
	}
	m.Head, m.Ack, m.CreatedAt = bundle.Head{Position: head.Pos, Seq: last}, said.ack, bundle.FormatTime(time.Now())
	e.ID = m.Core.ID()
	e.File = bundle.NameFor(m.Core, beacon, m.Encryption != nil).String()
	told := headLink{Incarnation: said.ack.Incarnation, No: said.ack.No, Applied: said.ack.Position}
	if err := x.Folders.leaving(ctx, head, x.peer, told); err != nil {
		return err
	}
	e.Bytes, err = x.writeFile(said.sign, m, payload, e.File)
	return err
}

// record moves the link's cursor and notes the export in the log, unless
// somebody else has become the exporter meanwhile.
func (x *exporter) record(ctx context.Context, p *plan, e Exported, said said) error {
	err := pgx.BeginFunc(ctx, x.Pool, func(tx pgx.Tx) error {
		l, err := x.published(ctx, tx, e.File, said, func(l *Link) {
			if p.Seq > l.Out.Seq {
				l.Out.Seq, l.Out.Through, l.Out.Chain = p.Seq, p.Through, p.ChainThrough
			}
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE outbound_bundles SET id = $4, file = $5, bytes = $6, published_at = coalesce(published_at, clock_timestamp()),
			makings = makings + 1, made_at = clock_timestamp(), made_no = $7, made_heard = $8 WHERE peer = $1 AND epoch = $2 AND seq = $3`,
			p.Peer, p.Epoch, p.Seq, e.ID, e.File, e.Bytes, said.ack.No, said.heard())
		if err != nil {
			return err
		}
		_, err = x.Log.AppendTx(ctx, tx, eventstore.Append{Actor: x.operator, Writes: []eventstore.Write{{
			Stream: domain.BundleOutStream(p.Peer, l.Out.Epoch, p.Seq), Expected: eventstore.Any, Facts: []domain.Fact{e.fact()}}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("record the bundle: %w", err)
	}
	x.Logger.InfoContext(ctx, "bundle exported", "peer", e.Peer, "seq", e.Seq, "events", e.Events, "bytes", e.Bytes, "again", e.Again, "file", e.File)
	return nil
}
