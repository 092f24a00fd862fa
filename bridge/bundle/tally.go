package bundle

import (
	"crypto/sha256"
	"hash"
)

// tally counts and hashes what is written to it. Its Write never fails.
type tally struct {
	n int64
	h hash.Hash
}

func newTally() tally { return tally{h: sha256.New()} }

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return t.h.Write(p)
}

func (t *tally) sum() (h Hash) {
	t.h.Sum(h[:0])
	return h
}
