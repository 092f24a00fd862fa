// Package throttle slows down guessing: it counts the failures of each key and
// refuses a key that has used up its allowance, until time gives some back.
//
// Only failures cost, so that a busy client which logs in rightly is never
// slowed down. An outcome is judged after the work, in one step with the
// count: however many guesses run side by side, no more of them than the
// allowance are told whether they were right.
//
// It counts in this process's memory, a bounded number of keys; who is
// forgotten to make room begins anew.
package throttle

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config says how much a key may fail.
type Config struct {
	Burst int           // failures that are free at first
	Every time.Duration // one failure is forgiven in this time
	Keys  int           // keys remembered; 0 means 100,000
}

// Throttle counts failures by key. It is safe for concurrent use.
type Throttle struct {
	config Config
	mu     sync.Mutex
	keys   map[string]*rate.Limiter
}

// New returns a throttle that nobody has failed at.
func New(c Config) *Throttle {
	if c.Keys <= 0 {
		c.Keys = 100_000
	}
	return &Throttle{config: c, keys: map[string]*rate.Limiter{}}
}

// Blocked returns how long to wait before another try is of use; 0 means now.
func (t *Throttle) Blocked(key string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.blocked(key, now)
}

// Outcome judges a try that has been made. If the key is blocked by now, the
// wait is returned and the outcome must not be told; else a failure is counted.
func (t *Throttle) Outcome(key string, failed bool, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.blocked(key, now); wait > 0 {
		return wait
	}
	if failed {
		t.limiter(key, now).AllowN(now, 1)
	}
	return 0
}

func (t *Throttle) blocked(key string, now time.Time) time.Duration {
	l, ok := t.keys[key]
	if !ok {
		return 0
	}
	if left := l.TokensAt(now); left < 1 {
		return max(time.Second, time.Duration((1-left)*float64(t.config.Every)))
	}
	return 0
}

func (t *Throttle) limiter(key string, now time.Time) *rate.Limiter {
	l, ok := t.keys[key]
	if !ok {
		if len(t.keys) >= t.config.Keys {
			t.shrink(now)
		}
		l = rate.NewLimiter(rate.Every(t.config.Every), t.config.Burst)
		t.keys[key] = l
	}
	return l
}

// shrink forgets those who have all of their allowance again, and some others
// if that is not enough.
func (t *Throttle) shrink(now time.Time) {
	for key, l := range t.keys {
		if l.TokensAt(now) >= float64(t.config.Burst) {
			delete(t.keys, key)
		}
	}
	for key := range t.keys {
		if len(t.keys) <= t.config.Keys*3/4 {
			return
		}
		delete(t.keys, key)
	}
}
