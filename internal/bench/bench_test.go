package bench

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
)

// The names are a contract: scripts ask for them.
var names = []string{"post_c64", "post_pgbench", "post_vs_row_lock",
	"append_callers_64", "append_callers_256", "append_fairness", "post_p99_17", "post_p99_200", "post_p99_login_flood", "reactor_lag_p99", "growth_append", "growth_get", "growth_list", "get_response_hit_c64",
	"export", "verify", "read_log", "import_bulk", "rebuild", "queue_drain", "enqueue_cost", "bundle_size", "small_bundle",
	"memory_export", "memory_verify", "memory_import", "memory_audit_verify", "memory_rebuild"}

func TestListNamesTheFigures(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, e := range List() {
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
	_, err := Run(t.Context(), Config{Dir: dir}, "post_c64", "nonsense")
	var unknown *UnknownFigureError
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
	keys := []string{"limit", "limit_name", "name", "pairs", "ratio", "target", "unit", "value"}
	for _, c := range []struct {
		figure Figure
		want   []string
	}{
		{Figure{}, keys},
		{Figure{AtMost: true}, append([]string{"at_most"}, keys...)},
	} {
		text, err := json.Marshal(c.figure)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, c.want) {
			t.Errorf("keys %v, want %v", got, c.want)
		}
	}
}

func TestMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		figure Figure
		want   bool
	}{
		{Figure{Ratio: 1, Target: 1, Pairs: 5}, true},
		{Figure{Ratio: 0.99, Target: 1, Pairs: 5}, false},
		{Figure{}, false},
		{Figure{Ratio: 1.03, Target: 1.03, Pairs: 1, AtMost: true}, true},
		{Figure{Ratio: 0.2, Target: 1.03, Pairs: 1, AtMost: true}, true},
		{Figure{Ratio: 1.04, Target: 1.03, Pairs: 1, AtMost: true}, false},
		{Figure{Target: 1, AtMost: true}, false},
	} {
		if c.figure.Met() != c.want {
			t.Errorf("%+v: met is %v", c.figure, !c.want)
		}
	}
}
