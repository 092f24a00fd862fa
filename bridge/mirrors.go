package bridge

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// VerifyLogs verifies this site's own log and the mirror of every peer's log,
// each epoch for itself: against their heads, against what the peers have signed
// of them in every manifest that was kept, and against the events' schemas. The
// own log comes first, and of each log the oldest epoch. Progress is told of
// events that were read; nil: nobody is.
func (b *Bridge) VerifyLogs(ctx context.Context, progress func(events int64)) ([]eventstore.Verified, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	witnessed, err := b.witnesses(ctx, links) // before the head, which they must not be ahead of
	if err != nil {
		return nil, err
	}
	origins := []string{b.Log.Site()}
	for _, l := range links {
		origins = append(origins, l.Card.Name)
	}
	var all []eventstore.Verified
	for _, origin := range origins {
		epochs, err := b.epochs(ctx, origin)
		if err != nil {
			return nil, err
		}
		for _, e := range epochs {
			v, err := b.Log.Verify(ctx, e, eventstore.Checks{Schema: b.fits, Witnesses: witnessed.of(e), Progress: progress})
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
	}
	return b.verifyRows(ctx, all)
}

// verifyRows adds what is wrong with the order of all logs together to the log
// that it shows in, if nothing was found there.
func (b *Bridge) verifyRows(ctx context.Context, all []eventstore.Verified) ([]eventstore.Verified, error) {
	rows, err := b.Log.VerifyRows(ctx)
	if err != nil || rows.OK {
		return all, err
	}
	for i, v := range slices.Backward(all) { // the present epoch is the last of its log
		if v.Origin == rows.Origin {
			if v.OK {
				all[i].OK, all[i].BadPosition, all[i].Problem = false, rows.BadPosition, rows.Problem
			}
			return all, nil
		}
	}
	return append(all, rows), nil // of a site that is no peer
}

func (b *Bridge) fits(eventType string, version int, data []byte) error {
	return b.Schemas.Validate(eventType, version, data)
}

// epoch is the present epoch of the peer's log, as far as it is mirrored. Of a
// log that was founded anew and of which nothing came yet it is empty.
func (l Link) epoch() eventstore.Epoch {
	return eventstore.Epoch{Origin: l.Card.Name, Epoch: l.In.Epoch, After: l.Start, Through: l.In.Through, Chain: eventstore.Hash(l.In.Chain)}
}

// witnesses are what peers have signed of logs, ours and their own, by epoch.
type witnesses struct {
	own     string
	byEpoch map[string][]eventstore.Witness
}

// of returns those of one epoch. A peer may well be ahead of what we hold of its
// own log; nobody can be ahead of ours.
func (w *witnesses) of(e eventstore.Epoch) []eventstore.Witness {
	all := w.byEpoch[e.Origin+" "+e.Epoch]
	eventstore.SortWitnesses(all)
	if e.Origin == w.own {
		return all
	}
	n, _ := slices.BinarySearchFunc(all, e.Through+1, func(w eventstore.Witness, pos int64) int { return int(min(max(w.Position-pos, -1), 1)) })
	return all[:n]
}

// witnesses reads every manifest that was kept. One whose signature is not by a
// key of the peer that is known here witnesses nothing.
func (b *Bridge) witnesses(ctx context.Context, links []Link) (*witnesses, error) {
	w := &witnesses{own: b.Log.Site(), byEpoch: map[string][]eventstore.Witness{}}
	for _, l := range links {
		ring, err := readKeyring(ctx, b.Pool, l.Card)
		if err != nil {
			return nil, err
		}
		rows, err := b.Pool.Query(ctx, `SELECT manifest FROM inbound_bundles WHERE peer = $1 ORDER BY epoch, seq`, l.Card.Name)
		if err != nil {
			return nil, fmt.Errorf("read the manifests of %s: %w", l.Card.Name, err)
		}
		var signed string
		_, err = pgx.ForEachRow(rows, []any{&signed}, func() error {
			if m, err := bundle.OpenManifest([]byte(signed), ring.ever); err == nil {
				w.hear(l.Card.Name, m)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the manifests of %s: %w", l.Card.Name, err)
		}
	}
	return w, nil
}

// hear takes in what a manifest says of its sender's log and of ours.
func (w *witnesses) hear(peer string, m bundle.Manifest) {
	if m.Core.Kind != bundle.Data {
		return
	}
	w.add(peer, m.Core.Epoch, m.Core.Range.Through, m.Core.Chain.Through, fmt.Sprintf("bundle %d of %s", m.Core.Seq, peer))
	if a := m.Ack; a != nil && a.Position > 0 {
		w.add(w.own, a.Epoch, a.Position, a.Chain, fmt.Sprintf("what %s has signed in its bundle %d", peer, m.Core.Seq))
	}
}

func (w *witnesses) add(origin, epoch string, position int64, chain bundle.Hash, by string) {
	key := origin + " " + epoch
	w.byEpoch[key] = append(w.byEpoch[key], eventstore.Witness{Position: position, Chain: eventstore.Hash(chain), By: by})
}

// ever finds any key of the sender that was believed at some time.
func (r Keyring) ever(id string) (ed25519.PublicKey, bool) {
	if key, ok := r.Card.Trust()(id); ok {
		return key, true
	}
	for _, k := range r.others {
		if keyID(k.Key) == id {
			_, key, err := bundle.ParseVerifierKey(k.Key)
			return key, err == nil
		}
	}
	return nil, false
}
