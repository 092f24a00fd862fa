package schema

import (
	"bytes"
	"encoding/json"
	"sync"
)

// ParameterCache keeps compiled schemas, since compiling one costs a thousand
// times as much as applying it. It is safe for concurrent use and keeps at
// most as many as it was made for, dropping any other one to make room.
type ParameterCache struct {
	size int

	mu      sync.RWMutex
	entries map[parameterKey]parameterEntry
}

type parameterKey struct {
	name    string
	version int
}

// parameterEntry keeps the source, so that a schema that was changed without
// a new version is never mistaken for the old one.
type parameterEntry struct {
	raw        []byte
	parameters *Parameters
}

// NewParameterCache makes a cache of at most size schemas; 0 means 256.
func NewParameterCache(size int) *ParameterCache {
	if size <= 0 {
		size = 256
	}
	return &ParameterCache{size: size, entries: map[parameterKey]parameterEntry{}}
}

// Get returns the compiled schema of a request type's version, compiling raw
// if it is not at hand. Errors are those of [CompileParameters] and are not kept.
func (c *ParameterCache) Get(name string, version int, raw json.RawMessage) (*Parameters, error) {
	key := parameterKey{name, version}
	c.mu.RLock()
	have, ok := c.entries[key]
	c.mu.RUnlock()
	if ok && bytes.Equal(have.raw, raw) {
		return have.parameters, nil
	}
	p, err := CompileParameters(raw)
	if err != nil {
		return nil, err
	}
	c.put(key, parameterEntry{raw: bytes.Clone(raw), parameters: p})
	return p, nil
}

func (c *ParameterCache) put(key parameterKey, e parameterEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, replaced := c.entries[key]; !replaced && len(c.entries) >= c.size {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[key] = e
}

// Len returns how many schemas are kept now.
func (c *ParameterCache) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}
