// Package fuse keeps calls from waiting for a server that is away.
//
//	works ──failed──▶ left alone for a second ──▶ one call tries ──answered──▶ works
//	                          ▲                          │
//	                          └──────────failed──────────┘
//
// # Promised
//
//   - No call waits longer than [AnswerTime], or what [NewWithin] was told.
//   - While the server is away one call a second tries it; all others hear at
//     once that it is.
//   - A caller that goes away says nothing about the server.
package fuse

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// AnswerTime is how long the server may take for one call that is small.
	AnswerTime = 250 * time.Millisecond
	// resting is how much longer than a call may take it is left alone after it
	// failed: for a second, after a call that is small.
	resting = 4
)

// Fuse guards calls to one server. It is safe for concurrent use.
type Fuse struct {
	answer time.Duration
	rest   time.Duration
	failed func(error)
	until  atomic.Int64 // the server is left alone until then, Unix nanoseconds; 0: it works
}

// New returns a fuse that tells failed of each failure; nil: nobody is told.
func New(failed func(error)) *Fuse { return NewWithin(AnswerTime, failed) }

// NewWithin is New for calls that may take as long as answer; the server is left
// alone for four times as long.
func NewWithin(answer time.Duration, failed func(error)) *Fuse {
	if failed == nil {
		failed = func(error) {}
	}
	return &Fuse{answer: answer, rest: resting * answer, failed: failed}
}

// Try asks the server by do, unless it failed a moment ago, and reports whether
// it answered.
func (f *Fuse) Try(ctx context.Context, now time.Time, do func(context.Context) error) bool {
	return f.TryTimely(ctx, now, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, f.answer)
		defer cancel()
		return do(ctx)
	})
}

// TryTimely is Try by what takes no longer than it may by itself, which spares
// a timer a call.
func (f *Fuse) TryTimely(ctx context.Context, now time.Time, do func(context.Context) error) bool {
	if !f.mayTry(now) {
		return false
	}
	err := do(ctx)
	switch {
	case err == nil:
		f.until.Store(0)
	case errors.Is(context.Cause(ctx), context.Canceled): // the caller went away
	default:
		f.until.Store(now.Add(f.rest).UnixNano())
		f.failed(err)
	}
	return err == nil
}

func (f *Fuse) mayTry(now time.Time) bool {
	until := f.until.Load()
	return until == 0 || now.UnixNano() >= until && f.until.CompareAndSwap(until, now.Add(f.rest).UnixNano())
}
