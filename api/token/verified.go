package token

import (
	"crypto/sha256"
	"sync"
	"time"
)

// verified remembers the tokens whose signature was found right.
type verified struct {
	mu     sync.RWMutex
	max    int
	tokens map[[sha256.Size]byte]Claims
}

func newVerified(max int) *verified {
	return &verified{max: max, tokens: map[[sha256.Size]byte]Claims{}}
}

func (v *verified) get(sum [sha256.Size]byte, now time.Time) (Claims, bool) {
	v.mu.RLock()
	c, ok := v.tokens[sum]
	v.mu.RUnlock()
	return c, ok && now.Before(c.Expires)
}

// put makes room by forgetting the expired, and some others if need be: who
// is forgotten is only verified once more.
func (v *verified) put(sum [sha256.Size]byte, c Claims, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.tokens) >= v.max {
		v.shrink(now)
	}
	v.tokens[sum] = c
}

func (v *verified) shrink(now time.Time) {
	for sum, c := range v.tokens {
		if !now.Before(c.Expires) {
			delete(v.tokens, sum)
		}
	}
	for sum := range v.tokens {
		if len(v.tokens) <= v.max*3/4 {
			return
		}
		delete(v.tokens, sum)
	}
}
