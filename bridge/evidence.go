package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/domain"
	"sallyport/eventstore"
)

// ErrNoEvidence is returned for a request of which this site has no event.
var ErrNoEvidence = errors.New("this site has no event of the request")

// Evidence makes one file that shows a request, its answer and how they crossed,
// see [evidence]. It is checked before it is given.
//
// This site's own events are shown up to the chain that a peer acknowledged; a
// peer's, up to the end of the signed bundle that brought them.
func (b *Bridge) Evidence(ctx context.Context, request string) ([]byte, error) {
	m := &evidenceMaker{Bridge: b, seen: map[string]bool{}, made: evidence.Evidence{Site: b.Log.Site(), Request: request, CreatedAt: bundle.FormatTime(time.Now()),
		Crossings: []evidence.Crossing{}}}
	if err := m.find(ctx); err != nil {
		return nil, err
	}
	sign, err := b.signing(ctx, b.Pool)
	if err != nil {
		return nil, err
	}
	signers, err := sign.signers()
	if err != nil {
		return nil, err
	}
	file, err := m.made.Sign(signers...)
	if err != nil {
		return nil, err
	}
	trust, err := m.trust(ctx)
	if err == nil {
		_, err = evidence.Check(file, trust)
	}
	if err != nil {
		return nil, fmt.Errorf("the evidence does not prove itself, so it is not given; run `sallyport audit verify`: %w", err)
	}
	return file, nil
}

type evidenceMaker struct {
	*Bridge
	made evidence.Evidence
	own  []int64         // positions of this site's own events
	seen map[string]bool // ids of bundles that are shown
}

// find collects the segments, in the order in which this site stored the events.
func (m *evidenceMaker) find(ctx context.Context) error {
	for _, stream := range []string{domain.RequestStream(m.made.Request), domain.ResponseStream(m.made.Request)} {
		for e, err := range m.Log.Search(ctx, eventstore.Filter{Stream: stream}) {
			if err != nil {
				return err
			}
			event, err := e.Event()
			if err == nil {
				err = m.crossings(ctx, e.Origin, event.Pos)
			}
			if err != nil {
				return err
			}
			if e.Origin == m.made.Site {
				m.own = append(m.own, event.Pos)
			} else if err := m.mirrored(ctx, e.Origin, event.Pos); err != nil {
				return err
			}
		}
	}
	if err := m.ownSegments(ctx); err != nil {
		return err
	}
	if len(m.made.Segments) == 0 {
		return ErrNoEvidence
	}
	return m.knownKeys(ctx)
}

func (m *evidenceMaker) crossings(ctx context.Context, origin string, pos int64) error {
	carriers, err := m.Carriers(ctx, origin, pos)
	for _, c := range carriers {
		m.made.Crossings = append(m.made.Crossings, evidence.Crossing{Origin: origin, Position: pos, Direction: c.Direction, Peer: c.Peer, Seq: c.Seq, ID: c.ID, State: c.State})
	}
	return err
}
