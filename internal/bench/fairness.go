package bench

import (
	"context"
	"slices"
	"sync"
	"time"
)

// fairnessOfAppend measures how much longer than most of them the slowest of
// many callers wait: the 99th percentile and the median are of the same run.
func fairnessOfAppend(ctx context.Context, r *rig) (contest, error) {
	f := &fairness{rig: r}
	return contest{
		limitName: "the median of the same appends",
		subject:   func(ctx context.Context) (float64, error) { return f.percentile(ctx, 0.99) },
		limit:     func(ctx context.Context) (float64, error) { return f.percentile(ctx, 0.50) },
	}, r.settle(ctx, siteDatabase)
}

// manyCallers is how many are to be treated alike.
const manyCallers = 256

// fairness gives both sides of a pair what one run took.
type fairness struct {
	rig  *rig
	took []time.Duration // of the run that the other side of the pair is still to see
}

func (f *fairness) percentile(ctx context.Context, p float64) (float64, error) {
	took := f.took
	if f.took = nil; took == nil {
		var err error
		if took, err = f.run(ctx); err != nil {
			return 0, err
		}
		f.took = took
	}
	return percentile(took, p), nil
}

// run returns how long each append took, those while the crowd was warming up
// left out.
func (f *fairness) run(ctx context.Context) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	c := f.rig.crowd(manyCallers)
	begin := time.Now().Add(c.warm)
	_, err := c.rate(ctx, func(ctx context.Context) (member, error) {
		var own []time.Duration
		ask := func() error {
			asked := time.Now()
			_, err := f.rig.site.Log.Append(ctx, f.rig.site.request())
			if asked.After(begin) {
				own = append(own, time.Since(asked))
			}
			return err
		}
		leave := func() error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			return nil
		}
		return member{ask: ask, leave: leave}, nil
	})
	slices.Sort(all)
	return all, err
}
