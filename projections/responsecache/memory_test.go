package responsecache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/projections/responsecache"
)

func TestMemoryEvictsWhatWasNotAskedForLongest(t *testing.T) {
	t.Parallel()
	c := responsecache.NewMemory(responsecache.MemoryConfig{MaxBytes: 10_000})
	body := `"` + strings.Repeat("x", 2000) + `"` // four of them fit
	for n := range 4 {
		set(t, c, fmt.Sprint(n), entry(1, body))
	}
	there(t, c, "0")
	set(t, c, "4", entry(1, body))
	for n, want := range []int64{1, 0, 1, 1, 1} {
		if got := there(t, c, fmt.Sprint(n)).Position; got != want {
			t.Errorf("answer %d: position %d, want %d", n, got, want)
		}
	}
	set(t, c, "5", entry(1, `"`+strings.Repeat("x", 10_000)+`"`))
	if there(t, c, "5").Position != 0 || there(t, c, "4").Position != 1 {
		t.Error("an answer larger than the cache is kept, or drives others out")
	}
	for n := range 1000 {
		set(t, c, fmt.Sprint("small", n), entry(1, `{}`))
	}
	if there(t, c, "small999").Position != 1 || there(t, c, "small0").Position != 0 {
		t.Error("many small answers are not bounded by their overhead")
	}
}

func TestMemoryKeepsTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	c := responsecache.NewMemory(responsecache.MemoryConfig{Now: func() time.Time { return now }})
	set(t, c, "r1", entry(1, `{}`))
	now = now.Add(responsecache.TTL - time.Second)
	if there(t, c, "r1").Position != 1 {
		t.Error("it is gone before its time")
	}
	now = now.Add(time.Second)
	if there(t, c, "r1").Position != 0 {
		t.Error("it is there after its time")
	}
}
