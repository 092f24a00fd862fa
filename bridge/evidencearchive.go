package bridge

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/evidence"
	"sallyport/domain"
)

// ArchivedEvidence makes the file that [Bridge.Evidence] makes, of what an archive
// holds and without a database. Trust knows the keys of the archive's site, one of
// which signs, and of its peers: a manifest by another key shows nothing.
//
// The archive is read twice: to find the events with what brought and acknowledged
// them, and to show what leads from the ones to the others.
func ArchivedEvidence(ctx context.Context, a *archive.Archive, request string, sign *bundle.Signer, trust bundle.Trust) ([]byte, error) {
	m := &archivedEvidence{archive: a, trust: trust, streams: []string{domain.RequestStream(request), domain.ResponseStream(request)},
		made: evidence.Evidence{Site: a.Site, Request: request, CreatedAt: bundle.FormatTime(time.Now()), Crossings: []evidence.Crossing{}}}
	for _, k := range a.Keys {
		m.made.Keys = append(m.made.Keys, evidence.Key(k))
	}
	for _, pass := range []func(context.Context) error{m.look, m.show} {
		if err := pass(ctx); err != nil {
			return nil, err
		}
	}
	file, err := m.made.Sign(sign)
	if err == nil {
		_, err = evidence.Check(file, trust)
	}
	if err != nil {
		return nil, fmt.Errorf("the evidence does not prove itself, so it is not given; run `sallyport audit verify --archive`: %w", err)
	}
	return file, nil
}

// archivedEvidence is evidence being made of an archive.
type archivedEvidence struct {
	archive *archive.Archive
	trust   bundle.Trust
	streams []string
	made    evidence.Evidence
	found   []archivedEvent
}

// archivedEvent is one of the request or its answer.
type archivedEvent struct {
	origin, epoch, typ string
	pos                int64
	end                bundle.Hash // the chain there
	shown              bool        // a manifest was found that its origin signed
}

// walk reads the archive and hands on each line with how far its log had got.
func (m *archivedEvidence) walk(ctx context.Context, each func(l archive.Line, before archive.Log, w *archive.Walk) error) error {
	w := &archive.Walk{}
	for l, err := range m.archive.Lines(ctx, 0, m.archive.Segments[len(m.archive.Segments)-1].Through) {
		if err != nil {
			return err
		}
		before, _ := w.Of(l.Origin())
		if err := w.Take(l); err != nil {
			return err
		}
		if err := each(l, before, w); err != nil {
			return err
		}
	}
	return nil
}

