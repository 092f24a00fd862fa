package api

import (
	"context"
	"fmt"
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

// ready says whether the site can do its work: not without its database, all
// migrations and room on its disk, and not when it is about to end; without its
// cache it is slower but right.
func (s *server) ready(ctx context.Context, _ *call) (answer, error) {
	shape := s.examine(ctx)
	if shape.Status == "down" {
		return answer{status: http.StatusServiceUnavailable, value: shape, retryAfter: 5 * time.Second}, nil
	}
	return answer{value: shape}, nil
}

// verdict gathers checks; the worst one counts.
type verdict struct{ readyShape }

func (v *verdict) degraded(check, why string) {
	if v.Checks[check] = why; v.Status != "down" {
		v.Status = "degraded"
	}
}

func (v *verdict) down(check, why string) { v.Status, v.Checks[check] = "down", why }

func (s *server) examine(ctx context.Context) readyShape {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	v := verdict{readyShape{Status: "ready", Checks: map[string]string{}}}
	for _, check := range []string{"process", "postgresql", "migrations", "log", "cache", "disk"} {
		v.Checks[check] = "ok"
	}
	select {
	case <-s.draining:
		v.down("process", "is stopping")
	default:
	}
	if s.CacheReady != nil && s.CacheReady(ctx) != nil {
		v.degraded("cache", "does not answer")
	}
	s.examineDisk(&v)
	s.examineDatabase(ctx, &v)
	return v.readyShape
}

func (s *server) examineDatabase(ctx context.Context, v *verdict) {
	pending, err := schema.Pending(ctx, s.Pool)
	switch {
	case err != nil && s.Pool.Ping(ctx) != nil:
		v.down("postgresql", "does not answer")
		v.Checks["migrations"], v.Checks["log"] = "not known", "not known"
	case err != nil:
		v.down("migrations", "cannot be read")
	case pending > 0:
		v.down("migrations", "pending: run `sallyport migrate up`")
	default:
		if err := s.Log.Writable(ctx); err != nil {
			v.degraded("log", err.Error())
		}
	}
}

func (s *server) examineDisk(v *verdict) {
	if s.Disk == nil {
		return
	}
	room, err := s.Disk()
	switch {
	case err != nil:
		v.down("disk", "cannot be read")
	case room.Free < room.Full:
		v.down("disk", "is full")
	case room.Free < room.Low:
		v.degraded("disk", fmt.Sprintf("%d MiB are free: make room", room.Free>>20))
	}
}
