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
	m.mu.Lock()
	defer m.mu.Unlock()
	buckets := a.buckets()
	counters := m.look(a, buckets)
	allowed := take(buckets, counters, a.At.UnixMilli())
	m.keep(a.User, buckets, counters)
	return allowed, counters, nil
}

// Look returns the counters of a call's buckets and counts nothing.
func (m *Memory) Look(_ context.Context, a Ask) ([]Counter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.look(a, a.buckets()), nil
}

// Give takes back what Take counted.
func (m *Memory) Give(_ context.Context, a Ask) ([]Counter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	buckets := a.buckets()
	counters := m.look(a, buckets)
	for i, b := range buckets {
		start := b.window.Start(a.At).UnixMilli()
		if counters[i].Start == start {
			counters[i].Count = max(0, counters[i].Count-int64(b.n))
		}
		// What was refused for want of what is given back is refused no more.
		counters[i] = counters[i].from(start, b, a.At.UnixMilli())
	}
	m.keep(a.User, buckets, counters)
	return counters, nil
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

// look needs the lock.
func (m *Memory) look(a Ask, buckets []bucket) []Counter {
	counters, now := make([]Counter, len(buckets)), a.At.UnixMilli()
	for i, b := range buckets {
		counters[i] = m.users[a.User][b.field].from(b.window.Start(a.At).UnixMilli(), b, now)
	}
	return counters
}

// keep needs the lock.
func (m *Memory) keep(user string, buckets []bucket, counters []Counter) {
	fields := m.users[user]
	if fields == nil {
		for other := range m.users {
			if len(m.users) < maxUsers {
				break
			}
			delete(m.users, other)
		}
		fields = make(map[string]Counter, len(buckets))
		m.users[user] = fields
	}
	for i, b := range buckets {
		fields[b.field] = counters[i]
	}
}

// remember stores what Redis said, to go on from when it goes away.
func (m *Memory) remember(user string, buckets []bucket, counters []Counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(user, buckets, counters)
}
