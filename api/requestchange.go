package api

import (
	"context"
	"net/http"

	"sallyport/internal/commands"
)

type reasonGiven struct {
	Reason string `json:"reason"` // may be empty
}

// cancel ends a request that was not answered yet.
func (s *server) cancel(ctx context.Context, c *call) (answer, error) {
	q, err := onlyQuery(c, "reason")
	if err != nil {
		return answer{}, err
	}
	id, err := idIn(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := s.ownOf(ctx, c, id); err != nil {
		return answer{}, err
	}
	stored, err := s.Commands.CancelRequest(ctx, c.by(), id, q.Get("reason"))
	if err != nil {
		return answer{}, err
	}
	return s.changed(ctx, c, stored, http.StatusOK)
}

// retry asks again for what failed.
func (s *server) retry(ctx context.Context, c *call, in reasonGiven) (answer, error) {
	q, err := s.own(ctx, c)
	if err != nil {
		return answer{}, err
	}
	stored, err := s.Commands.RetryRequest(ctx, c.by(), q, in.Reason)
	if err != nil {
		return answer{}, err
	}
	return s.changed(ctx, c, stored, http.StatusAccepted)
}

// changed answers with a request as it is after a change. A failure that is
// cached goes; should the cache not answer, the failure is not believed without
// the database either.
func (s *server) changed(ctx context.Context, c *call, stored commands.Stored, status int) (answer, error) {
	if err := s.Cache.Delete(ctx, stored.ID); err != nil {
		s.logSometimes(ctx, "a failure that was taken back is still cached, and is not shown", err)
	}
	q, err := s.ownOf(ctx, c, stored.ID)
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	return answer{status: status, position: stored.Seq, value: s.shapeOfRequest(q, link)}, err
}
