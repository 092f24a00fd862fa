package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

const (
	writers   = 8
	writeLong = 2 * time.Second
)

// complete has eight writers in two stores append in all ways there are, some
// of which fail or are rolled back after they had the head, and one reader poll
// by seq. The reader must see every event once and in order, and the log hold
// exactly what was acknowledged.
//
// Beside them the same is done with a table whose order is a sequence, as
// stores commonly have it: there the reader misses what got its number early
// and was committed late.
func complete(t *testing.T, open func(testing.TB) *Site) {
	site := open(t)
	aSequenceSkips(t, site)
	stores := []*eventstore.Store{site.Store, site.Another(t)}
	acknowledged := make([][]string, writers)
	end := time.Now().Add(writeLong)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(w), 2)) //nolint:gosec // a test's dice
			for n := 0; time.Now().Before(end); n++ {
				for _, r := range appendSomehow(t, stores[w%2], site, dice, fmt.Sprintf("username-w%d-%d", w, n)) {
					acknowledged[w] = append(acknowledged[w], r.ID)
				}
			}
		})
	}
	stop := make(chan struct{})
	seen := make(chan []string, 1)
	go func() { seen <- poll(t, site.Store, stop) }()
	all.Wait()
	close(stop)
	var stored []string
	for _, r := range Whole(t, site.Store) {
		stored = append(stored, r.ID)
	}
	if read := <-seen; !slices.Equal(read, stored) {
		t.Errorf("the reader saw %d events, not the %d stored, in their order", len(read), len(stored))
	}
	acked := slices.Concat(acknowledged...)
	t.Logf("%d events were acknowledged in %s", len(acked), writeLong)
	if slices.Sort(acked); !slices.Equal(acked, slices.Sorted(slices.Values(stored[1:]))) { // the first is the founding one
		t.Errorf("%d events were acknowledged, %d are stored", len(acked), len(stored)-1)
	}
}

// appendSomehow appends in one of the ways there are, and returns what was
// acknowledged.
func appendSomehow(t *testing.T, s *eventstore.Store, site *Site, dice *rand.Rand, stream string) []eventstore.Record {
	a := eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{{Stream: stream,
		Facts: []domain.Fact{domain.UsernameClaimed{User: "1"}, domain.UsernameClaimed{User: "2"}}}}}
	wanted := errors.New("this append is meant to fail")
	switch dice.IntN(6) {
	case 0:
		a.With = func(context.Context, pgx.Tx) error { return wanted }
	case 1:
		a.Writes[0].Expected = 3
	case 2: // rolled back after the head was locked
		err := pgx.BeginFunc(t.Context(), site.Pool, func(tx pgx.Tx) error {
			_, err := s.AppendTx(t.Context(), tx, a)
			return errors.Join(err, wanted)
		})
		if !errors.Is(err, wanted) {
			t.Error(err)
		}
		return nil
	case 3:
		a.With = func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		}
	}
	records, err := s.Append(t.Context(), a)
	var conflict *eventstore.ConflictError
	if err != nil && !errors.Is(err, wanted) && !errors.As(err, &conflict) {
		t.Error(err)
	}
	return records
}

// poll reads the log's events by seq until told to stop and the end is reached.
func poll(t *testing.T, s *eventstore.Store, stop <-chan struct{}) (ids []string) {
	for {
		last := false
		select {
		case <-stop:
			last = true
		default:
		}
		records, err := s.Read(t.Context(), int64(len(ids)), 100)
		if err != nil {
			t.Error(err)
			return ids
		}
		for _, r := range records {
			ids = append(ids, r.ID)
		}
		if last && len(records) == 0 {
			return ids
		}
	}
}

// aSequenceSkips shows what the reader would miss of a table that is ordered by
// a sequence: one of two writers takes a number, the other takes the next one
// and commits, the reader goes past it, and the first commits.
func aSequenceSkips(t *testing.T, site *Site) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := site.Owner.Exec(ctx, `CREATE TABLE plain (seq bigserial PRIMARY KEY, line text)`)
	must(err)
	late, err := site.Owner.Begin(ctx)
	must(err)
	_, err = late.Exec(ctx, `INSERT INTO plain (line) VALUES ('late')`)
	must(err)
	_, err = site.Owner.Exec(ctx, `INSERT INTO plain (line) VALUES ('early')`)
	must(err)
	var seen []string
	var through int64
	read := func() {
		rows, err := site.Owner.Query(ctx, `SELECT seq, line FROM plain WHERE seq > $1 ORDER BY seq`, through)
		must(err)
		var line string
		_, err = pgx.ForEachRow(rows, []any{&through, &line}, func() error { seen = append(seen, line); return nil })
		must(err)
	}
	read()
	must(late.Commit(ctx))
	read()
	if !slices.Equal(seen, []string{"early"}) {
		t.Errorf("a reader of a plain sequence saw %q: it was to miss what was committed late", seen)
	}
}
