package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A wait for those before counts: of a hundred a second, each of which takes
// longer than there is room for, the last wait long.
func TestSteadyCountsWaiting(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	room := make(chan struct{}, 1)
	join := func(context.Context) (member, error) {
		return member{leave: func() error { return nil }, ask: func() error {
			asked.Add(1)
			room <- struct{}{}
			defer func() { <-room }()
			<-time.After(5 * time.Millisecond)
			return nil
		}}, nil
	}
	p99, err := steady{perSecond: 500, lines: 64, measure: 200 * time.Millisecond}.p99(t.Context(), join)
	if err != nil || asked.Load() < 100 || p99 < 100 {
		t.Errorf("p99 of %d callers is %v ms, %v", asked.Load(), p99, err)
	}
}

func TestSteadyTellsWhatFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	join := func(context.Context) (member, error) {
		return member{leave: func() error { return nil }, ask: func() error { return broken }}, nil
	}
	if _, err := (steady{perSecond: 100, lines: 64, measure: 50 * time.Millisecond}).p99(t.Context(), join); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
