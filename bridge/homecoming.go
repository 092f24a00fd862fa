package bridge

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// homecoming merges what the peers give back into one log. Each holds what was
// meant for it and runs for the rest; at every position an event that anybody
// holds counts, and only what all withhold is lost.
//
//	one peer    e42  e43  ├── run ──┤  e46
//	another     ├─ run ─┤  e44  ├run┤  e46
//	the log     e42  e43   e44  lost   e46
type homecoming struct {
	bridge  *Bridge
	begin   eventstore.Head
	sources []*reading
	pos     int64
	chain   bundle.Hash
	check   Checker
	part    eventstore.Returned
	result  *Recovered
}

// reading is a source with the line that comes next.
type reading struct {
	peer string
	next func() (bundle.Line, error, bool)
	line *bundle.Line // nil: it has ended
}

// bringHome appends what the sources hold beyond the log's end, as far as they
// hold it without a hole.
func (b *Bridge) bringHome(ctx context.Context, head eventstore.Head, sources map[string]*source, r *Recovered) error {
	h := &homecoming{bridge: b, begin: head, pos: head.Pos, chain: bundle.Hash(head.Chain), result: r,
		check: Checker{From: head.Site, Role: head.Role, Schemas: b.Schemas}}
	for _, s := range sources {
		if err := h.agrees(ctx, s); err != nil {
			return err
		}
		next, stop := iter.Pull2(b.linesOf(ctx, s))
		defer stop()
		h.sources = append(h.sources, &reading{peer: s.peer, next: next, line: &bundle.Line{}})
	}
	for {
		more, err := h.step()
		if err != nil {
			return err
		}
		if len(h.part.Events)+len(h.part.Lost) >= applyChunk || !more {
			if err := h.store(ctx); err != nil {
				return err
			}
		}
		if !more {
			r.Through = h.pos
			return nil
		}
	}
}

// agrees sees that a source continues the very log that is here.
func (h *homecoming) agrees(ctx context.Context, s *source) error {
	first := s.files[0].core
	chain, err := h.bridge.chainAt(ctx, h.bridge.Pool, max(first.Range.After, h.begin.Start))
	if err == nil && chain != first.Chain.After {
		return h.diverged(s.peer, first.Range.After)
	}
	return err
}

func (h *homecoming) diverged(peer string, pos int64) error {
	return fmt.Errorf("what %s gives back does not continue the log that is here: events were written through position %d after the site was restored, which take the places of those that were lost. Restore the same backup once more, run `sallyport link restored` before anything else, and recover then; nothing was changed", peer, pos)
}

// linesOf gives the lines of a source, one file after the other.
func (b *Bridge) linesOf(ctx context.Context, s *source) iter.Seq2[bundle.Line, error] {
	return func(yield func(bundle.Line, error) bool) {
		for _, f := range s.files {
			a, err := b.openStaged(f.staged)
			if err != nil {
				yield(bundle.Line{}, err)
				return
			}
			more := a.linesAgain(ctx, yield)
			_ = a.file.Close() // it was only read
			if !more {
				return
			}
		}
	}
}

func (a *arrival) linesAgain(ctx context.Context, yield func(bundle.Line, error) bool) bool {
	if err := a.verify(ctx); err != nil {
		yield(bundle.Line{}, err)
		return false
	}
	for line, err := range a.bundle.Lines(ctx, a.bridge.Keys.Identity) {
		if !yield(line, err) || err != nil {
			return false
		}
	}
	return true
}

// end is the last position of a line.
func end(l *bundle.Line) int64 {
	if l.Withheld != nil {
		return l.Withheld.Through
	}
	return l.Event.Pos
}

// pass skips what the log holds already. Where a line ends as the log did when
// the recovery began, the two must agree.
func (h *homecoming) pass(s *reading) error {
	for s.line != nil && end(s.line) <= h.pos {
		line, err, more := s.next()
		if err != nil {
			return err
		}
		if s.line = &line; !more {
			s.line = nil
			return nil
		}
		if end(&line) == h.begin.Pos && line.Chain != bundle.Hash(h.begin.Chain) {
			return h.diverged(s.peer, h.begin.Pos)
		}
	}
	return nil
}

// step goes on by one event or one lost run; false when no source goes further.
func (h *homecoming) step() (more bool, err error) {
	var event, run *bundle.Line
	for _, s := range h.sources {
		if err := h.pass(s); err != nil {
			return false, err
		}
		switch {
		case s.line == nil:
		case s.line.Withheld == nil && s.line.Event.Pos == h.pos+1:
			if event != nil && !bytes.Equal(event.Raw, s.line.Raw) {
				return false, fmt.Errorf("the peers give back two different events at position %d, both signed by this site: its key was used twice; nothing is recovered until that is understood", h.pos+1)
			}
			event = s.line
		case s.line.Withheld != nil && s.line.Withheld.After <= h.pos && (run == nil || end(s.line) < end(run)):
			run = s.line
		}
	}
	switch {
	case event != nil:
		return true, h.add(event)
	case run != nil:
		h.lose(run)
		return true, nil
	default:
		return false, nil
	}
}

func (h *homecoming) add(line *bundle.Line) error {
	e, f, err := h.check.Check(*line)
	if err != nil {
		return err
	}
	h.part.Events, h.part.Facts, h.part.Lines = append(h.part.Events, e), append(h.part.Facts, f), append(h.part.Lines, line.Raw)
	h.pos, h.chain = e.Pos, line.Chain
	h.result.Events++
	return nil
}

func (h *homecoming) lose(run *bundle.Line) {
	through := end(run)
	h.part.Lost = append(h.part.Lost, eventstore.Withheld{After: h.pos, Through: through, Chain: eventstore.Hash(run.Chain)})
	h.result.Lost += through - h.pos
	h.pos, h.chain = through, run.Chain
}

// store appends what was gathered.
func (h *homecoming) store(ctx context.Context) error {
	if len(h.part.Events)+len(h.part.Lost) == 0 {
		return nil
	}
	h.part.Chain = eventstore.Hash(h.chain)
	if err := h.bridge.Log.TakeBack(ctx, h.part); err != nil {
		return err
	}
	h.part = eventstore.Returned{}
	return nil
}
