package reactor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

// warmed are the events after which an answer can be cached.
var warmed = []string{"response.recorded", "response.failed"}

// handle caches the answer that an event brought, if this site asked for it.
// It reads the read model rather than the event, so that of two events of one
// answer, in whatever order they are handled, the later state is cached.
func (r *Reactor) handle(msg *message.Message) error {
	if !slices.Contains(warmed, msg.Metadata[metaType]) {
		return nil
	}
	ctx := msg.Context()
	id, _ := domain.RequestOf(msg.Metadata[metaStream])
	response, err := r.config.Reader.Response(ctx, id)
	if errors.Is(err, projections.ErrNotFound) || err == nil && (response.Origin != r.config.Log.Site() || !response.Final()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("warm the cache for request %s: %w", id, err)
	}
	body, err := projections.RenderResponse(response)
	if err != nil {
		return fmt.Errorf("warm the cache for request %s: %w", id, err)
	}
	return r.config.Cache.Set(ctx, id, responsecache.Entry{Owner: response.Owner, Position: response.Pos, Body: body})
}
