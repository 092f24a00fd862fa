package queue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// errCancelled stops a question whose request was cancelled.
var errCancelled = errors.New("the request was cancelled")

// watchEvery is how soon a running question hears that its request was
// cancelled. Only questions that take long are watched.
const watchEvery = 500 * time.Millisecond

// watch stops the running questions of this process whose requests are
// cancelled. It looks at all of them together, and only while there are any.
type watch struct {
	cases  Cases
	logger *slog.Logger

	mu      sync.Mutex
	running map[*watched]struct{}
	begun   chan struct{} // holds one element after a question was added
}

type watched struct {
	request string
	stop    context.CancelCauseFunc
}

func newWatch(cases Cases, logger *slog.Logger) *watch {
	return &watch{cases: cases, logger: logger, running: map[*watched]struct{}{}, begun: make(chan struct{}, 1)}
}

// over watches over a question until the function that it returns is called.
func (w *watch) over(request string, stop context.CancelCauseFunc) (done func()) {
	q := &watched{request, stop}
	w.mu.Lock()
	w.running[q] = struct{}{}
	w.mu.Unlock()
	select {
	case w.begun <- struct{}{}:
	default:
	}
	return func() {
		w.mu.Lock()
		delete(w.running, q)
		w.mu.Unlock()
	}
}

// run watches until ctx ends.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.begun:
		case <-tick.C:
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.logger.WarnContext(ctx, "whether running questions were cancelled could not be read; it is tried again", "error", err)
		}
	}
}

func (w *watch) look(ctx context.Context) error {
	requests := w.requests()
	if len(requests) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	cancelled, err := w.cases.Cancelled(ctx, requests)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := range w.running {
		if slices.Contains(cancelled, q.request) {
			q.stop(errCancelled)
		}
	}
	return nil
}

func (w *watch) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]string, 0, len(w.running))
	for q := range w.running {
		all = append(all, q.request)
	}
	return all
}
