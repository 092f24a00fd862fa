package resultcache

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"sallyport/responders"
)

// flights are the questions that this process asks now, by their keys.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

// flight is one question with those who wait for it.
type flight struct {
	done    chan struct{} // closed when answer and err are there
	cancel  context.CancelFunc
	waiting int // under flights.mu
	answer  responders.Answer
	err     error
}

// do returns what ask does, run once for all who want the same at the same time.
// alone says that it was run for this caller. It is stopped when nobody waits for
// it any more; who leaves last waits until it ended.
func (f *flights) do(ctx context.Context, key string, ask func(context.Context) (responders.Answer, error)) (a responders.Answer, alone bool, err error) {
	at, alone := f.board(ctx, key, ask)
	select {
	case <-at.done:
	case <-ctx.Done():
		if f.leave(key, at) {
			<-at.done
		}
		return responders.Answer{}, alone, ctx.Err()
	}
	return at.answer, alone, at.err
}

func (f *flights) board(ctx context.Context, key string, ask func(context.Context) (responders.Answer, error)) (at *flight, alone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, flying := f.all[key]; flying {
		at.waiting++
		return at, false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	at = &flight{done: make(chan struct{}), cancel: cancel, waiting: 1}
	if f.all == nil {
		f.all = map[string]*flight{}
	}
	f.all[key] = at
	go func() {
		defer close(at.done)
		defer cancel()
		at.answer, at.err = recovered(ctx, ask)
		f.land(key, at)
	}()
	return at, true
}

// leave takes one away who waits, and reports whether it was the last: then the
// question is stopped, and whoever comes next asks anew.
func (f *flights) leave(key string, at *flight) (last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.waiting--; at.waiting > 0 {
		return false
	}
	at.cancel()
	f.remove(key, at)
	return true
}

func (f *flights) land(key string, at *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(key, at)
}

func (f *flights) remove(key string, at *flight) {
	if f.all[key] == at {
		delete(f.all, key)
	}
}

// recovered turns a panic into an error: it must not cost the others their
// process, as it would not where it is asked without a cache.
func recovered(ctx context.Context, ask func(context.Context) (responders.Answer, error)) (a responders.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the responder panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return ask(ctx)
}
