package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

type pendingShape struct {
	RequestID string        `json:"request_id"`
	Status    domain.Status `json:"status"`
}

// response gives the answer to a request: from the cache, which knows whose
// it is, else from the read models, and then the cache has it. An answer is
// final, so that an entry is never older than the database. A failure may have
// been taken back: of that the cache only knows what the database confirms, or
// cannot say.
func (s *server) response(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	entry, hit, err := s.Cache.Get(ctx, id)
	if err != nil {
		s.logSometimes(ctx, "the response cache does not answer; answers come from the database", err)
	}
	if hit && entry.Owner != c.user.ID {
		return answer{}, errNotFound
	}
	if hit && !projections.MayChange(entry.Body) {
		return tagged(c, projections.ETag(entry.Position), answer{raw: entry.Body, cache: "hit"}), nil
	}
	look := func(ctx context.Context) (view, error) {
		got, err := s.lookUp(ctx, id)
		switch {
		case hit && err != nil && unreachable(err):
			return view{answer: tagged(c, projections.ETag(entry.Position), answer{raw: entry.Body, cache: "hit"}), status: domain.StatusFailed}, nil
		case errors.Is(err, projections.ErrNotFound):
			return view{}, s.once(ctx, c, id)
		case err != nil:
			return view{}, err
		case got.owner != c.user.ID:
			return view{}, errNotFound
		case hit && entry.Position == got.position:
			return s.outcome(ctx, c, id, got, "hit")
		}
		return s.outcome(ctx, c, id, got, "miss")
	}
	// What is on its way is of no use to who waits for the answer.
	return s.held(ctx, c, id, look, func(view, view) bool { return false })
}

// outcome shows what the read models say of a request's answer.
func (s *server) outcome(ctx context.Context, c *call, id string, got *lookedUp, from string) (view, error) {
	switch got.status {
	case domain.StatusCancelled:
		return view{}, errCancelled
	case domain.StatusAnswered, domain.StatusFailed:
		a := answer{raw: got.body[0], rest: [2][]byte(got.body[1:]), cache: from}
		return view{answer: tagged(c, projections.ETag(got.position), a), status: got.status}, nil
	}
	return s.pending(ctx, c, id)
}

// lookedUp is what the read models say of a request's answer.
type lookedUp struct {
	owner    string
	status   domain.Status
	position int64
	body     projections.Rendered // of a final one
}

// lookUp reads and renders an answer, once for all who ask at the same time.
// What others began to read before this call may have changed before it, but
// for an answer.
func (s *server) lookUp(ctx context.Context, id string) (*lookedUp, error) {
	shared := s.lookUps.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		return s.read(ctx, id)
	})
	select {
	case r := <-shared:
		got, _ := r.Val.(*lookedUp)
		if r.Err == nil && r.Shared && got.status != domain.StatusAnswered {
			return s.read(ctx, id)
		}
		return got, r.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// read reads and renders an answer, and lets the cache have it.
func (s *server) read(ctx context.Context, id string) (*lookedUp, error) {
	r, err := s.Reader.Response(ctx, id)
	if err != nil {
		return nil, err
	}
	got := &lookedUp{owner: r.Owner, status: r.Status, position: r.Pos}
	if !r.Final() {
		return got, nil
	}
	if got.body, err = projections.RenderResponse(r); err != nil || got.body.Len() > responsecache.MaxEntry {
		return got, err
	}
	whole := got.body.Bytes()
	got.body = projections.Rendered{whole}
	if err := s.Cache.Set(ctx, id, responsecache.Entry{Owner: r.Owner, Position: r.Pos, Body: whole}); err != nil {
		s.logSometimes(ctx, "an answer could not be cached", err)
	}
	return got, nil
}

// known reports whether one of the caller's tags is this one (RFC 9110, 13.1.2),
// in whatever encoding the caller has it.
func known(given []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, line := range given {
		for t := range strings.SplitSeq(line, ",") {
			t = strings.TrimPrefix(strings.TrimSpace(t), "W/")
			if t == "*" || t == tag || anyEncoding.Replace(t) == tag {
				return true
			}
		}
	}
	return false
}

// pending says that there is no answer yet, and when to look again.
func (s *server) pending(ctx context.Context, c *call, id string) (view, error) {
	q, err := s.ownOf(ctx, c, id)
	if err != nil {
		return view{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return view{}, err
	}
	now := q.Crossed(link.ExportedThrough, link.AckedThrough)
	if (view{status: now}).settled() { // it came a moment ago
		got, err := s.read(ctx, id)
		if err != nil {
			return view{}, err
		}
		return s.outcome(ctx, c, id, got, "miss")
	}
	return view{status: now, pos: q.AskedPos, answer: answer{status: http.StatusAccepted, retryAfter: lookAgain(link.ExportEvery),
		value: pendingShape{RequestID: q.ID, Status: now}}}, nil
}
