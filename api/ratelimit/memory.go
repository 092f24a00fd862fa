package ratelimit

import (
	"context"
	"strings"
	"sync"
)

// maxUsers bounds whom memory remembers; beyond it somebody is forgotten.
const maxUsers = 100_000

// Memory counts in the memory of this process. It is safe for concurrent use.
type Memory struct {
	mu    sync.Mutex
	users map[string]map[string]Counter // by user and field
}

// NewMemory returns a memory that has counted nothing.
func NewMemory() *Memory { return &Memory{users: map[string]map[string]Counter{}} }

// Take counts a call, or refuses it, and returns the counters of its buckets.
func (m *Memory) Take(_ context.Context, a Ask) (bool, []Counter, error) {
	c := a.call(false)
	allowed, counters := m.run(&c)
	return allowed, counters, nil
}

// Give takes back what Take counted.
func (m *Memory) Give(_ context.Context, a Ask) ([]Counter, error) {
	c := a.call(true)
	_, counters := m.run(&c)
	return counters, nil
}

// Look returns the counters of a call's buckets and counts nothing.
func (m *Memory) Look(_ context.Context, a Ask) ([]Counter, error) {
	c := a.call(false)
	return m.look(&c), nil
}

// run does what the script does.
func (m *Memory) run(c *call) (allowed bool, counters []Counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counters = m.counters(c)
	if c.give {
		c.giveBack(counters)
		allowed = true
	} else {
		allowed = c.take(counters)
	}
	m.keep(c, counters)
	return allowed, counters
}

func (m *Memory) look(c *call) []Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters(c)
}

// Reset forgets what a user used of the windows, of all types and of single ones.
func (m *Memory) Reset(_ context.Context, user string, windows []Window) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for field := range m.users[user] {
		for _, w := range windows {
			if field == w.String() || strings.HasSuffix(field, "/"+w.String()) {
				delete(m.users[user], field)
			}
		}
	}
	return nil
}

// counters needs the lock.
func (m *Memory) counters(c *call) []Counter {
	counters, now := make([]Counter, len(c.buckets)), c.At.UnixMilli()
	for i, b := range c.buckets {
		counters[i] = m.users[c.User][b.field].from(b.window.Start(c.At).UnixMilli(), b, now)
	}
	return counters
}

// keep needs the lock.
func (m *Memory) keep(c *call, counters []Counter) {
	fields := m.users[c.User]
	if fields == nil {
		for other := range m.users {
			if len(m.users) < maxUsers {
				break
			}
			delete(m.users, other)
		}
		fields = make(map[string]Counter, len(c.buckets))
		m.users[c.User] = fields
	}
	for i, b := range c.buckets {
		fields[b.field] = counters[i]
	}
}

// remember stores what Redis said, to go on from when it goes away.
func (m *Memory) remember(c *call, counters []Counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(c, counters)
}
