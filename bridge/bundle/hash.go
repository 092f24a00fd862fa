package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Hash is a SHA-256 (FIPS 180-4). As text it is 64 lower-case hex digits, and
// only that is read. The zero Hash stands for "not known".
type Hash [sha256.Size]byte

var errHash = errors.New("a hash is 64 lower-case hex digits")

// Start is the chain's value at position 0 of the log that site keeps under epoch:
//
//	h(0) = SHA-256("sallyport-log/1\n" || epoch || "\n" || site)
func Start(epoch, site string) Hash {
	return sha256.Sum256([]byte("sallyport-log/1\n" + epoch + "\n" + site))
}

// Next is the chain's value after one more line (its bytes as stored, without LF):
//
//	h(p) = SHA-256( h(p-1) || SHA-256(line) )
func (h Hash) Next(line []byte) Hash { return h.NextDigest(sha256.Sum256(line)) }

// NextDigest is [Hash.Next] for a line of which only the SHA-256 is at hand.
func (h Hash) NextDigest(digest Hash) Hash {
	var both [2 * sha256.Size]byte
	copy(both[:], h[:])
	copy(both[sha256.Size:], digest[:])
	return sha256.Sum256(both[:])
}

// ParseHash reads what [Hash.String] writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if !isHex(s, hex.EncodedLen(len(h))) {
		return h, errHash
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

// String gives 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}

// isHex reports whether s is n lower-case hex digits.
func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
