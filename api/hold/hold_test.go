package hold_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/api/hold"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type link struct{ exported, acked atomic.Int64 }

func (l *link) now(context.Context) (int64, int64) { return l.exported.Load(), l.acked.Load() }

func setup(t *testing.T) (*hold.Room, *eventstoretest.Site, *link) {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: projections.Inline()})
	l := &link{}
	return hold.New(site.Store, site.Pool, l.now), site, l
}

func join(t *testing.T, r *hold.Room, user, request string) *hold.Waiter {
	t.Helper()
	w, ok := r.Join(t.Context(), user, request)
	if !ok {
		t.Fatal("there is no room")
	}
	t.Cleanup(w.Leave)
	return w
}

func woken(t *testing.T, w *hold.Waiter) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody woke it")
	}
}

func asleep(t *testing.T, w *hold.Waiter) {
	t.Helper()
	select {
	case <-w.C:
		t.Error("it was woken for nothing")
	default:
	}
}

func appended(t *testing.T, site *eventstoretest.Site, stream string, f domain.Fact) {
	t.Helper()
	if _, err := site.Store.Append(t.Context(), eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{
		{Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{f}}}}); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeWakesWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	room, site, _ := setup(t)
	for _, c := range []struct {
		stream string
		fact   domain.Fact
	}{
		{domain.RequestStream("a"), domain.RequestCancelled{}},
		{domain.RequestStream("a"), domain.RequestRetried{Failure: 1}},
		{domain.ResponseStream("a"), domain.ResponseStarted{Responder: "sql", Attempt: 1}},
		{domain.ResponseStream("a"), domain.ResponseRecorded{Status: "answered", Result: []byte(`1`), Responder: "sql"}},
		{domain.ResponseStream("a"), domain.ResponseFailed{Code: "x"}},
		{domain.ResponseStream("a"), domain.ResponseRetried{}},
		{domain.ResponseStream("a"), domain.ResponseWithdrawn{}},
	} {
		one, two, other := join(t, room, "u", "a"), join(t, room, "v", "a"), join(t, room, "u", "b")
		appended(t, site, c.stream, c.fact)
		woken(t, one)
		woken(t, two)
		asleep(t, other)
		one.Leave()
		one.Leave()
		two.Leave()
		other.Leave()
	}
}

// What another process stored wakes too: the log's growth is looked for.
func TestAnotherProcessWakes(t *testing.T) {
	t.Parallel()
	room, site, _ := setup(t)
	other, err := eventstore.Open(t.Context(), site.Pool, eventstore.Config{CheckLine: func([]byte) error { return nil }, Inline: projections.Inline()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	w := join(t, room, "u", "a")
	if _, err := other.Append(t.Context(), eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{
		{Stream: domain.RequestStream("a"), Facts: []domain.Fact{domain.RequestCancelled{}}}}}); err != nil {
		t.Fatal(err)
	}
	woken(t, w)
}

func TestTheLinkWakesWhatItWentPast(t *testing.T) {
	t.Parallel()
	room, _, link := setup(t)
	link.exported.Store(4)
	near, far, unsaid := join(t, room, "u", "a"), join(t, room, "u", "b"), join(t, room, "u", "c")
	near.At(5)
	far.At(6)
	link.exported.Store(5)
	woken(t, near)
	woken(t, unsaid) // it may have looked before the step and says only now where it is
	asleep(t, far)
	link.acked.Store(5)
	woken(t, near)
	asleep(t, far)
	link.acked.Store(6)
	woken(t, far)
}

func TestThereIsRoomForSoMany(t *testing.T) {
	t.Parallel()
	room, _, _ := setup(t)
	last := join(t, room, "u0", "a")
	for range hold.MaxOfUser - 1 {
		join(t, room, "u0", "a")
	}
	if _, ok := room.Join(t.Context(), "u0", "b"); ok {
		t.Error("one user waits more often than allowed")
	}
	last.Leave()
	join(t, room, "u0", "b")
	for n := hold.MaxOfUser; n < hold.MaxWaiters; n++ {
		join(t, room, string(rune('a'+n%100)), "a")
	}
	if _, ok := room.Join(t.Context(), "late", "a"); ok {
		t.Error("more wait than allowed")
	}
}
