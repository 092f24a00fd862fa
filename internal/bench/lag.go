package bench

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sallyport/domain"
	"sallyport/projections/reactor"
)

const (
	// lagPace is how many events a second a reactor has to follow, and mayLag how
	// many milliseconds behind.
	lagPace = 1000
	mayLag  = 1000
	// following bounds how many events may wait for the reactor at a time.
	following = 2 * lagPace
)

// lagOfReactor measures how long after an event was due to be appended a
// reactor of the served site was called with it.
func lagOfReactor(ctx context.Context, r *rig) (contest, error) {
	return contest{
		limitName: "1 s behind at 1,000 events a second",
		subject:   r.site.lag(steady{perSecond: lagPace, lines: following, warm: r.config.Warm, measure: r.config.Measure}),
		limit:     func(context.Context) (float64, error) { return mayLag, nil },
	}, r.settle(ctx, siteDatabase)
}

// skipLog lets the reactor begin at the head: what the log holds from figures
// before is none of this one.
const skipLog = `INSERT INTO reactor_offsets (reactor, seq) SELECT 'bench', seq FROM log_head
	ON CONFLICT (reactor) DO UPDATE SET seq = excluded.seq`

// lag runs a reactor beside the site's own while events are appended at a pace.
func (s *site) lag(pace steady) measure {
	return func(ctx context.Context) (p99 float64, err error) {
		if _, err := s.Pool.Exec(ctx, skipLog); err != nil {
			return 0, err
		}
		var w followed
		// Being ended in the middle of a page is nothing that people need to be told.
		follower, err := reactor.New(reactor.Config{Pool: s.Pool, Log: s.Log, Logger: slog.New(slog.DiscardHandler), Handlers: []reactor.Handler{
			{Name: "bench", Types: []string{(domain.RequestSubmitted{}).EventType()}, Handle: w.handle}}})
		if err != nil {
			return 0, err
		}
		running, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- follower.Run(running) }()
		defer func() { end(); err = errors.Join(err, <-ended) }()
		return pace.p99(ctx, func(ctx context.Context) (member, error) {
			return member{leave: func() error { return nil }, ask: func() error { return w.append(ctx, s) }}, nil
		})
	}
}

// followed is who waits for a reactor to be called with their event, by stream.
type followed struct {
	handled sync.Map // of chan struct{}
}

func (w *followed) handle(_ context.Context, e reactor.Event) error {
	if handled, ok := w.handled.LoadAndDelete(e.Stream); ok { // it may be called again
		close(handled.(chan struct{}))
	}
	return nil
}

// append appends an event and returns once the reactor was called with it.
func (w *followed) append(ctx context.Context, s *site) error {
	a := s.request()
	handled := make(chan struct{})
	w.handled.Store(a.Writes[0].Stream, handled)
	if _, err := s.Log.Append(ctx, a); err != nil {
		return err
	}
	select {
	case <-handled:
		return nil
	case <-time.After(stuck):
		return errors.New("the reactor was not called with an event")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
