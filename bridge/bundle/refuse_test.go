package bundle_test

import (
	"runtime"
	"testing"

	"sallyport/bridge/bundle"
)

// A bundle that claims to be small must not get memory for being large.
func TestBombsStayBounded(t *testing.T) {
	var before, after runtime.MemStats
	zeros := forge(text(1, `{}`))
	zeros.frames = func([]byte) [][]byte { return [][]byte{zframe(make([]byte, 200<<20))} }
	raw := zeros.file(t)
	runtime.ReadMemStats(&before)
	_, err := read(raw, bundle.Limits{}, trusting("field"))
	runtime.ReadMemStats(&after)
	if bundle.CodeOf(err) != bundle.Refused {
		t.Errorf("200 MiB of zeros: %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("a refused bomb took %d bytes", used)
	}
}
