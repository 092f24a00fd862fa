package responsecache

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
)

// MemoryConfig bounds a cache in memory.
type MemoryConfig struct {
	// MaxBytes bounds what all entries take together; 0 means 64 MiB. When it
	// is reached, what was not asked for longest goes first.
	MaxBytes int64
	// TTL is how long an answer is kept; 0 means 24 hours.
	TTL time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Memory keeps answers in the process's own memory, for sites without Redis.
// It is safe for concurrent use.
type Memory struct {
	config MemoryConfig
	asked

	mu     sync.Mutex
	bytes  int64
	byID   map[string]*list.Element       // of *kept
	byUser map[string]map[string]struct{} // the ids of each owner's entries
	order  *list.List                     // most recently asked for first
}

type kept struct {
	id      string
	entry   Entry
	expires time.Time
}

// overhead is roughly what an entry takes beside its own bytes.
const overhead = 256

func (k *kept) size() int64 { return int64(len(k.id)+len(k.entry.Owner)+len(k.entry.Body)) + overhead }

// NewMemory returns an empty cache.
func NewMemory(c MemoryConfig) *Memory {
	if c.MaxBytes <= 0 {
		c.MaxBytes = 64 << 20
	}
	if c.TTL <= 0 {
		c.TTL = TTL
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Memory{config: c, byID: map[string]*list.Element{}, byUser: map[string]map[string]struct{}{}, order: list.New()}
}

// Get returns the answer to a request, if it is there.
func (m *Memory) Get(_ context.Context, requestID string) (Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.live(requestID)
	if m.count(ok); !ok {
		return Entry{}, false, nil
	}
	m.order.MoveToFront(m.byID[requestID])
	return k.entry, true, nil
}

// live returns an entry that has not expired, and drops one that has.
func (m *Memory) live(id string) (*kept, bool) {
	at, ok := m.byID[id]
	if !ok {
		return nil, false
	}
	k := at.Value.(*kept)
	if !m.config.Now().Before(k.expires) {
		m.drop(id)
		return nil, false
	}
	return k, true
}

// Set keeps an answer unless a newer one is there already.
func (m *Memory) Set(_ context.Context, requestID string, e Entry) error {
	e, err := checked(e)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.live(requestID); ok && k.entry.Position > e.Position {
		return nil
	}
	m.drop(requestID)
	k := &kept{id: requestID, entry: e, expires: m.config.Now().Add(m.config.TTL)}
	if tooLarge(e) || k.size() > m.config.MaxBytes {
		return nil
	}
	m.byID[requestID] = m.order.PushFront(k)
	if m.byUser[e.Owner] == nil {
		m.byUser[e.Owner] = map[string]struct{}{}
	}
	m.byUser[e.Owner][requestID] = struct{}{}
	m.bytes += k.size()
	for m.bytes > m.config.MaxBytes {
		m.drop(m.order.Back().Value.(*kept).id)
	}
	return nil
}

// Delete forgets the answer to a request; that there is none is no error.
func (m *Memory) Delete(_ context.Context, requestID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(requestID)
	return nil
}

func (m *Memory) drop(id string) {
	at, ok := m.byID[id]
	if !ok {
		return
	}
	k := m.order.Remove(at).(*kept)
	m.bytes -= k.size()
	delete(m.byID, id)
	if delete(m.byUser[k.entry.Owner], id); len(m.byUser[k.entry.Owner]) == 0 {
		delete(m.byUser, k.entry.Owner)
	}
}

// ClearUser forgets all answers to one user and returns how many there were.
func (m *Memory) ClearUser(_ context.Context, user string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cleared int64
	for id := range m.byUser[user] {
		if _, ok := m.live(id); ok {
			m.drop(id)
			cleared++
		}
	}
	return cleared, nil
}

// Clear forgets all answers and returns how many there were.
func (m *Memory) Clear(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var cleared int64
	for id := range m.byID {
		if _, ok := m.live(id); ok {
			m.drop(id)
			cleared++
		}
	}
	return cleared, nil
}

// Stats looks at what is kept.
func (m *Memory) Stats(context.Context) (Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(len(m.byID))
	return Stats{Backend: "memory", Keys: n, Answers: n, UsedMemory: humanize.IBytes(uint64(m.bytes)), HitRatio: m.ratio()}, nil //nolint:gosec // it is never negative
}
