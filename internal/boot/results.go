package boot

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/projections/responsecache"
	"sallyport/responders/queue"
	"sallyport/responders/resultcache"
)

// openResults makes the cache of what sources said, on a response site.
func (s *Site) openResults() error {
	// A source that is elsewhere from now on has other answers.
	salt, err := json.Marshal([]any{s.Config.Responders.Sources, s.Config.Responders.Searches, s.Config.Responders.Services})
	if err != nil {
		return fmt.Errorf("tell the sources of the configuration apart: %w", err)
	}
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_result_cache_total",
		Help: "Questions by what answered them: an answer that was there (hit), another's of the same moment (shared), the source (miss), the source without the cache (away)."}, []string{"outcome"})
	s.counted = append(s.counted, counted)
	c := resultcache.Config{Salt: string(salt), Count: func(o resultcache.Outcome) { counted.WithLabelValues(string(o)).Inc() }}
	if s.redis == nil {
		c.Store = resultcache.NewMemory()
	} else {
		c.Store = resultcache.NewRedis(s.redis, func(err error) {
			s.Logger.Warn("the result cache does not answer; sources are asked", slog.String("error", err.Error()))
		})
	}
	s.results = resultcache.New(c)
	s.Cache = caches{s.Cache, s.results}
	return nil
}

// keeping puts the cache before those who ask sources.
func (s *Site) keeping(known map[domain.ResponderKind]queue.Responder) map[domain.ResponderKind]queue.Responder {
	kept := make(map[domain.ResponderKind]queue.Responder, len(known))
	for kind, r := range known {
		kept[kind] = s.results.Before(r)
	}
	return kept
}

// caches are the two of a response site, for those who see to them.
type caches struct {
	api.Cache
	results *resultcache.Cache
}

// Clear forgets what both keep.
func (c caches) Clear(ctx context.Context) (int64, error) {
	answers, err := c.Cache.Clear(ctx)
	if err != nil {
		return answers, err
	}
	results, err := c.results.Clear(ctx)
	return answers + results, err
}

// Stats looks at both; what is asked of a response site's is what sources said.
func (c caches) Stats(ctx context.Context) (responsecache.Stats, error) {
	out, err := c.Cache.Stats(ctx)
	if err != nil {
		return out, err
	}
	if out.Results, err = c.results.Kept(ctx); err != nil {
		return out, err
	}
	if out.Backend == "memory" {
		out.Keys += out.Results
	}
	out.HitRatio = c.results.HitRatio()
	return out, nil
}
