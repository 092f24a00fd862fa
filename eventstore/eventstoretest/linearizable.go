package eventstoretest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Callers, and what each does. All are busy with the same few streams at a time,
// which are left before reading them becomes the work.
const (
	historians    = 32
	operations    = 8000
	hotStreams    = 4
	eachBeforeHot = 10
)

// asked is an operation on one stream.
type asked struct {
	stream   string
	reads    bool
	expected eventstore.Version
	value    string
}

// told is what came of it: the version, and what the stream held for a reader;
// for a conflict the version that stood in the way.
type told struct {
	held     held
	conflict bool
}

// held is a stream as the model knows it.
type held struct {
	version int64
	digest  uint64 // of its values, in their order
}

func (h held) with(value string) held {
	f := fnv.New64a()
	fmt.Fprintf(f, "%d %s", h.digest, value) // never fails
	return held{h.version + 1, f.Sum64()}
}

// register is what one stream is: a value that is only appended to, by those
// who know its version.
var register = porcupine.Model{
	Partition: byStream,
	Init:      func() any { return held{} },
	Step: func(state, input, output any) (bool, any) {
		h, a, o := state.(held), input.(asked), output.(told)
		fits := a.expected == eventstore.Any || int64(a.expected) == h.version
		switch {
		case a.reads:
			return o.held == h, h
		case o.conflict:
			return !fits && o.held.version == h.version, h
		}
		return fits && o.held.version == h.version+1, h.with(a.value)
	},
}

func byStream(history []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, o := range history {
		stream := o.Input.(asked).stream
		parts[stream] = append(parts[stream], o)
	}
	return slices.Collect(maps.Values(parts))
}

// linearizable has many callers append to and read the same streams through
// two stores, and has porcupine look for an order of what they did, stream by
// stream, in which each was told the truth.
func linearizable(t *testing.T, open func(testing.TB) *Site) {
	site := open(t)
	stores := []*eventstore.Store{site.Store, site.Another(t)}
	began := time.Now()
	histories := make([][]porcupine.Operation, historians)
	var all sync.WaitGroup
	for i := range histories {
		all.Go(func() {
			h := historian{site: site, store: stores[i%2], dice: rand.New(rand.NewPCG(uint64(i), 1)), known: map[string]int64{}} //nolint:gosec // a test's dice
			for n := range operations / historians {
				input := h.choose(n)
				call := time.Since(began)
				output, err := h.do(t, input)
				if err != nil {
					t.Error(err)
					return
				}
				histories[i] = append(histories[i], porcupine.Operation{ClientId: i, Input: input, Call: int64(call), Output: output, Return: int64(time.Since(began))})
			}
		})
	}
	all.Wait()
	history := slices.Concat(histories...)
	if found := porcupine.CheckOperationsTimeout(register, history, time.Minute); found != porcupine.Ok || len(history) != operations {
		t.Fatalf("%d operations: %s: no order of them explains what each was told", len(history), found)
	}
	if porcupine.CheckOperations(register, staled(history)) {
		t.Error("a reader who missed an append was not found out: this checks nothing")
	}
	Whole(t, site.Store)
}

// staled is a history with one reader who was told what was before the last
// append that it must have seen.
func staled(history []porcupine.Operation) []porcupine.Operation {
	history = slices.Clone(history)
	for i, o := range history {
		if was := o.Output.(told); o.Input.(asked).reads && was.held.version > 0 {
			was.held.version--
			history[i].Output = was
			break
		}
	}
	return history
}

// historian is one caller.
type historian struct {
	site  *Site
	store *eventstore.Store
	dice  *rand.Rand
	known map[string]int64 // the versions that it has seen
}

// choose draws the n-th operation. Mostly the caller expects the version that
// it saw last, which others have left behind by then or not.
func (h *historian) choose(n int) asked {
	a := asked{stream: domain.UsernameStream(fmt.Sprintf("h%d-%d", n/eachBeforeHot, h.dice.IntN(hotStreams))), value: strconv.FormatUint(h.dice.Uint64(), 36)}
	switch roll := h.dice.IntN(10); {
	case roll < 4:
		a.reads = true
	case roll < 5:
		a.expected = eventstore.Any
	default:
		a.expected = eventstore.Version(h.known[a.stream])
	}
	return a
}

func (h *historian) do(t *testing.T, a asked) (told, error) {
	if a.reads {
		records, err := h.store.ReadStream(t.Context(), a.stream)
		var read held
		for _, r := range records {
			read = read.with(r.Fact.(domain.UsernameClaimed).User)
		}
		h.known[a.stream] = read.version
		return told{held: read}, err
	}
	records, err := h.append(t, eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{
		{Stream: a.stream, Expected: a.expected, Facts: []domain.Fact{domain.UsernameClaimed{User: a.value}}}}})
	var conflict *eventstore.ConflictError
	switch {
	case errors.As(err, &conflict):
		h.known[a.stream] = conflict.Actual
		return told{conflict: true, held: held{version: conflict.Actual}}, nil
	case err != nil:
		return told{}, err
	}
	h.known[a.stream] = records[0].Ver
	return told{held: held{version: records[0].Ver}}, nil
}

// append takes the caller's own transaction once in a while.
func (h *historian) append(t *testing.T, a eventstore.Append) (records []eventstore.Record, err error) {
	if h.dice.IntN(40) > 0 {
		return h.store.Append(t.Context(), a)
	}
	err = pgx.BeginFunc(t.Context(), h.site.Pool, func(tx pgx.Tx) error {
		records, err = h.store.AppendTx(t.Context(), tx, a)
		return err
	})
	return records, err
}
