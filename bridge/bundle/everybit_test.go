//go:build !race

// One goroutine reads the same bytes again and again here, which the race
// detector makes ten times as slow: `make test` runs this without it.

package bundle_test

import (
	"slices"
	"testing"

	"sallyport/bridge/bundle"
)

// Each single bit of a file counts.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	for name, b := range small(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trust := trusting("field")
			if _, err := read(b.raw, bundle.Limits{}, trust, identities(b.id)...); err != nil {
				t.Fatal("the undamaged bundle:", err)
			}
			raw := slices.Clone(b.raw)
			for bit := range len(raw) * 8 {
				raw[bit/8] ^= 1 << (bit % 8)
				_, err := read(raw, bundle.Limits{}, trust, identities(b.id)...)
				raw[bit/8] ^= 1 << (bit % 8)
				code := bundle.CodeOf(err)
				inLength := bit/8 >= 4 && bit/8 < 8 // looks like a file that was cut off
				if code != bundle.Damaged && code != bundle.Untrusted && !(inLength && code == bundle.Incomplete) {
					t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
				}
			}
		})
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	t.Parallel()
	for name, b := range small(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range len(b.raw) {
				_, err := read(b.raw[:n], bundle.Limits{}, trusting("field"), identities(b.id)...)
				if bundle.CodeOf(err) != bundle.Incomplete {
					t.Fatalf("first %d bytes: %v", n, err)
				}
			}
		})
	}
}
