package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is the value of a log's hash chain at one position, as bundle format 1
// defines it. bridge/bundle reads chains by its own code on purpose: what
// verifies a log shares nothing with what wrote it.
type Hash [sha256.Size]byte

// Genesis returns the chain's value before the first event of a log.
func Genesis(epoch, site string) Hash {
	return sha256.Sum256([]byte("sallyport-log/1\n" + epoch + "\n" + site))
}

// Next returns the chain's value after one more line.
func (h Hash) Next(line []byte) Hash { return h.link(sha256.Sum256(line)) }

func (h Hash) link(digest Hash) Hash {
	var both [2 * sha256.Size]byte
	copy(both[:], h[:])
	copy(both[sha256.Size:], digest[:])
	return sha256.Sum256(both[:])
}

// String returns the hash in lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(s string) (Hash, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return Hash{}, fmt.Errorf("%q is no chain hash: want 64 hex digits", s)
	}
	return Hash(b), nil
}
