package reactor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

// Cache is where answers are put, see responsecache for what it promises.
type Cache interface {
	Set(ctx context.Context, requestID string, e responsecache.Entry) error
	Delete(ctx context.Context, requestID string) error
}

// Warm keeps the response cache of a site warm with the answers to what was
// asked there, and forgets a failure that was taken back. It reads the read
// model rather than the event, so that of two events of one answer, in whatever
// order they are handled, the later state is cached. What happens while the
// cache is away is left to who asks: an answer is cached when it is first asked
// for, and of a failure the cache only knows what the database confirms.
func Warm(site string, reader *projections.Reader, cache Cache) Handler {
	return Handler{Name: "response-cache", Types: []string{"response.recorded", "response.failed", "request.cancelled", "request.retried"},
		Handle: func(ctx context.Context, e Event) error {
			id, _ := domain.RequestOf(e.Stream)
			put := func() error { return warm(ctx, site, reader, cache, id) }
			if strings.HasPrefix(e.Type, "request.") {
				put = func() error { return cache.Delete(ctx, id) }
			}
			if err := put(); err != nil && !errors.Is(err, responsecache.ErrAway) {
				return fmt.Errorf("keep the cache warm for request %s: %w", id, err)
			}
			return nil
		}}
}

func warm(ctx context.Context, site string, reader *projections.Reader, cache Cache, id string) error {
	response, err := reader.Response(ctx, id)
	if errors.Is(err, projections.ErrNotFound) || err == nil && (response.Origin != site || !response.Final()) {
		return nil
	}
	if err != nil {
		return err
	}
	body, err := projections.RenderResponse(response)
	if err != nil {
		return err
	}
	return cache.Set(ctx, id, responsecache.Entry{Owner: response.Owner, Position: response.Pos, Body: body.Bytes()})
}
