package reactor

import (
	"context"
	"log/slog"
)

// ending keeps what Watermill says of a reactor that is being stopped for those
// who debug it: that a page was left in its middle is an error to Watermill, and
// how a reactor ends to us. Its place did not move, so the page comes again.
type ending struct {
	slog.Handler

	stopped func() bool
}

func (h ending) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, h.level(level))
}

func (h ending) Handle(ctx context.Context, r slog.Record) error {
	if r.Level = h.level(r.Level); !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h ending) WithAttrs(attrs []slog.Attr) slog.Handler {
	return ending{h.Handler.WithAttrs(attrs), h.stopped}
}

func (h ending) WithGroup(name string) slog.Handler {
	return ending{h.Handler.WithGroup(name), h.stopped}
}

func (h ending) level(of slog.Level) slog.Level {
	if h.stopped() {
		return min(of, slog.LevelDebug)
	}
	return of
}

// over tells whether a context has ended.
func over(ctx context.Context) func() bool { return func() bool { return ctx.Err() != nil } }
