package api

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"sallyport/projections/responsecache"
)

type cacheShape struct {
	Status   string  `json:"status"` // ok or unavailable; then all else is 0
	Backend  string  `json:"backend"`
	Keys     int64   `json:"total_keys"`
	Answers  int64   `json:"response_cache_keys"`
	Results  int64   `json:"result_cache_keys"`
	Memory   string  `json:"used_memory_human"`
	Clients  int64   `json:"connected_clients"`
	HitRatio float64 `json:"hit_ratio"`
}

// cacheStats looks at the response cache. That it does not answer is what
// somebody may want to know.
func (s *server) cacheStats(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	return answer{value: s.lookAtCache(ctx)}, nil
}

func (s *server) lookAtCache(ctx context.Context) cacheShape {
	stats, err := s.Cache.Stats(ctx)
	if err != nil {
		s.logSometimes(ctx, "the response cache does not answer; answers come from the database", err)
		return cacheShape{Status: "unavailable", Backend: stats.Backend, HitRatio: stats.HitRatio}
	}
	return shapeOfCache(stats)
}

func shapeOfCache(s responsecache.Stats) cacheShape {
	return cacheShape{Status: "ok", Backend: s.Backend, Keys: s.Keys, Answers: s.Answers, Results: s.Results, Memory: s.UsedMemory, Clients: s.Clients, HitRatio: s.HitRatio}
}

type clearedShape struct {
	Success bool  `json:"success"`
	Cleared int64 `json:"entries_cleared"`
}

// clearCache forgets all answers. They are in the read models still.
func (s *server) clearCache(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	if err := s.acted(ctx, c, "cache.clear", ""); err != nil {
		return answer{}, err
	}
	cleared, err := s.Cache.Clear(ctx)
	return s.cacheCleared(ctx, cleared, err)
}

// clearCacheOf forgets the answers to one user, known here or not.
func (s *server) clearCacheOf(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	user := strings.ToLower(mux.Vars(c.Request)["user_id"])
	if len(user) != 36 || uuid.Validate(user) != nil {
		return answer{}, errNotFound
	}
	if err := s.acted(ctx, c, "cache.clear", "user-"+user); err != nil {
		return answer{}, err
	}
	cleared, err := s.Cache.ClearUser(ctx, user)
	return s.cacheCleared(ctx, cleared, err)
}

func (s *server) cacheCleared(ctx context.Context, n int64, err error) (answer, error) {
	if err != nil {
		return answer{}, busy("cache-unavailable", "the cache does not answer; what it holds expires within 24 hours, and nothing older than the database is shown", 5*time.Second)
	}
	return s.behind(ctx, answer{value: clearedShape{Success: true, Cleared: n}}, nil)
}
