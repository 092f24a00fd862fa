//go:build !race

// What is measured is the program as people run it: `make test` does this without
// the race detector.

package bench

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// build makes the program whose memory is measured.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sallyport")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, "sallyport/cmd/sallyport")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

// TestEveryFigure measures every figure for a moment, so that none of them rots, and
// then the event stores beside ours that need no npm. What it measures says
// nothing; that our reader misses nothing does.
func TestEveryFigure(t *testing.T) {
	t.Parallel()
	c := Config{Dir: t.TempDir(), Pairs: 1, Warm: 10 * time.Millisecond, Measure: 200 * time.Millisecond, Bulk: 1 << 20, Range: 4 << 20,
		Arrivals: 10, Events: 5000, Program: build(t), Say: t.Logf}.settled()
	every := figures()
	err := c.onRig(t.Context(), func(r *rig) error {
		figures, err := r.measured(t.Context(), every)
		expectMeasured(t, figures)
		if err != nil {
			return err
		}
		compared, err := r.comparePeers(t.Context(), "")
		expectCompared(t, compared)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, c.Dir)
}

func expectMeasured(t *testing.T, figures []Figure) {
	t.Helper()
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
}

func expectCompared(t *testing.T, c Comparison) {
	t.Helper()
	for i, p := range c.Peers {
		t.Logf("%+v", p)
		if byNPM := i >= 3; byNPM != (p.Absent != "") || !byNPM && (p.Rate <= 0 || p.Ours <= 0 || p.Ratio <= 0 || p.Written <= 0) {
			t.Errorf("%+v is not a measurement", p)
		}
	}
	if len(c.Peers) != 5 || c.Peers[0].Name != "sallyport" || c.Peers[0].Missed != 0 || c.Peers[0].Doubled != 0 {
		t.Errorf("compared: %+v", c.Peers)
	}
}
