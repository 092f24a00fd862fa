package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/projections/responsecache"
	"sallyport/responders/queue"
	"sallyport/responders/resultcache"
)

// openResults makes the cache of what sources said, on a response site.
func (s *Site) openResults() error {
	salt, err := s.Config.Responders.salt()
	if err != nil {
		return err
	}
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_result_cache_total",
		Help: "Questions by what answered them: an answer that was there (hit), another's of the same moment (shared), the source (miss), the source without the cache (away)."}, []string{"outcome"})
	s.counted = append(s.counted, counted)
	c := resultcache.Config{Salt: salt, Count: func(o resultcache.Outcome) { counted.WithLabelValues(string(o)).Inc() }}
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

// salt is what of the configuration decides on answers: a source that is
// elsewhere from now on, or that is asked by another login, has others. So it is
// with what its files hold. One that cannot be read changes nothing here: who
// opens the source says so.
func (r Responders) salt() (string, error) {
	held := map[string]string{}
	for _, file := range r.files() {
		if text, err := secret("", file); err == nil {
			held[file] = text
		}
	}
	text, err := json.Marshal([]any{r.Sources, r.Searches, r.Services, held})
	if err != nil {
		return "", fmt.Errorf("tell the sources of the configuration apart: %w", err)
	}
	sum := sha256.Sum256(text) // what stays in memory is no secret
	return hex.EncodeToString(sum[:]), nil
}

// files are those that the sources are opened with; empty: there is none.
func (r Responders) files() (all []string) {
	for _, s := range r.Sources {
		all = append(all, s.URLFile)
	}
	for _, s := range r.Searches {
		all = append(all, s.CAFile, s.APIKeyFile, s.PasswordFile)
	}
	for _, s := range r.Services {
		all = slices.AppendSeq(append(all, s.CAFile), maps.Values(s.HeaderFiles))
	}
	return all
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
