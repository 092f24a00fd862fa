package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who is answered by nobody for longer than is measured has no rate of 0, by
// which others would be divided.
func TestCrowdMeasuresUntilAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		join := func(context.Context) (member, error) {
			return member{ask: func() error {
				takes := 10 * time.Millisecond
				if asked.Add(1) == 1 {
					takes = time.Second
				}
				time.Sleep(takes)
				return nil
			}}, nil
		}
		rate, err := crowd{size: 1, measure: 105 * time.Millisecond}.rate(t.Context(), join)
		if err != nil || rate < 90 || rate > 100 {
			t.Errorf("%v a second, %v", rate, err)
		}
	})
}

func TestCrowdTellsWhatFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	join := func(context.Context) (member, error) {
		return member{ask: func() error { return broken }}, nil
	}
	if _, err := (crowd{size: 2, measure: time.Millisecond}).rate(t.Context(), join); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
