package bridge

import (
	"context"
	"fmt"

	"sallyport/bridge/bundle"
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
// the position through which it holds this site's log: the end of what it gives
// back, or else what it last acknowledged.
func (b *Bridge) undelivered(ctx context.Context, head eventstore.Head, sources map[string]*source) ([]Undelivered, error) {
	links, err := b.Links(ctx)
	if err != nil {
		return nil, err
	}
	all := []Undelivered{}
	for _, l := range links {
		held := l.holds(sources[l.Card.Name])
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

// holds is the last position of this site's log that a peer is known to hold.
func (l Link) holds(s *source) int64 {
	held := l.Out.AckedThrough
	if s != nil {
		for _, f := range s.files {
			held = max(held, f.core.Range.Through)
		}
	}
	return held
}

// nothingOnItsWay refuses a recovery while the outbox holds a bundle of the old
// log beyond what is here or what its peer gave back: carried later, it would
// take the peer past what the new log says of the old one.
func (b *Bridge) nothingOnItsWay(peer string, held int64) error {
	names, err := b.Folders.list(outboxDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		n, err := bundle.ParseName(name)
		if err != nil || n.Beacon > 0 || n.Epoch8 != b.Log.Epoch()[:8] || !n.Between(b.Log.Site(), peer) {
			continue
		}
		through, err := b.lastPosition(outboxDir + "/" + name)
		if err != nil {
			return fmt.Errorf("look into %s: %w; nothing was changed", name, err)
		}
		if through > held {
			return fmt.Errorf("outbox/%s holds positions through %d of the old log, and of what %s holds nothing is known beyond %d: it must not be carried any more; move it away and run this again; nothing was changed", name, through, peer, held)
		}
	}
	return nil
}

func (b *Bridge) lastPosition(path string) (int64, error) {
	f, err := openRegular(b.Folders.root, path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	file, err := bundle.Open(f, info.Size(), b.Limits)
	if err != nil {
		return 0, err
	}
	return file.Manifest().Core.Range.Through, nil
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