// look finds the events, and after each what carried, acknowledged and signed it.
func (m *archivedEvidence) look(ctx context.Context) error {
	err := m.walk(ctx, func(l archive.Line, before archive.Log, w *archive.Walk) error {
		if l.Manifest != "" {
			m.hear(l.Manifest)
		}
		if l.Entry == nil {
			return nil
		}
		e := l.Entry.Line.Event
		if slices.Contains(m.streams, e.Stream) {
			now, _ := w.Of(l.Entry.Origin)
			m.take(archivedEvent{origin: l.Entry.Origin, epoch: now.Epoch, typ: e.Type, pos: e.Pos, end: now.Chain})
		}
		if l.Entry.Origin == m.made.Site && len(m.found) > 0 {
			return m.crossed(e, before.Epoch)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(m.found) == 0 {
		return ErrNoEvidence
	}
	for _, e := range m.found {
		if e.origin != m.made.Site && !e.shown {
			return &bundle.Error{Code: bundle.Untrusted, Position: e.pos, Msg: fmt.Sprintf("no manifest is in the archive that brought position %d of %s and is signed by a key of the given cards: give the card of %[2]s", e.pos, e.origin)}
		}
	}
	return nil
}

// take notes an event. The own ones of an epoch are one segment, up to the last of
// them as long as no peer has acknowledged it.
func (m *archivedEvidence) take(e archivedEvent) {
	m.found = append(m.found, e)
	if e.origin != m.made.Site {
		return
	}
	for i, s := range m.made.Segments {
		if s.Origin == e.origin && s.Epoch == e.epoch {
			if s.Through < e.pos {
				m.made.Segments[i].Through, m.made.Segments[i].End, m.made.Segments[i].Manifest = e.pos, e.end, ""
			}
			return
		}
	}
	m.made.Segments = append(m.made.Segments, evidence.Segment{Origin: e.origin, Epoch: e.epoch, Through: e.pos, End: e.end})
}

// hear takes in a manifest that brought one of the events, or that acknowledges the
// own ones. The first acknowledgement behind them is the shortest way.
func (m *archivedEvidence) hear(signed string) {
	kept, err := bundle.OpenManifest([]byte(signed), m.trust)
	if err != nil || kept.Core.Kind != bundle.Data {
		return
	}
	c := kept.Core
	brought := false
	for i, e := range m.found {
		if e.origin == c.From && e.epoch == c.Epoch && c.Range.After < e.pos && e.pos <= c.Range.Through && !e.shown {
			m.found[i].shown, brought = true, true
		}
	}
	if brought {
		m.made.Segments = append(m.made.Segments, evidence.Segment{Origin: c.From, Epoch: c.Epoch, Through: c.Range.Through, End: c.Chain.Through, Manifest: signed})
	}
	ack := kept.Ack
	if ack == nil {
		return
	}
	for i, s := range m.made.Segments {
		if s.Origin == m.made.Site && s.Epoch == ack.Epoch && (s.Manifest == "" && ack.Position >= s.Through || s.Manifest != "" && ack.Position < s.Through && ack.Position >= m.lastOf(s)) {
			m.made.Segments[i].Through, m.made.Segments[i].End, m.made.Segments[i].Manifest = ack.Position, ack.Chain, signed
		}
	}
}

// lastOf is the last event of a segment.
func (m *archivedEvidence) lastOf(s evidence.Segment) (last int64) {
	for _, e := range m.found {
		if e.origin == s.Origin && e.epoch == s.Epoch {
			last = max(last, e.pos)
		}
	}
	return last
}

// crossed notes what the site's own events tell of bundles that carried the ones
// that were found.
func (m *archivedEvidence) crossed(e bundle.Event, epoch string) error {
	switch e.Type {
	case domain.BundleExported{}.EventType(), domain.BundleImported{}.EventType(), domain.BundleAcknowledged{}.EventType():
	default:
		return nil
	}
	fact, err := domain.Decode(domain.Event{Pos: e.Pos, ID: e.ID, Stream: e.Stream, Ver: e.Ver, Type: e.Type, Schema: int(e.Schema), At: e.At,
		Actor: e.Actor, Corr: e.Corr, Cause: e.Cause, Data: e.Data})
	if err != nil {
		return err
	}
	switch f := fact.(type) {
	case domain.BundleExported:
		for _, x := range m.found {
			if x.origin == m.made.Site && x.epoch == epoch && f.After < x.pos && x.pos <= f.Through && m.wentTo(f.Peer, x) {
				m.cross(evidence.Crossing{Origin: x.origin, Position: x.pos, Direction: "out", Peer: f.Peer, Seq: f.Seq, ID: f.ID, State: "exported"})
			}
		}
	case domain.BundleImported:
		for _, x := range m.found {
			if x.origin == f.Peer && f.After < x.pos && x.pos <= f.Through && e.Stream == domain.BundleInStream(f.Peer, x.epoch, f.Seq) {
				m.cross(evidence.Crossing{Origin: x.origin, Position: x.pos, Direction: "in", Peer: f.Peer, Seq: f.Seq, ID: f.ID, State: "applied"})
			}
		}
	case domain.BundleAcknowledged:
		for i, c := range m.made.Crossings {
			if c.Direction == "out" && c.Peer == f.Peer && c.Seq <= f.Seq && c.Position <= f.Position && m.ownIn(epoch, c.Position) {
				m.made.Crossings[i].State = "acknowledged"
			}
		}
	}
	return nil
}

// ownIn reports whether a position of this site's own log is of an epoch.
func (m *archivedEvidence) ownIn(epoch string, pos int64) bool {
	return slices.ContainsFunc(m.found, func(x archivedEvent) bool { return x.origin == m.made.Site && x.epoch == epoch && x.pos == pos })
}

// wentTo reports whether an event was not withheld from a peer: an answer goes to
// the one who asked.
func (m *archivedEvidence) wentTo(peer string, x archivedEvent) bool {
	k, _ := domain.KindOf(x.typ)
	return k.Crossing != domain.ToAsker || slices.ContainsFunc(m.found, func(asked archivedEvent) bool { return asked.origin == peer })
}

// cross adds a crossing unless it is known: a bundle may be made again.
func (m *archivedEvidence) cross(c evidence.Crossing) {
	if !slices.ContainsFunc(m.made.Crossings, func(k evidence.Crossing) bool {
		return k.ID == c.ID && k.Position == c.Position && k.Origin == c.Origin
	}) {
		m.made.Crossings = append(m.made.Crossings, c)
	}
}

// show fills in the segments: each begins with its first event.
func (m *archivedEvidence) show(ctx context.Context) error {
	return m.walk(ctx, func(l archive.Line, before archive.Log, w *archive.Walk) error {
		if l.Entry == nil && l.Withheld == nil {
			return nil
		}
		now, _ := w.Of(l.Origin())
		for i := range m.made.Segments {
			s := &m.made.Segments[i]
			if s.Origin != now.Origin || s.Epoch != now.Epoch || now.After > s.Through {
				continue
			}
			if err := m.add(s, l, before); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *archivedEvidence) add(s *evidence.Segment, l archive.Line, before archive.Log) error {
	var item evidence.Item
	switch {
	case l.Withheld != nil:
		item = evidence.Item{Withheld: l.Withheld.Through - l.Withheld.After, Chain: &l.Withheld.Chain}
	case slices.Contains(m.streams, l.Entry.Line.Event.Stream) && m.within(*s, l.Entry.Line.Event.Pos):
		item = evidence.Item{Line: string(l.Entry.Line.Raw)}
	default:
		digest := bundle.Hash(sha256.Sum256(l.Entry.Line.Raw))
		item = evidence.Item{Digest: &digest}
	}
	if len(s.Items) == 0 {
		if item.Line == "" {
			return nil
		}
		s.After, s.Chain = before.After, before.Chain
	}
	if len(s.Items) == evidence.MaxItems {
		return errTooLong
	}
	s.Items = append(s.Items, item)
	return nil
}

// within reports whether a segment shows the event at a position: of a mirror,
// only the events that its own bundle brought.
func (m *archivedEvidence) within(s evidence.Segment, pos int64) bool {
	if s.Origin == m.made.Site {
		return true
	}
	kept, err := bundle.ReadManifest([]byte(s.Manifest))
	return err == nil && kept.Core.Range.After < pos
}

// ReadSigner reads the key that signs for a site from its folder. It makes none.
func ReadSigner(keys, site string) (*bundle.Signer, error) {
	key, err := Keys{dir: keys}.readPresent()
	if err != nil {
		return nil, err
	}
	return bundle.NewSigner(site, key)
}
