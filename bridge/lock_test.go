package bridge_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"sallyport/domain"
)

// TestLocksLeaveConnectionsToWorkWith: however many locks are asked for at once,
// those who hold some have a connection for what they do.
func TestLocksLeaveConnectionsToWorkWith(t *testing.T) {
	t.Parallel()
	field := newEnd(t, "field", domain.RequestSite)
	most := int(field.site.Pool.Config().MaxConns)
	var all errgroup.Group
	var holding atomic.Int32
	enough := make(chan struct{}) // closed: half of the connections are kept for locks
	for i := range 3 * most {
		all.Go(func() error {
			return field.Locked(t.Context(), fmt.Sprint("test/", i), func(ctx context.Context) error {
				if int(holding.Add(1)) == most/2-1 {
					close(enough)
				}
				<-enough
				_, err := field.site.Pool.Exec(ctx, `SELECT pg_sleep(0.01)`)
				return err
			})
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}
