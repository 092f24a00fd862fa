// Package apikey is the form of API keys:
//
//	spk_ + 30 characters of base62 (178 bits) + 6 of checksum (CRC-32 of the 30)
//
// The checksum keeps slips of the hand and random guesses from being looked up,
// and lets scanners of source code tell a key from other text. It protects
// nothing else: whoever knows this page can make one that is well formed.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash/crc32"
	"strings"
)

const (
	// Prefix is what every key begins with.
	Prefix = "spk_"

	randomChars   = 30
	checksumChars = 6
	length        = len(Prefix) + randomChars + checksumChars
	shownChars    = len(Prefix) + 6
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Hash is what is kept of a key: its SHA-256. A key has so many random bits
// that a slow hash would add nothing.
type Hash [sha256.Size]byte

// Equal compares in constant time.
func (h Hash) Equal(other Hash) bool { return subtle.ConstantTimeCompare(h[:], other[:]) == 1 }

// Key is a whole key. It prints as its first characters: the whole of it is
// had only by Reveal, once, for its owner.
type Key struct{ text string }

// New makes a key.
func New() Key {
	random := make([]byte, 0, randomChars)
	for b := make([]byte, 1); len(random) < randomChars; {
		rand.Read(b)                    // never fails: crypto/rand ends the program instead
		if b[0] < 4*byte(len(base62)) { // else some characters would be likelier
			random = append(random, base62[int(b[0])%len(base62)])
		}
	}
	return Key{Prefix + string(random) + checksum(string(random))}
}

// Parse reads a key, and refuses what has not the form of one.
func Parse(text string) (Key, bool) {
	random, ok := strings.CutPrefix(text, Prefix)
	if !ok || len(text) != length || strings.Trim(random, base62) != "" {
		return Key{}, false
	}
	sum := random[randomChars:]
	random = random[:randomChars]
	return Key{text}, subtle.ConstantTimeCompare([]byte(sum), []byte(checksum(random))) == 1
}

// Reveal returns the key itself.
func (k Key) Reveal() string { return k.text }

// Hash returns what may be kept.
func (k Key) Hash() Hash { return sha256.Sum256([]byte(k.text)) }

// Shown returns the first characters, by which people tell their keys apart.
func (k Key) Shown() string { return k.text[:min(shownChars, len(k.text))] }

// String keeps the key out of messages.
func (k Key) String() string { return k.Shown() + "…" }

// GoString keeps the key out of messages.
func (k Key) GoString() string { return k.String() }

// checksum writes the CRC-32 (IEEE) of the random part in base62.
func checksum(random string) string {
	n := crc32.ChecksumIEEE([]byte(random))
	var out [checksumChars]byte
	for i := checksumChars - 1; i >= 0; i-- {
		out[i] = base62[n%uint32(len(base62))]
		n /= uint32(len(base62))
	}
	return string(out[:])
}
