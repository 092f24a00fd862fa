package refusals_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/api/refusals"
	"sallyport/domain"
)

// trail is an audit trail in memory.
type trail struct {
	mu     sync.Mutex
	events []domain.LoginRefused
	broken bool
}

func (l *trail) record(_ context.Context, facts []domain.LoginRefused) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return errors.New("the database is away")
	}
	l.events = append(l.events, facts...)
	return nil
}

func (l *trail) counts() (events, refusals int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		refusals += e.Count
	}
	return len(l.events), refusals
}

func (l *trail) setBroken(b bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = b
}

// begin runs a recorder in a bubble; end stops it and waits.
func begin(t *testing.T, l *trail) (r *refusals.Recorder, end func()) {
	t.Helper()
	r = refusals.New(refusals.Config{Record: l.record, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func refused(name, ip string) domain.LoginRefused {
	return domain.RefuseLogin(name, ip, domain.RefusedWrongPassword, "curl", 1)
}

func want(t *testing.T, l *trail, events, refusals int) {
	t.Helper()
	if e, n := l.counts(); e != events || n != refusals {
		t.Errorf("%d events for %d refusals, want %d for %d", e, n, events, refusals)
	}
}

func TestOneEventAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &trail{}
		r, end := begin(t, l)
		for range 10 {
			r.Refused(t.Context(), refused("alice", "192.0.2.1"))
		}
		want(t, l, 1, 1)
		r.Refused(t.Context(), refused("alice", "192.0.2.2"))
		r.Refused(t.Context(), refused("bob", "192.0.2.1"))
		want(t, l, 3, 3)
		time.Sleep(time.Minute + 10*time.Second)
		want(t, l, 4, 12)
		if last := l.events[3]; last.Username != "alice" || last.Count != 9 || last.IP != "192.0.2.1" || last.UserAgent != "curl" {
			t.Errorf("%+v", last)
		}
		for range 3 {
			r.Refused(t.Context(), refused("alice", "192.0.2.1"))
		}
		want(t, l, 4, 12) // within a minute of the second event
		end()
		want(t, l, 5, 15) // nothing is lost at the end
	})
}

// However many names and addresses are tried, the events stay few and every
// refusal is counted.
func TestAFloodIsFewEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &trail{}
		r, end := begin(t, l)
		for i := range 1000 {
			r.Refused(t.Context(), refused(fmt.Sprintf("user-%d", i), "192.0.2.1"))
		}
		if e, _ := l.counts(); e > 20 {
			t.Errorf("%d events of one address", e)
		}
		for i := range 1000 {
			r.Refused(t.Context(), refused("alice", fmt.Sprintf("2001:db8::%x", i)))
		}
		if e, _ := l.counts(); e > 201 {
			t.Errorf("%d events of all addresses", e)
		}
		end()
		if _, n := l.counts(); n != 2000 {
			t.Errorf("%d of 2000 refusals were recorded", n)
		}
	})
}

func TestWhatCannotBeRecordedIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &trail{broken: true}
		r, end := begin(t, l)
		for range 5 {
			r.Refused(t.Context(), refused("alice", "192.0.2.1"))
		}
		time.Sleep(10 * time.Minute)
		want(t, l, 0, 0)
		l.setBroken(false)
		time.Sleep(2 * time.Minute)
		want(t, l, 1, 5)
		end()
	})
}

// A password that was typed in the place of the name is not kept.
func TestWhatIsNoUsernameIsNotKept(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Correct Horse 7!", "", "x", "a\x00b"} {
		if r := refused(name, "192.0.2.1"); r.Username != "" {
			t.Errorf("%q was kept", r.Username)
		}
	}
}
