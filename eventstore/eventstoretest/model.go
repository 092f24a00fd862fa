package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/eventstore"
)

// folded is what the log should be: the facts of each stream, in order.
type folded map[string][]domain.Fact

// apply adds all writes, or none and the conflict.
func (m folded) apply(writes []eventstore.Write) *eventstore.ConflictError {
	grown := folded{}
	for _, w := range writes {
		have := len(m[w.Stream]) + len(grown[w.Stream])
		if w.Expected != eventstore.Any && int(w.Expected) != have {
			return &eventstore.ConflictError{Stream: w.Stream, Expected: w.Expected, Actual: int64(have)}
		}
		grown[w.Stream] = append(grown[w.Stream], w.Facts...)
	}
	for stream, facts := range grown {
		m[stream] = append(m[stream], facts...)
	}
	return nil
}

// asTheModel runs random programs of appends, of both kinds, some with
// statements of their own, some rolled back, and compares each outcome and the
// streams at the end, read in both directions, with a fold in memory.
func asTheModel(t *testing.T, open func(testing.TB) *Site) {
	site := open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := folded{}
		for range rapid.IntRange(1, 12).Draw(rt, "appends") {
			step(t, rt, site, m, run)
		}
		for stream, facts := range m {
			records, err := site.Store.ReadStream(t.Context(), stream)
			if err != nil || len(records) != len(facts) {
				rt.Fatalf("%s holds %d events, want %d (%v)", stream, len(records), len(facts), err)
			}
			for i, r := range records {
				if r.Fact != facts[i] || r.Ver != int64(i)+1 {
					rt.Fatalf("%s version %d is %+v, want %+v", stream, i+1, r.Fact, facts[i])
				}
			}
			for e, err := range site.Store.Search(t.Context(), eventstore.Filter{Stream: stream, Backward: true}) {
				last := len(records) - 1
				if err != nil || last < 0 || e.Seq != records[last].Seq {
					rt.Fatalf("%s backward: seq %d with %d to come, %v", stream, e.Seq, last+1, err)
				}
				records = records[:last]
			}
			if len(records) > 0 {
				rt.Fatalf("%s backward: %d are missing", stream, len(records))
			}
		}
	})
	Whole(t, site.Store)
}

func step(t *testing.T, rt *rapid.T, site *Site, m folded, run int) {
	a := eventstore.Append{Actor: "user-1", Writes: drawWrites(rt, m, run)}
	kind := rapid.SampledFrom([]string{"append", "with", "failing with", "tx", "rolled back tx"}).Draw(rt, "kind")
	meant := errors.New("meant to fail")
	switch kind {
	case "with", "tx":
		a.With = func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		}
	case "failing with":
		a.With = func(context.Context, pgx.Tx) error { return meant }
	}
	var err error
	switch kind {
	case "tx", "rolled back tx":
		err = pgx.BeginFunc(t.Context(), site.Pool, func(tx pgx.Tx) error {
			if _, err := site.Store.AppendTx(t.Context(), tx, a); err != nil || kind == "tx" {
				return err
			}
			return meant
		})
	default:
		_, err = site.Store.Append(t.Context(), a)
	}
	judge(rt, m, a, kind, err, meant)
}

func judge(rt *rapid.T, m folded, a eventstore.Append, kind string, err, meant error) {
	if errors.Is(err, meant) && (kind == "failing with" || kind == "rolled back tx") {
		return
	}
	want := m.apply(a.Writes)
	var conflict *eventstore.ConflictError
	switch {
	case want == nil && (err != nil || kind == "failing with"):
		rt.Fatalf("%s: got %v, want it stored", kind, err)
	case want != nil && (!errors.As(err, &conflict) || *conflict != *want):
		rt.Fatalf("%s: got %v, want %v", kind, err, want)
	}
}

// drawWrites draws one to three writes to few streams, mostly with the version
// that they have.
func drawWrites(rt *rapid.T, m folded, run int) []eventstore.Write {
	var writes []eventstore.Write
	grown := map[string]int{}
	for range rapid.IntRange(1, 3).Draw(rt, "writes") {
		stream := fmt.Sprintf("username-%d-%d", run, rapid.IntRange(0, 2).Draw(rt, "stream"))
		have := len(m[stream]) + grown[stream]
		w := eventstore.Write{Stream: stream, Expected: rapid.SampledFrom([]eventstore.Version{
			eventstore.Version(have), eventstore.Version(have), eventstore.Any, eventstore.Version(have + 1), eventstore.NoStream}).Draw(rt, "expected")}
		for range rapid.IntRange(1, 2).Draw(rt, "facts") {
			w.Facts = append(w.Facts, domain.UsernameClaimed{User: fmt.Sprint(rapid.IntRange(0, 1000).Draw(rt, "fact"))})
		}
		grown[stream] += len(w.Facts)
		writes = append(writes, w)
	}
	return writes
}

// chained holds the chain, without a database, to what makes it a proof: any
// other line, order or number of lines leads to another value, there and
// everywhere behind, and what comes later changes nothing before.
func chained(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		lines := rapid.SliceOfNDistinct(rapid.SliceOf(rapid.Byte()), 2, 20, func(b []byte) string { return string(b) }).Draw(rt, "lines")
		at := rapid.IntRange(0, len(lines)-2).Draw(rt, "at")
		was := chain(lines)
		before, behind := lines[:at], lines[at+1:]
		for name, other := range map[string][][]byte{
			"edited":    slices.Concat(before, [][]byte{append([]byte("x"), lines[at]...)}, behind),
			"deleted":   slices.Concat(before, behind),
			"inserted":  slices.Concat(before, [][]byte{[]byte("one more")}, lines[at:]),
			"reordered": slices.Concat(before, [][]byte{lines[at+1], lines[at]}, lines[at+2:]),
		} {
			is := chain(other)
			for n := range min(len(was), len(is)) {
				if same := was[n] == is[n]; same != (n <= at) {
					rt.Fatalf("%s at line %d: the chain after %d lines is the same: %t", name, at+1, n, same)
				}
			}
			if is[len(is)-1] == was[len(was)-1] {
				rt.Fatalf("%s at line %d: the chain ends as it did", name, at+1)
			}
		}
	})
}

// chain gives the values before the first line and after each.
func chain(lines [][]byte) []eventstore.Hash {
	values := []eventstore.Hash{eventstore.Genesis(Epoch, "field")}
	for _, l := range lines {
		values = append(values, values[len(values)-1].Next(l))
	}
	return values
}
