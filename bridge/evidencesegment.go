package bridge

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/domain"
	"sallyport/eventstore"
)

// mirrored shows a peer's event within the bundle that brought it. Others of the
// request in the same bundle are shown with it.
func (m *evidenceMaker) mirrored(ctx context.Context, origin string, pos int64) error {
	carriers, err := m.Carriers(ctx, origin, pos)
	if err != nil {
		return err
	}
	if len(carriers) == 0 {
		return fmt.Errorf("no bundle is known that brought position %d of %s", pos, origin)
	}
	c := carriers[0]
	if m.seen[c.ID] {
		return nil
	}
	m.seen[c.ID] = true
	var signed string
	err = m.Pool.QueryRow(ctx, `SELECT manifest FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND seq = $3 AND id = $4`,
		c.Peer, c.Epoch, c.Seq, c.ID).Scan(&signed)
	if err != nil {
		return fmt.Errorf("read the manifest of bundle %d of %s: %w", c.Seq, c.Peer, err)
	}
	kept, err := bundle.ReadManifest([]byte(signed))
	if err != nil {
		return err
	}
	e, err := m.epochAt(ctx, origin, pos)
	if err != nil {
		return err
	}
	// The first bundle of a log that was founded anew passes over the earlier
	// epochs without a step of the chain.
	core := kept.Core
	return m.segment(ctx, evidence.Segment{Origin: origin, Epoch: core.Epoch, After: max(core.Range.After, e.After), Chain: core.Chain.After,
		Through: core.Range.Through, End: core.Chain.Through, Manifest: signed})
}

// ownSegments shows this site's own events: each epoch of its log has a chain of
// its own.
func (m *evidenceMaker) ownSegments(ctx context.Context) error {
	epochs, err := m.epochs(ctx, m.made.Site)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		own := slices.DeleteFunc(slices.Clone(m.own), func(pos int64) bool { return pos <= e.After || pos > e.Through })
		if len(own) == 0 {
			continue
		}
		if err := m.ownSegment(ctx, e, slices.Min(own), slices.Max(own)); err != nil {
			return err
		}
	}
	return nil
}

// ownSegment shows those of one epoch, up to the first chain value behind them that
// a peer has signed; if there is none, up to the last of them.
func (m *evidenceMaker) ownSegment(ctx context.Context, e eventstore.Epoch, first, last int64) error {
	chain, err := m.chainIn(ctx, m.Pool, e.Epoch, e.After, first-1)
	if err != nil {
		return err
	}
	s := evidence.Segment{Origin: m.made.Site, Epoch: e.Epoch, After: first - 1, Chain: chain, Through: last}
	if err := m.acknowledged(ctx, &s, e.Through); err != nil {
		return err
	}
	if s.Manifest == "" {
		if s.End, err = m.chainIn(ctx, m.Pool, e.Epoch, e.After, last); err != nil {
			return err
		}
	}
	return m.segment(ctx, s)
}

// acknowledged ends the segment at the first acknowledgement behind it of what the
// log still holds of the epoch.
func (m *evidenceMaker) acknowledged(ctx context.Context, s *evidence.Segment, held int64) error {
	peers, err := m.peerRings(ctx)
	if err != nil {
		return err
	}
	last := s.Through
	for _, ring := range peers {
		rows, err := m.Pool.Query(ctx, `SELECT manifest FROM inbound_bundles WHERE peer = $1 ORDER BY received_at`, ring.Card.Name)
		if err != nil {
			return fmt.Errorf("read the manifests of %s: %w", ring.Card.Name, err)
		}
		var signed string
		_, err = pgx.ForEachRow(rows, []any{&signed}, func() error {
			kept, err := bundle.OpenManifest([]byte(signed), ring.ever)
			if a := kept.Ack; err == nil && kept.Core.Kind == bundle.Data && a != nil && a.Epoch == s.Epoch && last <= a.Position && a.Position <= held &&
				(s.Manifest == "" || a.Position < s.Through) {
				s.Through, s.End, s.Manifest = a.Position, a.Chain, signed
			}
			return nil // what is signed by a key that is not known shows nothing
		})
		if err != nil {
			return fmt.Errorf("read the manifests of %s: %w", ring.Card.Name, err)
		}
	}
	return nil
}

