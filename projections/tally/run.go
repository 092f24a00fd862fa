package tally

import (
	"context"
	"log/slog"
	"time"

	"sallyport/eventstore"
)

// Who counts by itself must not be felt by those who write: it rests so many
// times as long as it works, less while nobody writes or when it is far behind.
const (
	shareBusy  = 50
	shareQuiet = 3
	far        = 1_000_000
	// rest is how long events are let gather: counting many at once is cheaper.
	rest = 2 * time.Second
	// afterError is when a database that was away is asked again.
	afterError = 5 * time.Second
)

// Run keeps the tally near the log's end until the context ends. Any number of
// processes may run it; link tells how far theirs has got.
func (t *Tally) Run(ctx context.Context, log *eventstore.Store, link func(context.Context) (Link, error), logger *slog.Logger) error {
	for head := int64(0); ctx.Err() == nil; {
		began := time.Now()
		left, now, err := t.further(ctx, log, link)
		pause := shareBusy * time.Since(began)
		switch {
		case err != nil && ctx.Err() == nil:
			logger.WarnContext(ctx, "requests are not counted; figures stay as they are, and it is tried again", "error", err)
			pause = afterError
		case left == 0:
			pause = rest
			if now, err = log.Wait(ctx, now); err != nil {
				pause = afterError // the log is being closed, or the database is away: the next try says so
			}
		case now == head || left > far:
			pause = shareQuiet * time.Since(began)
		}
		head = now
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// further counts a page and returns what is left, and where the log ended.
func (t *Tally) further(ctx context.Context, log *eventstore.Store, link func(context.Context) (Link, error)) (left, head int64, err error) {
	l, err := link(ctx)
	if err != nil {
		return 0, 0, err
	}
	end, err := log.Head(ctx)
	if err != nil {
		return 0, 0, err
	}
	left, err = Advance(ctx, t.pool, live, l, Page)
	return left, end.Seq, err
}
