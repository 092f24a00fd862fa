package resultcache

import (
	"context"
	"sync"
	"time"

	"github.com/jellydator/ttlcache/v3"
)

// maxMemory bounds what a store in memory takes, in bytes. Then what was not
// asked for longest goes first.
const maxMemory = 64 << 20

// Memory keeps answers in the process's own memory, for sites without Redis. It
// is safe for concurrent use.
type Memory struct {
	values *ttlcache.Cache[string, []byte]

	mu     sync.Mutex
	asking map[string]string // who asks, by key
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	cost := func(item ttlcache.CostItem[string, []byte]) uint64 {
		return uint64(len(item.Key) + len(item.Value) + overhead)
	}
	return &Memory{values: ttlcache.New(ttlcache.WithMaxCost(maxMemory, cost), ttlcache.WithDisableTouchOnHit[string, []byte]()), asking: map[string]string{}}
}

// overhead is roughly what an entry takes beside its own bytes.
const overhead = 256

func (m *Memory) begin(_ context.Context, key, token string) (value []byte, mine bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if item := m.values.Get(key); item != nil {
		return item.Value(), false, nil
	}
	if _, taken := m.asking[key]; taken {
		return nil, false, nil
	}
	m.asking[key] = token
	return nil, true, nil
}

func (m *Memory) find(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if item := m.values.Get(key); item != nil {
		return item.Value(), nil
	}
	return nil, nil
}

// prolong does nothing: who asks is alive as long as the store is.
func (m *Memory) prolong(context.Context, string, string) error { return nil }

func (m *Memory) end(_ context.Context, key, token string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asking[key] != token {
		return nil
	}
	delete(m.asking, key)
	if ttl > 0 {
		m.values.Set(key, value, ttl)
	}
	return nil
}

func (m *Memory) drop(_ context.Context, key string) error {
	m.values.Delete(key)
	return nil
}

func (m *Memory) clear(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values.DeleteExpired()
	n := int64(m.values.Len())
	clear(m.asking)
	m.values.DeleteAll()
	return n, nil
}

func (m *Memory) count(context.Context) (int64, error) {
	m.values.DeleteExpired()
	return int64(m.values.Len()), nil
}
