package eventstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

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
	const queued, more = 20, 50
	site := eventstoretest.New(t, eventstoretest.Setup{MaxQueued: queued})
	release := holdHead(t, site)
	defer release()
	running := []<-chan outcome{appendNew(t, site)}
	eventually(t, "the writer waits for the head", func() bool { return waitsForHead(t, site) == 1 })
	for range queued {
		running = append(running, appendNew(t, site))
	}
	eventually(t, "the queue is full", func() bool { return site.Store.Queued() == queued })
	for range more {
		if o := <-appendNew(t, site); !errors.Is(o.err, eventstore.ErrOverloaded) {
			t.Fatalf("while the head is held: %v", o.err)
		}
	}
	release()
	for _, r := range running {
		if o := <-r; o.err != nil {
			t.Error(o.err)
		}
	}
	if got := len(all(t, site.Store)); got != 1+1+queued {
		t.Errorf("%d events are stored, %d were acknowledged", got-1, 1+queued)
	}
}

func appendNew(t *testing.T, site *eventstoretest.Site) <-chan outcome {
	_, a := submitted(`{}`)
	return begin(t.Context(), site.Store, a)
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
