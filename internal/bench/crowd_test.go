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

func TestPgbenchMeasuresSomething(t *testing.T) {
	t.Parallel()
	runs := 0
	rate, err := tpsOf(func() (string, error) {
		if runs++; runs == 1 {
			return "duration: 1 s\nnumber of transactions actually processed: 0\n", nil
		}
		return "number of transactions actually processed: 12\ntps = 11.5 (without initial connection time)\n", nil
	})
	if err != nil || rate != 11.5 || runs != 2 {
		t.Errorf("%v a second in %d runs, %v", rate, runs, err)
	}
	if _, err := tpsOf(func() (string, error) { return "", nil }); err == nil {
		t.Error("silence is a measurement")
	}
}
