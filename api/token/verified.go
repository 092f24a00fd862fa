package token

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// verified remembers the tokens whose signature was found right.
type verified struct {
	mu     sync.RWMutex
	max    int
	tokens map[[sha256.Size]byte]known
}

type known struct {
	Claims
	kid string // of the key that verified it
}

func newVerified(max int) *verified {
	return &verified{max: max, tokens: map[[sha256.Size]byte]known{}}
}

func (v *verified) get(sum [sha256.Size]byte, now time.Time) (Claims, bool) {
	v.mu.RLock()
	c, ok := v.tokens[sum]
	v.mu.RUnlock()
	return c.Claims, ok && now.Before(c.Expires)
}

// put makes room by forgetting the expired, and some others if need be: who
// is forgotten is only verified once more.
func (v *verified) put(sum [sha256.Size]byte, c Claims, kid string, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.tokens) >= v.max {
		v.shrink(now)
	}
	v.tokens[sum] = known{c, kid}
}

// drop forgets one token.
func (v *verified) drop(sum [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.tokens, sum)
}

// forget forgets all that one key verified.
func (v *verified) forget(kid string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	maps.DeleteFunc(v.tokens, func(_ [sha256.Size]byte, k known) bool { return k.kid == kid })
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
