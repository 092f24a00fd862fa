package ratelimit

import (
	"context"
	"time"

	"sallyport/internal/fuse"
)

// Limiter counts in Redis, and in memory while Redis is away. It is safe for
// concurrent use.
type Limiter struct {
	redis  *Redis
	memory *Memory
	fuse   *fuse.Fuse
}

// Config is what a limiter works on.
type Config struct {
	Redis *Redis // nil: it counts in memory
	// Failed is told whenever Redis did not answer; may be nil.
	Failed func(error)
}

// New returns a limiter.
func New(c Config) *Limiter {
	return &Limiter{redis: c.Redis, memory: NewMemory(), fuse: fuse.New(c.Failed)}
}

// Take counts a call, or refuses it. It always decides.
func (l *Limiter) Take(ctx context.Context, a Ask) Report { return l.decide(ctx, a.call(false)) }

// Give takes back what Take counted: nothing came of it, or nothing new.
func (l *Limiter) Give(ctx context.Context, a Ask) Report { return l.decide(ctx, a.call(true)) }

func (l *Limiter) decide(ctx context.Context, c call) Report {
	var allowed bool
	var counters []Counter
	inRedis := l.redis != nil && l.fuse.TryTimely(ctx, c.At, func(ctx context.Context) (err error) {
		allowed, counters, err = l.redis.run(ctx, c)
		return err
	})
	if inRedis {
		l.memory.remember(&c, counters)
	} else {
		allowed, counters = l.memory.run(&c)
	}
	return report(&c, counters, allowed, !inRedis)
}

// Look tells how far a user's limits are used, and counts nothing.
func (l *Limiter) Look(ctx context.Context, a Ask) Report {
	c := a.call(false)
	var counters []Counter
	inRedis := l.try(ctx, a.At, func(ctx context.Context) (err error) {
		counters, err = l.redis.look(ctx, &c)
		return err
	})
	if !inRedis {
		counters = l.memory.look(&c)
	}
	return report(&c, counters, true, !inRedis)
}

// Reset forgets what a user used of the windows. What other processes count
// without Redis stays.
func (l *Limiter) Reset(ctx context.Context, user string, windows []Window, now time.Time) {
	_ = l.memory.Reset(ctx, user, windows) // it does not fail
	l.try(ctx, now, func(ctx context.Context) error { return l.redis.Reset(ctx, user, windows) })
}

// try asks Redis, unless there is none or it failed a moment ago, and reports
// whether it answered.
func (l *Limiter) try(ctx context.Context, now time.Time, do func(context.Context) error) bool {
	return l.redis != nil && l.fuse.Try(ctx, now, do)
}
