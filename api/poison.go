package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"sallyport/projections"
	"sallyport/projections/reactor"
)

// listPoison lists the events that reactors gave up, in the order in which
// they came.
func (s *server) listPoison(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	after := int64(0)
	if q.page.Cursor != "" {
		if after, err = strconv.ParseInt(q.page.Cursor, 10, 64); err != nil || after < 1 {
			return answer{}, projections.ErrCursor
		}
	}
	limit := q.page.Limit
	if limit == 0 {
		limit = projections.DefaultLimit
	}
	found, err := s.poison.List(ctx, after, limit+1)
	if err != nil {
		return answer{}, err
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = strconv.FormatInt(found[limit-1].ID, 10)
	}
	return list(c, found, next), nil
}

// poisonID returns the path's number; what cannot be one is not looked up.
func poisonID(c *call) (int64, error) {
	if err := noQuery(c); err != nil {
		return 0, err
	}
	id, err := strconv.ParseInt(mux.Vars(c.Request)["id"], 10, 64)
	if err != nil || id < 1 {
		return 0, reactor.ErrNotPoisoned
	}
	return id, nil
}

func (s *server) showPoison(ctx context.Context, c *call) (answer, error) {
	id, err := poisonID(c)
	if err != nil {
		return answer{}, err
	}
	p, err := s.poison.Show(ctx, id)
	return answer{value: p}, err
}

// requeuePoison has an event handled once more. It is gone from the queue as
// soon as that has succeeded, so what is shown is how it was put back.
func (s *server) requeuePoison(ctx context.Context, c *call) (answer, error) {
	p, err := s.actOnPoison(ctx, c, "poison.requeue")
	if err == nil {
		err = s.poison.Requeue(ctx, p.ID)
	}
	return s.behind(ctx, answer{status: http.StatusAccepted, value: p}, err)
}

func (s *server) dropPoison(ctx context.Context, c *call) (answer, error) {
	p, err := s.actOnPoison(ctx, c, "poison.drop")
	if err == nil {
		err = s.poison.Drop(ctx, p.ID)
	}
	return s.behind(ctx, answer{value: p}, err)
}

// actOnPoison finds what the path names and records what is about to be done.
func (s *server) actOnPoison(ctx context.Context, c *call, action string) (reactor.Poisoned, error) {
	id, err := poisonID(c)
	if err != nil {
		return reactor.Poisoned{}, err
	}
	p, err := s.poison.Show(ctx, id)
	if err != nil {
		return p, err
	}
	return p, s.acted(ctx, c, action, strconv.FormatInt(id, 10)+" ("+p.Reactor+", "+p.Stream+")")
}
