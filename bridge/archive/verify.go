package archive

import (
	"context"
	"fmt"
	"slices"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// Checks is what an archive is held against beside itself. The zero value is nothing.
type Checks struct {
	// Line says why a line may not be one of a site; nil: nobody does.
	Line func(origin string, e bundle.Line) error
	// Peers knows the keys of the peers, whose manifests witness what came from them
	// and what they had acknowledged; nil: nothing is witnessed.
	Peers bundle.Trust
	// Progress is told of events that were read; nil: nobody is.
	Progress func(events int64)
}

// Verify reads every byte of the archive and follows every chain from its
// beginning to where the index says that it ends, for each epoch of each log as
// [eventstore.Store.Verify] does.
func (a *Archive) Verify(ctx context.Context, c Checks) ([]eventstore.Verified, error) {
	v := &verification{checks: c, witnesses: map[place][]witness{}, witnessed: map[string]int64{}}
	if c.Peers != nil {
		if err := v.hearWitnesses(ctx, a); err != nil {
			return nil, err
		}
	}
	w := &Walk{}
	for i, s := range a.Segments {
		for l, err := range a.segment(ctx, i, w) {
			if err == nil {
				err = v.take(l, w)
			}
			if err != nil {
				return nil, s.wrap(err)
			}
		}
		if c.Progress != nil {
			c.Progress(s.Through - s.After)
		}
	}
	return v.ends(a, w)
}

// place is a position of one epoch of a log.
type place struct {
	origin, epoch string
	position      int64
}

// witness is what a peer has signed of a place.
type witness struct {
	chain bundle.Hash
	by    string
}

type verification struct {
	checks    Checks
	witnesses map[place][]witness
	witnessed map[string]int64 // by origin and epoch: places that were held against a witness
}

// hearWitnesses collects what peers have signed. What is signed by a key that is
// not known witnesses nothing.
func (v *verification) hearWitnesses(ctx context.Context, a *Archive) error {
	for l, err := range a.Lines(ctx, 0, a.end()) {
		if err != nil {
			return err
		}
		if l.Manifest == "" {
			continue
		}
		m, err := bundle.OpenManifest([]byte(l.Manifest), v.checks.Peers)
		if err != nil || m.Core.Kind != bundle.Data {
			continue
		}
		c := m.Core
		by := fmt.Sprintf("bundle %d of %s", c.Seq, c.From)
		v.hear(place{c.From, c.Epoch, c.Range.Through}, witness{c.Chain.Through, by})
		if ack := m.Ack; ack != nil && ack.Position > 0 {
			v.hear(place{a.Site, ack.Epoch, ack.Position}, witness{ack.Chain, "the acknowledgement in " + by})
		}
	}
	return nil
}

func (v *verification) hear(p place, w witness) { v.witnesses[p] = append(v.witnesses[p], w) }

// take checks a line, which the walk has taken, and where its log has got to by it.
func (v *verification) take(l Line, w *Walk) error {
	var origin string
	switch {
	case l.Entry != nil:
		origin = l.Entry.Origin
		if v.checks.Line != nil {
			if err := v.checks.Line(origin, l.Entry.Line); err != nil {
				return fmt.Errorf("seq %d: %w", l.Entry.Seq, err)
			}
		}
	case l.Withheld != nil:
		origin = l.Withheld.Origin
	default:
		return nil
	}
	now, _ := w.Of(origin)
	for _, seen := range v.witnesses[place{origin, now.Epoch, now.After}] {
		if seen.chain != now.Chain {
			return damage("the chain of %s at position %d is another than that of %s", origin, now.After, seen.by)
		}
		v.witnessed[origin+" "+now.Epoch]++
	}
	return nil
}

// ends holds what was found against what the index says.
func (v *verification) ends(a *Archive, w *Walk) ([]eventstore.Verified, error) {
	if !slices.Equal(a.Logs, w.Logs(a.Site)) {
		return nil, damage("the index does not say of every log where the segments lead to")
	}
	all := make([]eventstore.Verified, len(a.Logs))
	for i, log := range a.Logs {
		all[i] = eventstore.Verified{Origin: log.Origin, Epoch: log.Epoch, Through: log.After, Events: log.Events, Withheld: log.Withheld,
			Witnessed: v.witnessed[log.Origin+" "+log.Epoch], OK: true}
	}
	return all, nil
}
