package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

type pendingShape struct {
	RequestID string        `json:"request_id"`
	Status    domain.Status `json:"status"`
}

// response gives the answer to a request: from the cache, which knows whose
// it is, else from the read models, and then the cache has it.
func (s *server) response(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	entry, hit, err := s.Cache.Get(ctx, id)
	if err != nil {
		s.logSometimes(ctx, "the response cache does not answer; answers come from the database", err)
	}
	if !hit {
		return s.uncached(ctx, c, id)
	}
	if entry.Owner != c.user.ID {
		return answer{}, errNotFound
	}
	return rendered(c, entry, "hit"), nil
}

// uncached reads, renders and caches an answer.
func (s *server) uncached(ctx context.Context, c *call, id string) (answer, error) {
	r, err := s.Reader.Response(ctx, id)
	if err != nil {
		return answer{}, err
	}
	if r.Owner != c.user.ID {
		return answer{}, errNotFound
	}
	if !r.Final() {
		return s.pending(ctx, c)
	}
	body, err := projections.RenderResponse(r)
	if err != nil {
		return answer{}, err
	}
	entry := responsecache.Entry{Owner: r.Owner, Position: r.Pos, Body: body}
	if err := s.Cache.Set(ctx, id, entry); err != nil {
		s.logSometimes(ctx, "an answer could not be cached", err)
	}
	return rendered(c, entry, "miss"), nil
}

// rendered is a final answer, or nothing if the caller has it already.
func rendered(c *call, e responsecache.Entry, from string) answer {
	a := answer{raw: e.Body, etag: projections.ETag(e.Position), cache: from}
	if known(c.Header["If-None-Match"], a.etag) {
		a.status, a.raw = http.StatusNotModified, nil
	}
	return a
}

// known reports whether one of the caller's tags is this one (RFC 9110, 13.1.2).
func known(given []string, tag string) bool {
	for _, line := range given {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// pending says that there is no answer yet, and when to look again.
func (s *server) pending(ctx context.Context, c *call) (answer, error) {
	q, err := s.own(ctx, c)
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, retryAfter: lookAgain(link.ExportEvery),
		value: pendingShape{RequestID: q.ID, Status: q.Crossed(link.ExportedThrough, link.AckedThrough)}}, nil
}

// lookAgain follows the link's rhythm within reason.
func lookAgain(every time.Duration) time.Duration {
	if every <= 0 {
		return 5 * time.Second
	}
	return min(max(every, time.Second), 5*time.Minute)
}
