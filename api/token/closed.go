package token

import (
	"maps"
	"sync"
	"time"
)

// closed remembers sessions that ended while tokens of theirs may still be
// about. The number is bounded by the logouts within a token's lifetime.
type closed struct {
	mu       sync.RWMutex
	sessions map[string]time.Time // until when to remember
	swept    time.Time
}

func newClosed() *closed { return &closed{sessions: map[string]time.Time{}} }

func (c *closed) has(session string, now time.Time) bool {
	if session == "" {
		return false
	}
	c.mu.RLock()
	until, ok := c.sessions[session]
	c.mu.RUnlock()
	return ok && now.Before(until)
}

func (c *closed) add(session string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.swept) >= sweepEvery {
		maps.DeleteFunc(c.sessions, func(_ string, until time.Time) bool { return !now.Before(until) })
		c.swept = now
	}
	if _, known := c.sessions[session]; !known {
		c.sessions[session] = now.Add(Lifetime + margin)
	}
}

const (
	sweepEvery = time.Minute
	// margin is for a token that was given out while its session was closed.
	margin = time.Minute
)
