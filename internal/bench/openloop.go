package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// steady is callers that come at their own pace, whether or not those before
// them have been answered (an open loop): what waits behind a slow answer
// counts, as it does for people. The clock is the one of the scheduler that
// serves them too: a caller sets out up to a millisecond after it is due, half
// of one as a rule, which makes subject and limit more alike than they are.
type steady struct {
	perSecond int
	// lines is how many connections it may hold at a time. A caller that finds
	// none free waits, and its wait counts.
	lines         int
	warm, measure time.Duration
}

// p99 lets them come and returns the 99th percentile, in milliseconds, of the
// time from when each was due until its answer was there.
func (s steady) p99(ctx context.Context, join func(ctx context.Context) (member, error)) (float64, error) {
	free := make(chan member, s.lines)
	for range s.lines {
		m, err := join(ctx)
		if err != nil {
			return 0, fmt.Errorf("start a load: %w", err)
		}
		defer func() { _ = m.leave() }() // what it measured is not changed by how it ends
		free <- m
	}
	took, err := s.come(ctx, free)
	if err != nil {
		return 0, err
	}
	slices.Sort(took)
	return percentile(took, 0.99), nil
}

// percentile is that of sorted times, in milliseconds.
func percentile(sorted []time.Duration, p float64) float64 {
	return float64(sorted[int(math.Ceil(p*float64(len(sorted))))-1]) / float64(time.Millisecond)
}

// come lets each caller go at its time and returns how long those took that
// came after the warm-up.
func (s steady) come(ctx context.Context, free chan member) ([]time.Duration, error) {
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var all sync.WaitGroup
	begin := time.Now()
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(s.perSecond))
		if due.Sub(begin) > s.warm+s.measure {
			break
		}
		if err := until(ctx, due); err != nil {
			return nil, err
		}
		all.Go(func() {
			m := <-free
			err := m.ask()
			wait := time.Since(due)
			free <- m
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			if due.Sub(begin) >= s.warm {
				took = append(took, wait)
			}
		})
	}
	all.Wait()
	if failed != nil {
		return nil, failed
	}
	return took, nil
}

func until(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
