package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// crowd is a number of callers that each ask, wait for the answer, and ask
// again (a closed loop).
type crowd struct {
	size          int
	warm, measure time.Duration
}

// member is one caller.
type member struct {
	ask   func() error
	leave func() error // nil: nothing to give back
}

// rate lets a crowd ask and returns how many answers a second it got. A time in
// which a busy machine answered nobody says nothing and is measured again. The
// first error ends it.
func (c crowd) rate(ctx context.Context, join func(ctx context.Context) (member, error)) (float64, error) {
	members := make([]member, 0, c.size)
	defer func() {
		for _, m := range members {
			if m.leave != nil {
				_ = m.leave() // what it measured is not changed by how it ends
			}
		}
	}()
	for range c.size {
		m, err := join(ctx)
		if err != nil {
			return 0, fmt.Errorf("start a load: %w", err)
		}
		members = append(members, m)
	}
	for {
		if rate, err := c.run(ctx, members); err != nil || rate > 0 {
			return rate, err
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

func (c crowd) run(ctx context.Context, members []member) (float64, error) {
	var answers atomic.Int64
	begin := time.Now().Add(c.warm)
	end := begin.Add(c.measure)
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range members {
		group.Go(func() error {
			n, err := m.askUntil(ctx, begin, end)
			answers.Add(n)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(answers.Load()) / c.measure.Seconds(), nil
}

// askUntil returns how many answers came between begin and end.
func (m member) askUntil(ctx context.Context, begin, end time.Time) (int64, error) {
	for n := int64(0); ; {
		if err := m.ask(); err != nil {
			return n, err
		}
		switch now := time.Now(); {
		case now.After(end):
			return n, nil
		case ctx.Err() != nil:
			return n, context.Cause(ctx)
		case now.After(begin):
			n++
		}
	}
}
