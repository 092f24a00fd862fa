package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// ErrBeyond is returned for a moment that the archive does not reach.
var ErrBeyond = errors.New("the archive does not reach so far")

func (a *Archive) beyond() error {
	last := a.Segments[len(a.Segments)-1]
	return fmt.Errorf("%w: it ends with seq %d, stored at %s; ask the site itself for what came later", ErrBeyond, last.Through, last.StoredTo)
}

// Search gives the events that a filter seeks, as [eventstore.Store.Search] does.
// Each segment is verified before anything of it is given.
func (a *Archive) Search(ctx context.Context, f eventstore.Filter) iter.Seq2[eventstore.Stored, error] {
	f.Through = cmp.Or(f.Through, a.end())
	switch {
	case f.Through > a.end():
		return func(yield func(eventstore.Stored, error) bool) { yield(eventstore.Stored{}, a.beyond()) }
	case f.Backward:
		return a.backward(ctx, f)
	}
	return a.forward(ctx, f)
}

func (a *Archive) forward(ctx context.Context, f eventstore.Filter) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for l, err := range a.Lines(ctx, f.After, f.Through) {
			switch {
			case err != nil:
				yield(eventstore.Stored{}, err)
				return
			case l.Entry == nil || l.Entry.Seq <= f.After || !sought(f, l.Entry):
				continue
			case l.Entry.Seq > f.Through:
				return
			}
			e := l.Entry
			if !yield(eventstore.Stored{Seq: e.Seq, Origin: e.Origin, StoredAt: e.StoredAt, Type: e.Line.Event.Type, Line: e.Line.Raw}, nil) {
				return
			}
		}
	}
}

// backward goes from the last segment to the first. A segment can only be read
// forward: of one that holds more of what is sought than is kept in memory, the
// newest part is given, and it is read again for the part before.
func (a *Archive) backward(ctx context.Context, f eventstore.Filter) iter.Seq2[eventstore.Stored, error] {
	return func(yield func(eventstore.Stored, error) bool) {
		for _, s := range slices.Backward(a.Segments) {
			part := f
			part.After, part.Through = max(f.After, s.After), min(f.Through, s.Through)
			for part.After < part.Through {
				newest, rest, err := a.newest(ctx, part)
				if err != nil {
					yield(eventstore.Stored{}, err)
					return
				}
				for _, e := range slices.Backward(newest) {
					if !yield(e, nil) {
						return
					}
				}
				part.Through = rest
			}
		}
	}
}

// newest are the last of what is sought, in their order, as many as are kept, and
// the seq through which there may be more.
func (a *Archive) newest(ctx context.Context, f eventstore.Filter) (all []eventstore.Stored, rest int64, err error) {
	rest = f.After
	bytes := 0
	for e, err := range a.forward(ctx, f) {
		if err != nil {
			return nil, 0, err
		}
		e.Line = slices.Clone(e.Line)
		all, bytes = append(all, e), bytes+len(e.Line)
		for bytes > a.kept && len(all) > 1 {
			rest, bytes = all[0].Seq, bytes-len(all[0].Line)
			all[0].Line = nil // all's array outlives it
			all = all[1:]
		}
	}
	return all, rest, nil
}

func sought(f eventstore.Filter, e *bundle.Entry) bool {
	event := &e.Line.Event
	for _, c := range [][2]string{{f.Stream, event.Stream}, {f.Type, event.Type}, {f.Origin, e.Origin}, {f.Actor, event.Actor}, {f.Corr, event.Corr}} {
		if c[0] != "" && c[0] != c[1] {
			return false
		}
	}
	return true
}

// Resolve returns a moment's seq; that of the last event for the zero value.
func (a *Archive) Resolve(ctx context.Context, m eventstore.Moment) (int64, error) {
	switch {
	case !m.At.IsZero():
		return a.seqAt(ctx, m.At)
	case m.Seq > a.end():
		return 0, a.beyond()
	}
	return cmp.Or(m.Seq, a.end()), nil
}

// Before returns the last seq before the moment.
func (a *Archive) Before(ctx context.Context, m eventstore.Moment) (int64, error) {
	if m.At.IsZero() {
		return m.Seq - 1, nil
	}
	return a.seqAt(ctx, m.At.Add(-time.Microsecond))
}

// seqAt looks through the last segment that begins by a time.
func (a *Archive) seqAt(ctx context.Context, at time.Time) (int64, error) {
	text, in := bundle.FormatTime(at), -1
	for i, s := range a.Segments {
		if s.StoredFrom <= text {
			in = i
		}
	}
	if in < 0 {
		return 0, nil
	}
	s := a.Segments[in]
	if in == len(a.Segments)-1 && s.StoredTo < text {
		return 0, a.beyond()
	}
	seq := s.After
	for l, err := range a.Lines(ctx, s.After, s.Through) {
		if err != nil {
			return 0, err
		}
		if l.Entry != nil && !l.Entry.StoredAt.After(at) {
			seq = l.Entry.Seq
		}
	}
	return seq, nil
}
