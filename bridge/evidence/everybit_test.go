//go:build !race

// One goroutine reads the same bytes again and again here, which the race
// detector makes ten times as slow: `make test` runs this without it.

package evidence_test

import (
	"bytes"
	"testing"

	"sallyport/bridge/bundle/bundletest"
	"sallyport/bridge/evidence"
)

// TestEveryBit: one bit changed anywhere, and every end that is cut off.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	file := signed(t, good(t), "field")
	known := bundletest.Trust("field", "core")
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 1 << (i % 8)
		if _, err := evidence.Check(changed, known); err == nil {
			t.Fatalf("byte %d changed from %q to %q was taken", i, file[i], changed[i])
		}
		if i%16 != 0 {
			continue
		}
		if _, err := evidence.Check(file[:i], known); err == nil {
			t.Fatalf("the first %d bytes were taken", i)
		}
	}
	if _, err := evidence.Check(append(bytes.Clone(file), '\n'), known); err == nil {
		t.Error("a byte more was taken")
	}
}
