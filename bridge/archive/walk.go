package archive

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sallyport/bridge/bundle"
)

// Walk follows the logs through an archive, line by line: each one's positions
// without a hole, and its chain. The zero value stands before the first line.
type Walk struct {
	logs    []Log
	present map[string]int // the place in logs of each site's present epoch
	// believing takes the first stand of each log for what the segment says that it
	// is, which only its signature vouches for.
	believing bool
}

// After is a walk for a segment alone: what its first lines say of the logs before
// it is believed.
func After(c bundle.Core) *Walk { return &Walk{believing: c.Range.After > 0} }

// Logs are how far each epoch of each log has got: those of one site first, the
// others by name, the epochs of each in their order.
func (w *Walk) Logs(first string) []Log {
	logs := slices.Clone(w.logs)
	slices.SortStableFunc(logs, func(a, b Log) int {
		return cmp.Or(-cmpBool(a.Origin == first, b.Origin == first), cmp.Compare(a.Origin, b.Origin))
	})
	return logs
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Of is how far the present epoch of a site's log has got.
func (w *Walk) Of(origin string) (Log, bool) {
	i, known := w.present[origin]
	if !known {
		return Log{}, false
	}
	return w.logs[i], true
}

// Stands are what a segment begins with that goes on from here.
func (w *Walk) Stands() []Stand {
	var all []Stand
	for _, origin := range slices.Sorted(maps.Keys(w.present)) {
		all = append(all, w.logs[w.present[origin]].Stand)
	}
	return all
}

// Clone is a walk that goes on by itself.
func (w *Walk) Clone() *Walk {
	return &Walk{logs: slices.Clone(w.logs), present: maps.Clone(w.present), believing: w.believing}
}

// Take goes on over a line. A line that does not follow is damage.
func (w *Walk) Take(l Line) error {
	switch {
	case l.Stand != nil:
		return w.stand(*l.Stand)
	case l.Withheld != nil:
		return w.run(*l.Withheld)
	case l.Entry != nil:
		return w.entry(l.Entry)
	}
	return nil
}

func (w *Walk) stand(s Stand) error {
	now, known := w.Of(s.Origin)
	switch begins := s.Chain == bundle.Start(s.Epoch, s.Origin); {
	case known && s == now.Stand:
		return nil
	case !known && !begins && !w.believing:
		return damage("the log of %s begins at position %d with a chain that is not its epoch's first", s.Origin, s.After)
	case known && (s.Epoch == now.Epoch || s.After < now.After || !begins):
		return damage("the log of %s stands at position %d with another chain or epoch than its lines lead to", s.Origin, s.After)
	}
	if w.present == nil {
		w.present = map[string]int{}
	}
	w.present[s.Origin] = len(w.logs)
	w.logs = append(w.logs, Log{Stand: s, Began: s.After})
	return nil
}

func (w *Walk) run(r Run) error {
	i, known := w.present[r.Origin]
	if !known || r.After != w.logs[i].After || r.Through <= r.After {
		return damage("positions %d to %d of %s are said to be withheld, and do not follow", r.After+1, r.Through, r.Origin)
	}
	now := &w.logs[i]
	now.After, now.Chain, now.Withheld = r.Through, r.Chain, now.Withheld+r.Through-r.After
	return nil
}

func (w *Walk) entry(e *bundle.Entry) error {
	i, known := w.present[e.Origin]
	if pos := e.Line.Event.Pos; !known || pos != w.logs[i].After+1 {
		return damage("seq %d is position %d of %s, which does not follow from the line before", e.Seq, pos, e.Origin)
	}
	now := &w.logs[i]
	now.After, now.Chain, now.Events = e.Line.Event.Pos, now.Chain.Next(e.Line.Raw), now.Events+1
	return nil
}

func damage(format string, args ...any) error {
	return &bundle.Error{Code: bundle.Damaged, Msg: fmt.Sprintf(format, args...)}
}
