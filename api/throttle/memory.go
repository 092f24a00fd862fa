package throttle

import (
	"maps"
	"sync"
	"time"
)

// memory counts in this process, as the script does in Redis: for each key it
// keeps when all of its failures will be forgiven.
type memory struct {
	mu    sync.Mutex
	max   int
	clear map[string]time.Time
}

func newMemory(keys int) *memory { return &memory{max: keys, clear: map[string]time.Time{}} }

func (m *memory) judge(now time.Time, count bool, keys []Key) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wait time.Duration
	for _, k := range keys {
		left := float64(k.Rule.Burst) - float64(m.at(k, now).Sub(now))/float64(k.Rule.Every)
		if left < 1 {
			wait = max(wait, time.Second, time.Duration((1-left)*float64(k.Rule.Every)))
		}
	}
	if wait > 0 || !count {
		return wait
	}
	for _, k := range keys {
		at := m.at(k, now).Add(k.Rule.Every)
		if len(m.clear) >= m.max {
			m.shrink(now)
		}
		m.clear[k.name()] = at
	}
	return 0
}

// at is when a key will be forgiven; now if it has not failed.
func (m *memory) at(k Key, now time.Time) time.Time {
	if at := m.clear[k.name()]; at.After(now) {
		return at
	}
	return now
}

// shrink forgets those who are forgiven, and some others if that is not enough.
func (m *memory) shrink(now time.Time) {
	maps.DeleteFunc(m.clear, func(_ string, at time.Time) bool { return !at.After(now) })
	for name := range m.clear {
		if len(m.clear) <= m.max*3/4 {
			return
		}
		delete(m.clear, name)
	}
}
