package boot

import (
	"context"
	"errors"
	"time"

	"sallyport/eventstore"
)

// lookEvery is how soon a running site notices that it became read-only, or is
// no more.
const lookEvery = time.Second

// whileWritable runs what must not run on a read-only site: it ends it when the
// site becomes one, and begins it again when the site has been recovered.
func (s *Site) whileWritable(ctx context.Context, run func(context.Context) error) error {
	for s.await(ctx, true) {
		turn, end := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			if s.await(turn, false) {
				s.Logger.ErrorContext(ctx, "this site is read-only: no work is done")
				end()
			}
		}()
		err := run(turn)
		end()
		<-watched
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits until the site is writable, or is not, and reports false if ctx
// ended first. A database that is away decides nothing.
func (s *Site) await(ctx context.Context, writable bool) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := s.Log.Writable(ctx)
		var readOnly *eventstore.ReadOnlyError
		if (err == nil && writable) || (errors.As(err, &readOnly) && !writable) {
			return true
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return false
}

// untilFoundedAnew ends a site whose log was founded anew by another program:
// all that this one knows of it is the old epoch. Started again, it goes on.
func (s *Site) untilFoundedAnew(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.Log.Writable(ctx); errors.Is(err, eventstore.ErrRefounded) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
