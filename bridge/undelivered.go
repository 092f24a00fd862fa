package bridge

import (
	"context"

	"sallyport/eventstore"
)

// Undelivered is an event of a restored site that its log still holds and that
// never reached a peer. The log that is founded anew brings it to nobody: people
// must ask for it again.
type Undelivered struct {
	Peer     string `json:"peer"`
	Position int64  `json:"position"`
	Stream   string `json:"stream"`
	Type     string `json:"type"`
}

// maxUndelivered bounds the list for one peer.
const maxUndelivered = 1000

// undelivered lists, for each peer, what should have crossed to it and is after
// the position through which it holds this site's log, as it says itself with
// what it gives back, or else as it last acknowledged.
func (b *Bridge) undelivered(ctx context.Context, head eventstore.Head, sources map[string]*source) ([]Undelivered, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	all := []Undelivered{}
	for _, l := range links {
		held := l.Out.AckedThrough
		if s := sources[l.Card.Name]; s != nil {
			for _, f := range s.files {
				held = max(held, f.held)
			}
		}
		for most := len(all) + maxUndelivered; held < head.Pos && len(all) < most; {
			entries, err := b.ownEntries(ctx, held, head.Pos)
			if err != nil {
				return nil, err
			}
			if len(entries) == 0 {
				break // the rest was lost
			}
			crosses, err := b.crossing(ctx, entries, l.Card.Name)
			if err != nil {
				return nil, err
			}
			for i, e := range entries {
				if held = e.Pos; crosses[i] && len(all) < most {
					all = append(all, Undelivered{Peer: l.Card.Name, Position: e.Pos, Stream: e.Stream, Type: e.Type})
				}
			}
		}
	}
	return all, nil
}

// ownEntries is a page of this site's own log, which has holes once a recovery
// was begun: what was lost.
func (b *Bridge) ownEntries(ctx context.Context, after, through int64) ([]eventstore.Entry, error) {
	lines, err := b.Log.ReadLines(ctx, b.Log.Site(), after, through, eventstore.MaxPage)
	if err != nil {
		return nil, err
	}
	entries := make([]eventstore.Entry, len(lines))
	for i, l := range lines {
		entries[i] = eventstore.Entry{Pos: l.Pos, Stream: l.Stream, Type: l.Type, Size: int64(len(l.Bytes))}
	}
	return entries, nil
}