// segment fills in what the log has and adds it. It begins with the first event
// of the request.
func (m *evidenceMaker) segment(ctx context.Context, s evidence.Segment) error {
	streams := []string{domain.RequestStream(m.made.Request), domain.ResponseStream(m.made.Request)}
	at, through := s.After, s.Through
	for at < through {
		lines, err := m.Log.ReadLines(ctx, s.Origin, at, through, eventstore.MaxPage)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if _, err = m.withheldRuns(ctx, &s, at, line.Pos-1); err != nil {
				return err
			}
			item := evidence.Item{Line: string(line.Bytes)}
			if !slices.Contains(streams, line.Stream) {
				digest := bundle.Hash(sha256.Sum256(line.Bytes))
				item = evidence.Item{Digest: &digest}
			}
			at = line.Pos
			if err := follow(&s, item, at); err != nil {
				return err
			}
		}
		if len(lines) == 0 {
			if at, err = m.withheldRuns(ctx, &s, at, through); err != nil {
				return err
			}
		}
	}
	m.made.Segments = append(m.made.Segments, s)
	return nil
}

// withheldRuns takes in the runs that fill a hole between two lines.
func (m *evidenceMaker) withheldRuns(ctx context.Context, s *evidence.Segment, at, through int64) (int64, error) {
	for at < through {
		runs, err := m.Log.ReadWithheld(ctx, s.Origin, at, 1)
		if err != nil {
			return at, err
		}
		if len(runs) == 0 || runs[0].After != at || runs[0].Through > through {
			return at, &eventstore.GapError{Want: at + 1, Got: through + 1}
		}
		chain := bundle.Hash(runs[0].Chain)
		at = runs[0].Through
		if err := follow(s, evidence.Item{Withheld: at - runs[0].After, Chain: &chain}, at); err != nil {
			return at, err
		}
	}
	return at, nil
}

var errTooLong = errors.New("too much lies between the request and what proves it for one file; ask the site where its events were written")

// follow adds what the log has up to at. What comes before the first line that
// is shown only moves the beginning.
func follow(s *evidence.Segment, item evidence.Item, at int64) error {
	if len(s.Items) == evidence.MaxItems {
		return errTooLong
	}
	if len(s.Items) > 0 || item.Line != "" {
		s.Items = append(s.Items, item)
		return nil
	}
	s.After = at
	if item.Digest != nil {
		s.Chain = s.Chain.NextDigest(*item.Digest)
	} else {
		s.Chain = *item.Chain
	}
	return nil
}

// knownKeys tells which keys this site knows of itself and of its peers.
func (m *evidenceMaker) knownKeys(ctx context.Context) (err error) {
	m.made.Keys, err = m.allKeys(ctx)
	return err
}

// allKeys are the public keys that this site knows of itself and of its peers.
func (b *Bridge) allKeys(ctx context.Context) ([]evidence.Key, error) {
	own, err := b.Keyring(ctx, b.Log.Site())
	if err != nil {
		return nil, err
	}
	peers, err := b.peerRings(ctx)
	if err != nil {
		return nil, err
	}
	var keys []evidence.Key
	for _, ring := range append([]Keyring{own}, peers...) {
		name := ring.Card.Name
		keys = append(keys, evidence.Key{Site: name, Key: ring.Card.Key, State: "present"})
		for _, k := range ring.others {
			keys = append(keys, evidence.Key{Site: name, Key: k.Key, State: k.State})
		}
	}
	return keys, nil
}

// trust knows every key of this site and its peers that was good at some time.
func (m *evidenceMaker) trust(ctx context.Context) (bundle.Trust, error) {
	own, err := m.ownTrust(ctx)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, k := range m.made.Keys {
		keys = append(keys, k.Key)
	}
	peers := trustOf(keys)
	return func(id string) (ed25519.PublicKey, bool) {
		if key, ok := own(id); ok {
			return key, true
		}
		return peers(id)
	}, nil
}
