package boot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/domain"
	"sallyport/responders/queue"
)

const maxAtOnce = 256

// sources are all that a response site may ask, by kind.
func (r Responders) sources() map[domain.ResponderKind][]string {
	return map[domain.ResponderKind][]string{
		domain.ResponderSQL:           slices.Sorted(maps.Keys(r.Sources)),
		domain.ResponderElasticsearch: slices.Sorted(maps.Keys(r.Searches)),
		domain.ResponderHTTP:          slices.Sorted(maps.Keys(r.Services)),
	}
}

// atOnce is how many questions each source is asked at once.
func (r Responders) atOnce() map[string]int {
	limits := map[string]int{}
	for kind, names := range r.sources() {
		for _, name := range names {
			key := queue.SourceKey(kind, name)
			limits[key] = cmp.Or(r.Concurrency[key], r.Concurrency[string(kind)], r.Workers, defaultWorkers)
		}
	}
	return limits
}

// mostAtOnce is the largest limit of a kind's sources.
func (r Responders) mostAtOnce(kind domain.ResponderKind) int {
	most := 0
	for key, n := range r.atOnce() {
		if strings.HasPrefix(key, queue.SourceKey(kind, "")) {
			most = max(most, n)
		}
	}
	return most
}

func (r Responders) checkConcurrency() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(r.Concurrency)) {
		kind, name, one := strings.Cut(key, "/")
		names, known := r.sources()[domain.ResponderKind(kind)]
		errs = append(errs,
			rule(known && (!one || slices.Contains(names, name)), fmt.Sprintf("responders.concurrency: %q must be a kind of responder, such as sql, or one of its sources that are configured, such as sql/flights", key)),
			rule(r.Concurrency[key] >= 1 && r.Concurrency[key] <= maxAtOnce, fmt.Sprintf("responders.concurrency.%s: must be 1 to %d", key, maxAtOnce)))
	}
	return errors.Join(errs...)
}
