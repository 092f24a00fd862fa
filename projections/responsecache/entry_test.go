package responsecache

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// FuzzDecode looks for values that are read as something else than what they
// would be written as.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"position":7,"owner":"a","body":{"a":1}}`))
	f.Add([]byte(`{"position":7,"owner":"a","body":}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, ok := decode(value)
		if !ok {
			return
		}
		written, err := checked(e)
		if err != nil {
			if len(e.Body) == 0 {
				return
			}
			t.Fatalf("%q is read as %+v, which cannot be written: %v", value, e, err)
		}
		again := encode(written)
		back, ok := decode(again)
		if !ok || back.Owner != e.Owner || back.Position != e.Position || !bytes.Equal(back.Body, e.Body) {
			t.Fatalf("%q is read as %+v, and that back as %+v", value, e, back)
		}
		if json.Valid(e.Body) && !json.Valid(again) {
			t.Fatalf("%s is no JSON", again)
		}
	})
}

func TestFuzzCorpusIsThere(t *testing.T) {
	t.Parallel()
	seeds, err := os.ReadDir("testdata/fuzz/FuzzDecode")
	if err != nil || len(seeds) == 0 {
		t.Fatalf("no seeds: %v", err)
	}
}

func TestAHitAllocatesLittle(t *testing.T) {
	value := encode(Entry{Owner: "0123456789", Position: 12345678, Body: []byte(`[1]`)})
	if n := testing.AllocsPerRun(100, func() { decode(value) }); n > 2 {
		t.Errorf("taking a hit apart allocates %v times, want at most 2", n)
	}
}
