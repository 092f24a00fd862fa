package token

import (
	"sync"
	"time"
)

// closed remembers sessions that ended while tokens of theirs may still be
// about. The number is bounded by the logouts within a token's lifetime.
type closed struct {
	mu       sync.RWMutex
	sessions map[string]time.Time // until when to remember
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
	for s, until := range c.sessions {
		if !now.Before(until) {
			delete(c.sessions, s)
		}
	}
	c.sessions[session] = now.Add(Lifetime)
}
