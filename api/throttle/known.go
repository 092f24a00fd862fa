package throttle

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Known remembers which accounts logged in from which addresses, so that who
// guesses at an account from elsewhere does not lock its owner out. Redis and
// this process each remember; who is forgotten is only treated like a stranger.
type Known struct {
	throttle *Throttle
	mu       sync.Mutex
	since    map[string]time.Time
}

// knownFor is how long one right login counts.
const knownFor = 30 * 24 * time.Hour

// NewKnown returns what knows nobody, and asks where a throttle counts.
func NewKnown(t *Throttle) *Known { return &Known{throttle: t, since: map[string]time.Time{}} }

func knownName(id string) string { return Key{Rule: Rule{Name: "known"}, ID: id}.name() }

// Remember notes a right login.
func (k *Known) Remember(ctx context.Context, id string, now time.Time) {
	name := knownName(id)
	k.mu.Lock()
	if len(k.since) >= k.throttle.memory.max {
		clear(k.since)
	}
	k.since[name] = now
	k.mu.Unlock()
	k.throttle.try(ctx, now, func(ctx context.Context) error { return k.throttle.redis.Set(ctx, name, 1, knownFor).Err() })
}

// Knows reports whether there was a right login.
func (k *Known) Knows(ctx context.Context, id string, now time.Time) bool {
	name := knownName(id)
	k.mu.Lock()
	since, here := k.since[name]
	k.mu.Unlock()
	if here && now.Sub(since) < knownFor {
		return true
	}
	var there bool
	k.throttle.try(ctx, now, func(ctx context.Context) error {
		err := k.throttle.redis.Get(ctx, name).Err()
		there = err == nil
		if err == redis.Nil { //nolint:errorlint // documented to be returned as it is
			return nil
		}
		return err
	})
	return there
}
