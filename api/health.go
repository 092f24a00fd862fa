package api

import (
	"context"
	"net/http"
	"time"

	"sallyport/domain"
	"sallyport/schema"
)

type healthShape struct {
	Status string      `json:"status"`
	Site   string      `json:"site"`
	Role   domain.Role `json:"role"`
}

// health says that the process answers. It touches nothing else.
func (s *server) health(context.Context, *call) (answer, error) {
	return answer{value: healthShape{Status: "ok", Site: s.Log.Site(), Role: s.role}}, nil
}

type readyShape struct {
	Status string            `json:"status"` // ready, degraded or down
	Checks map[string]string `json:"checks"`
}

// readyTimeout bounds the checks, so that a balancer hears in time.
const readyTimeout = 2 * time.Second

// ready says whether the site can do its work: not without its database and
// all migrations; without its cache it is slower but right.
func (s *server) ready(ctx context.Context, _ *call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	out := answer{}
	shape := readyShape{Status: "ready", Checks: map[string]string{"postgresql": "ok", "migrations": "ok", "log": "ok", "cache": "ok"}}
	if s.CacheReady != nil && s.CacheReady(ctx) != nil {
		shape.Status, shape.Checks["cache"] = "degraded", "does not answer"
	}
	pending, err := schema.Pending(ctx, s.Pool)
	switch {
	case err != nil && s.Pool.Ping(ctx) != nil:
		shape.Checks["postgresql"], shape.Checks["migrations"] = "does not answer", "not known"
	case err != nil:
		shape.Checks["migrations"] = "cannot be read"
	case pending > 0:
		shape.Checks["migrations"] = "pending: run `sallyport migrate up`"
	default:
		if err := s.Log.Writable(ctx); err != nil {
			shape.Status, shape.Checks["log"] = "degraded", err.Error()
		}
		out.value = shape
		return out, nil
	}
	shape.Status = "down"
	return answer{status: http.StatusServiceUnavailable, value: shape, retryAfter: 5 * time.Second}, nil
}
