package reactor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/projections"
	"sallyport/projections/responsecache"
)

// Rewritable is a cache that can be emptied, see responsecache.
type Rewritable interface {
	Cache
	Clear(ctx context.Context) (cleared int64, err error)
}

// rewriters is how many answers are rendered and put into the cache at once.
const rewriters = 8

// Rewrite empties the response cache of a site and puts into it what [Warm]
// would have put there since a time: what lives longer than that has expired.
// It returns how many answers were there and how many are now. Meanwhile
// answers come from the read models; Warm may be at work beside it.
func Rewrite(ctx context.Context, site string, reader *projections.Reader, cache Rewritable, since time.Time) (cleared, written int64, err error) {
	if cleared, err = cache.Clear(ctx); err != nil {
		return cleared, 0, err
	}
	counted := &counting{Cache: cache}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rewriters)
	err = reader.Outcomes(ctx, since, func(o projections.Outcome) error {
		group.Go(func() error { return warm(ctx, site, reader, counted, o.Request) })
		return ctx.Err()
	})
	if failed := group.Wait(); failed != nil { // what it cancelled then failed too
		err = failed
	}
	if err != nil {
		return cleared, counted.set.Load(), fmt.Errorf("rewrite the cache: %w; what it lacks is answered from the read models", err)
	}
	return cleared, counted.set.Load(), nil
}

// counting counts what is put into a cache.
type counting struct {
	Cache
	set atomic.Int64
}

// Set implements [Cache].
func (c *counting) Set(ctx context.Context, requestID string, e responsecache.Entry) error {
	err := c.Cache.Set(ctx, requestID, e)
	if err == nil {
		c.set.Add(1)
	}
	return err
}
