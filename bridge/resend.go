package bridge

import (
	"context"
	"errors"
	"fmt"
)

// ErrNeverMade is returned for a number under which nothing was ever made.
var ErrNeverMade = errors.New("it was never made: see `sallyport bundle list --direction out`; nothing was written")

// mayResend refuses a request for numbers before any of them is made again.
func (x *exporter) mayResend(ctx context.Context, numbers []int64) error {
	l, err := x.link(ctx, x.Pool, x.peer, false)
	if err != nil {
		return err
	}
	if l.Stopped != "" {
		return fmt.Errorf("%w (%s): %s; nothing was written", ErrStopped, x.peer, l.Stopped)
	}
	makings, err := x.makings(ctx, l, numbers)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if _, made := makings[n]; !made {
			return fmt.Errorf("bundle %d for %s: %w", n, x.peer, ErrNeverMade)
		}
	}
	return nil
}
