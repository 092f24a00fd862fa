package eventstore_test

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
	"go.uber.org/goleak"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func TestCancelBeforeBeingTakenStoresNothing(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	release := holdHead(t, site)
	defer release()
	_, busy := submitted(`{}`)
	taking, cancelTaken := context.WithCancel(t.Context())
	taken := begin(taking, site.Store, busy)
	eventually(t, "the writer waits for the head", func() bool { return waitsForHead(t, site) == 1 })
	cancelTaken() // too late: it is on its way

	gaveUp := errors.New("the client gave up")
	waiting, cancel := context.WithCancelCause(t.Context())
	_, late := submitted(`{}`)
	withdrawn := begin(waiting, site.Store, late)
	eventually(t, "the append is queued", func() bool { return site.Store.Queued() == 1 })
	cancel(gaveUp)
	if o := <-withdrawn; !errors.Is(o.err, gaveUp) || o.records != nil {
		t.Errorf("got %+v, want the reason of the cancellation", o)
	}
	release()
	if o := <-taken; o.err != nil || len(o.records) != 1 {
		t.Errorf("what had been taken must be stored and said so: %+v", o)
	}
	_, next := submitted(`{}`)
	mustAppend(t, site.Store, next)
	if got := len(all(t, site.Store)); got != 3 {
		t.Errorf("%d events are stored, want 3", got)
	}
}

func TestCloseLetsTheQueueFinish(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	release := holdHead(t, site)
	defer release()
	_, first := submitted(`{}`)
	running := []<-chan outcome{begin(t.Context(), site.Store, first)}
	eventually(t, "the writer waits for the head", func() bool { return waitsForHead(t, site) == 1 })
	for range 19 {
		_, a := submitted(`{}`)
		running = append(running, begin(t.Context(), site.Store, a))
	}
	eventually(t, "the others are queued", func() bool { return site.Store.Queued() == 19 })
	closed := make(chan struct{})
	go func() {
		site.Store.Close()
		close(closed)
	}()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	eventually(t, "new appends are refused", func() bool {
		_, a := submitted(`{}`)
		_, err := site.Store.Append(cancelled, a)
		return errors.Is(err, eventstore.ErrClosed)
	})
	select {
	case <-closed:
		t.Fatal("closed before the queue was empty")
	default:
	}
	release()
	<-closed
	stored := 0
	for _, r := range running {
		switch o := <-r; {
		case o.err == nil:
			stored++
		default:
			t.Error(o.err)
		}
	}
	if got := len(all(t, site.Store)); got != 1+stored || stored != 20 {
		t.Errorf("%d events are stored, %d were acknowledged", got, stored)
	}
	site.Store.Close() // twice is no mistake
}

func TestCloseEndsEveryGoroutine(t *testing.T) {
	site := eventstoretest.New(t, eventstoretest.Setup{})
	before := goleak.IgnoreCurrent()
	s, err := eventstore.Open(t.Context(), site.Pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	_, a := submitted(`{}`)
	mustAppend(t, s, a)
	s.Close()
	goleak.VerifyNone(t, before)
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	release := holdHead(t, site)
	defer release()
	const callers = eventstore.MaxQueued + eventstore.MaxGroup + 50
	results := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			_, a := submitted(`{}`)
			_, err := site.Store.Append(t.Context(), a)
			results <- err
		})
	}
	for range 50 {
		if err := <-results; !errors.Is(err, eventstore.ErrOverloaded) {
			t.Fatalf("while the head is held: %v", err)
		}
	}
	release()
	wg.Wait()
	close(results)
	stored := 0
	for err := range results {
		switch {
		case err == nil:
			stored++
		case !errors.Is(err, eventstore.ErrOverloaded):
			t.Error(err)
		}
	}
	if got := len(all(t, site.Store)); got != 1+stored || stored < eventstore.MaxQueued {
		t.Errorf("%d events are stored, %d were acknowledged", got, stored)
	}
}

// TestWritersOfTwoProcessesLeaveNoGap: eight writers in two stores, whose
// appends fail in all ways at random, and one reader who polls by seq. The
// reader must see every event once and in order, and the log hold exactly
// what was acknowledged.
func TestWritersOfTwoProcessesLeaveNoGap(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	other, err := eventstore.Open(t.Context(), site.Pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const each = 60
	acknowledged := make(chan string, 8*each*3)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			s := []*eventstore.Store{site.Store, other}[w%2]
			dice := rand.New(rand.NewPCG(uint64(w), 2)) // #nosec G404 -- a test's dice
			for i := range each {
				for _, r := range appendSomehow(t, s, site, dice, fmt.Sprintf("username-w%d-%d", w, i)) {
					acknowledged <- r.ID
				}
			}
		})
	}
	stop := make(chan struct{})
	seen := make(chan []string, 1)
	go func() { seen <- poll(t, site.Store, stop) }()
	writers.Wait()
	close(stop)
	close(acknowledged)
	ids := <-seen
	var stored, acked []string
	for _, r := range all(t, site.Store) {
		stored = append(stored, r.ID)
	}
	for id := range acknowledged {
		acked = append(acked, id)
	}
	if !slices.Equal(ids, stored) {
		t.Errorf("the reader saw %d events, not the %d stored, in their order", len(ids), len(stored))
	}
	if slices.Sort(acked); !slices.Equal(acked, slices.Sorted(slices.Values(stored[1:]))) {
		t.Errorf("%d events were acknowledged, %d are stored", len(acked), len(stored)-1)
	}
}

// appendSomehow appends in one of the ways there are, some of which fail, and
// returns what was acknowledged.
func appendSomehow(t *testing.T, s *eventstore.Store, site *eventstoretest.Site, dice *rand.Rand, stream string) []eventstore.Record {
	a := write(eventstore.NoStream, stream, claim(1), claim(2))
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
		records, err := s.Read(t.Context(), int64(len(ids)), 7)
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

// TestALockedHeadIsNobodysFault: a group that cannot lock the head in time
// fails as one; it must not wait once for each of its appends.
func TestALockedHeadIsNobodysFault(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	if _, err := site.Owner.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = %L', current_database(), '300ms'); END $$`); err != nil {
		t.Fatal(err)
	}
	pool := poolWithout(t, site.AppURL, "lock_timeout")
	s, err := eventstore.Open(t.Context(), pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	release := holdHead(t, site)
	defer release()
	var running []<-chan outcome
	for range 100 {
		_, a := submitted(`{}`)
		running = append(running, begin(t.Context(), s, a))
	}
	started := time.Now()
	for _, r := range running {
		if o := <-r; o.err == nil {
			t.Error("stored while the head was held")
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("100 appends waited %s, want a few times 300 ms", took)
	}
}

func TestAppendersLeaveNoGap(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				_, a := submitted(`{"iata":"AMS"}`)
				if _, err := site.Store.Append(t.Context(), a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(all(t, site.Store)); got != 321 {
		t.Fatalf("stored %d events, want 321", got)
	}
}
