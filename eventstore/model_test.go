package eventstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// model is what the log should be: the facts of each stream, in order.
type model map[string][]domain.Fact

// apply adds all writes, or none and the conflict.
func (m model) apply(writes []eventstore.Write) *eventstore.ConflictError {
	grown := model{}
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

// TestTheLogFollowsTheModel runs random programs of appends, of both kinds,
// some with statements of their own, some rolled back, and compares each
// outcome and the streams at the end with a fold in memory.
func TestTheLogFollowsTheModel(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := model{}
		for range rapid.IntRange(1, 12).Draw(rt, "appends") {
			runStep(t, rt, site, m, run)
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
		}
	})
	all(t, site.Store)
}

func runStep(t *testing.T, rt *rapid.T, site *eventstoretest.Site, m model, run int) {
	a := eventstore.Append{Actor: "user-1", Writes: drawWrites(rt, m, run)}
	kind := rapid.SampledFrom([]string{"append", "with", "failing with", "tx", "rolled back tx"}).Draw(rt, "kind")
	meant := errors.New("meant to fail")
	switch kind {
	case "with", "tx":
		a.With = note(-1-run, nil)
		if _, err := site.Owner.Exec(t.Context(), `DELETE FROM scratch`); err != nil {
			rt.Fatal(err)
		}
	case "failing with":
		a.With = note(1, meant)
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

func judge(rt *rapid.T, m model, a eventstore.Append, kind string, err, meant error) {
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
func drawWrites(rt *rapid.T, m model, run int) []eventstore.Write {
	var writes []eventstore.Write
	grown := map[string]int{}
	for range rapid.IntRange(1, 3).Draw(rt, "writes") {
		stream := fmt.Sprintf("username-%d-%d", run, rapid.IntRange(0, 2).Draw(rt, "stream"))
		have := len(m[stream]) + grown[stream]
		w := eventstore.Write{Stream: stream, Expected: rapid.SampledFrom([]eventstore.Version{
			eventstore.Version(have), eventstore.Version(have), eventstore.Any, eventstore.Version(have + 1), eventstore.NoStream}).Draw(rt, "expected")}
		for range rapid.IntRange(1, 2).Draw(rt, "facts") {
			w.Facts = append(w.Facts, claim(rapid.IntRange(0, 1000).Draw(rt, "fact")))
		}
		grown[stream] += len(w.Facts)
		writes = append(writes, w)
	}
	return writes
}
