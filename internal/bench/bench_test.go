package bench_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"sallyport/internal/bench"
)

// The names are a contract: scripts ask for them.
var names = []string{"post_c64", "post_pgbench", "post_vs_row_lock",
	"append_callers_64", "append_callers_256", "get_response_hit_c64"}

func TestListNamesTheFigures(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, e := range bench.List() {
		listed = append(listed, e.Name)
		if e.What == "" || e.Unit == "" || e.Target <= 0 {
			t.Errorf("%+v lacks something", e)
		}
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v, want %v", listed, names)
	}
}

func TestAnUnknownNameStartsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := bench.Run(t.Context(), bench.Config{Dir: dir}, "post_c64", "nonsense")
	var unknown *bench.UnknownFigureError
	if !errors.As(err, &unknown) || unknown.Name != "nonsense" {
		t.Fatalf("got %v", err)
	}
	expectEmpty(t, dir)
}

func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestFigureAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(bench.Figure{})
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	want := []string{"limit", "limit_name", "name", "pairs", "ratio", "target", "unit", "value"}
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

func TestMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		figure bench.Figure
		want   bool
	}{
		{bench.Figure{Ratio: 1, Target: 1, Pairs: 5}, true},
		{bench.Figure{Ratio: 0.99, Target: 1, Pairs: 5}, false},
		{bench.Figure{}, false},
	} {
		if c.figure.Met() != c.want {
			t.Errorf("%+v: met is %v", c.figure, !c.want)
		}
	}
}

// TestRun measures every figure for a moment, so that none of them rots. What
// it measures says nothing.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	figures, err := bench.Run(t.Context(), bench.Config{Dir: dir, Pairs: 1, Warm: 10 * time.Millisecond,
		Measure: 200 * time.Millisecond, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	var measured []string
	for _, f := range figures {
		measured = append(measured, f.Name)
		t.Logf("%+v", f)
		if f.Pairs > 0 && (f.Value <= 0 || f.Limit <= 0 || f.Ratio <= 0) || f.LimitName == "" {
			t.Errorf("%+v is not a measurement", f)
		}
	}
	if !slices.Equal(measured, names) {
		t.Errorf("measured %v, listed %v", measured, names)
	}
	expectEmpty(t, dir)
}
