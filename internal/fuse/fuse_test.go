package fuse_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/fuse"
)

var errAway = errors.New("it is away")

func TestOneCallASecondTriesAServerThatIsAway(t *testing.T) {
	t.Parallel()
	told, asked, away := 0, 0, true
	f := fuse.New(func(error) { told++ })
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	try := func() bool {
		return f.Try(t.Context(), now, func(context.Context) error {
			if asked++; away {
				return errAway
			}
			return nil
		})
	}
	for _, c := range []struct {
		after time.Duration
		away  bool
		ok    bool
		asked int // in all
	}{
		{0, false, true, 1}, {0, true, false, 2}, {0, true, false, 2}, {999 * time.Millisecond, true, false, 2},
		{time.Millisecond, true, false, 3}, {0, false, false, 3}, {time.Second, false, true, 4}, {0, false, true, 5},
	} {
		now, away = now.Add(c.after), c.away
		if ok := try(); ok != c.ok || asked != c.asked {
			t.Errorf("after %v, away %v: answered %v and asked %d times, want %v and %d", c.after, c.away, ok, asked, c.ok, c.asked)
		}
	}
	if told != 2 {
		t.Errorf("told of %d failures, want 2", told)
	}
}

func TestNoCallWaitsLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ok := fuse.New(nil).Try(t.Context(), begun, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if waited := time.Since(begun); ok || waited != fuse.AnswerTime {
			t.Errorf("answered %v after %v", ok, waited)
		}
	})
}

func TestACallerThatGoesAwaySaysNothing(t *testing.T) {
	t.Parallel()
	f, now := fuse.New(func(err error) { t.Errorf("told of %v", err) }), time.Now()
	gone, leave := context.WithCancel(t.Context())
	leave()
	if f.Try(gone, now, func(ctx context.Context) error { return ctx.Err() }) {
		t.Error("it answered nobody")
	}
	if !f.Try(t.Context(), now, func(context.Context) error { return nil }) {
		t.Error("the next call was not let through")
	}
}
