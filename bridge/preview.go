package bridge

import (
	"context"
	"fmt"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
)

// Preview tells what [Bridge.Export] would write for a peer now, in order, and
// writes nothing. Bytes is the size of the last making, or before there was
// one, that of the lines uncompressed. File is empty: nothing has a name yet.
// What the export notes in the log of one bundle may be withheld in the next.
func (b *Bridge) Preview(ctx context.Context, peer string) ([]Exported, error) {
	l, err := b.link(ctx, b.Pool, peer, false)
	if err != nil {
		return nil, err
	}
	reason, err := b.refusal(ctx, l)
	if err != nil {
		return nil, err
	}
	if l.Stopped != "" {
		reason = l.Stopped
	}
	if reason != "" {
		return nil, fmt.Errorf("%w (%s): %s", ErrStopped, peer, reason)
	}
	again, err := b.previewAgain(ctx, l)
	if err != nil {
		return nil, err
	}
	due, err := b.previewNew(ctx, l)
	if due = append(again, due...); err != nil || len(due) > 0 {
		return due, err
	}
	_, why, err := b.beaconDue(ctx, l, link.ByHand)
	if err != nil || why == "" {
		return nil, err
	}
	return []Exported{{Kind: bundle.Beacon, Peer: peer, Seq: l.Out.Seq, After: l.Out.Through, Through: l.Out.Through, Why: why}}, nil
}

func (b *Bridge) previewAgain(ctx context.Context, l Link) ([]Exported, error) {
	wanted, changed, err := b.wanted(ctx, l)
	if err != nil {
		return nil, err
	}
	var due []Exported
	for i, n := range append(changed, wanted...) {
		p, err := b.madePlan(ctx, l.Card.Name, n)
		if err != nil {
			return nil, err
		}
		e := p.due(whyMissed)
		if i < len(changed) {
			e.Why = whyChanged
		}
		e.Again = true
		err = b.Pool.QueryRow(ctx, `SELECT bytes FROM outbound_bundles WHERE peer = $1 AND epoch = $2 AND seq = $3`, p.Peer, p.Epoch, p.Seq).Scan(&e.Bytes)
		if err != nil {
			return nil, fmt.Errorf("look up the size of bundle %d for %s: %w", n, l.Card.Name, err)
		}
		due = append(due, e)
	}
	return due, nil
}

// previewNew cuts what is new into bundles as an export would.
func (b *Bridge) previewNew(ctx context.Context, l Link) ([]Exported, error) {
	var due []Exported
	for {
		p, err := b.openPlan(ctx, l)
		if p == nil && err == nil {
			p, err = b.newPlan(ctx, l, "")
		}
		if err != nil || p == nil {
			return due, err
		}
		e := p.due(whyNew)
		if e.Bytes, err = b.plainBytes(ctx, p); err != nil {
			return due, err
		}
		due = append(due, e)
		l.Out.Seq, l.Out.Through, l.Out.Chain = p.Seq, p.Through, p.ChainThrough
	}
}

func (p *plan) due(why string) Exported {
	return Exported{Kind: bundle.Data, Peer: p.Peer, Seq: p.Seq, After: p.After, Through: p.Through, Events: p.Events, Withheld: p.Withheld, Why: why}
}

// plainBytes sums the lines that cross.
func (b *Bridge) plainBytes(ctx context.Context, p *plan) (sum int64, err error) {
	runs := p.Runs
	for line, err := range b.Log.Lines(ctx, p.After, p.Through) {
		if err != nil {
			return 0, err
		}
		for len(runs) > 0 && line.Pos > runs[0].Through {
			runs = runs[1:]
		}
		if len(runs) == 0 || line.Pos <= runs[0].After {
			sum += int64(len(line.Bytes)) + 1
		}
	}
	return sum, nil
}
