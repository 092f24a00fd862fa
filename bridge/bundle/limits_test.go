package bundle_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// Each limit holds on both sides, exactly.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := recipe{items: plainItems(events(0, 5))}
	raw := r.file(t)
	core := open(t, raw).Manifest().Core
	signed, _ := cut(raw)
	for name, c := range map[string]struct {
		at, over bundle.Limits
		writer   bool // the writer knows this limit too
	}{
		"lines":    {bundle.Limits{Lines: 5}, bundle.Limits{Lines: 4}, true},
		"plain":    {bundle.Limits{Plain: core.PlainBytes}, bundle.Limits{Plain: core.PlainBytes - 1}, true},
		"file":     {bundle.Limits{File: int64(len(raw))}, bundle.Limits{File: int64(len(raw)) - 1}, false},
		"manifest": {bundle.Limits{Manifest: len(signed)}, bundle.Limits{Manifest: len(signed) - 1}, false},
		"line":     {bundle.Limits{Line: len(r.items[0].line)}, bundle.Limits{Line: len(r.items[0].line) - 1}, true},
		"depth":    {bundle.Limits{Depth: 3}, bundle.Limits{Depth: 2}, true},
		"window":   {bundle.Limits{Window: int(core.PlainBytes)}, bundle.Limits{Window: int(core.PlainBytes) - 1}, false},
		"frame":    {bundle.Limits{Frame: int(core.PlainBytes)}, bundle.Limits{Frame: int(core.PlainBytes) - 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(raw, c.at, trusting("field")); err != nil {
				t.Error("at the limit:", err)
			}
			if _, err := read(raw, c.over, trusting("field")); bundle.CodeOf(err) != bundle.Refused && name != "manifest" || err == nil {
				t.Error("over the limit:", err)
			}
			if err := write(t, r, c.at); err != nil {
				t.Error("writing at the limit:", err)
			}
			if err := write(t, r, c.over); c.writer && bundle.CodeOf(err) != bundle.Refused {
				t.Error("writing over the limit:", err)
			}
		})
	}
}

// write tries to make the bundle within limits.
func write(t testing.TB, r recipe, limits bundle.Limits) error {
	t.Helper()
	r.limits = limits
	plan, _ := r.plan()
	w, err := bundle.NewWriter(context.Background(), io.Discard, plan)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, it := range r.items {
		if err := w.Line(it.line); err != nil {
			return err
		}
	}
	_, err = w.Finish()
	return err
}

func TestWriterStopsAtTheFileLimit(t *testing.T) {
	t.Parallel()
	err := write(t, recipe{items: plainItems(events(0, 100))}, bundle.Limits{File: 500})
	wantCode(t, err, bundle.Refused, "size limit")
}

// A line over the frame size stands alone in its frame, up to the longest there is.
func TestLongLinesStandAlone(t *testing.T) {
	t.Parallel()
	lines := events(0, 2)
	lines = append(lines, []byte(long(3, bundle.RecordedType, 16<<20)), eventAt(4, "request.submitted", `{}`))
	raw := recipe{items: plainItems(lines)}.file(t)
	frames := open(t, raw).Manifest().Frames
	if len(frames) != 3 || frames[1].Events != 1 || frames[1].First != 3 || frames[1].PlainBytes != 16<<20+1 {
		t.Errorf("frames %+v", frames)
	}
	got, err := read(raw, bundle.Limits{}, trusting("field"))
	if err != nil || len(got) != 4 {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

func TestFrameOverItsSizeHoldsOneLine(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range int64(6) {
		lines = append(lines, long(i+1, "request.submitted", 1<<20))
	}
	_, err := read(forge(lines...).file(t), bundle.Limits{}, trusting("field"))
	wantCode(t, err, bundle.Refused, "more than one line")
}

func TestPlanIsHeld(t *testing.T) {
	t.Parallel()
	good := recipe{items: plainItems(events(0, 3))}
	lines := events(0, 4)
	for name, c := range map[string]struct {
		change func(*bundle.Plan)
		lines  [][]byte
		says   string
	}{
		"no lines":        {nil, nil, "lines end at position 0"},
		"one less":        {nil, lines[:2], "lines end at position 2"},
		"one more":        {nil, lines, "does not follow"},
		"hole":            {nil, [][]byte{lines[0], lines[2]}, "does not follow"},
		"twice":           {nil, [][]byte{lines[0], lines[0]}, "does not follow"},
		"other content":   {nil, [][]byte{lines[0], lines[1], eventAt(3, "a.b", `{}`)}, "chain"},
		"not a line":      {nil, [][]byte{[]byte("{}")}, "not an event"},
		"two lines":       {nil, [][]byte{append(append([]byte{}, lines[0]...), '\n')}, "JSON"},
		"fewer announced": {func(p *bundle.Plan) { p.First.Events = 2 }, lines[:3], "more events"},
		"more announced":  {func(p *bundle.Plan) { p.First.Events = 4 }, lines[:3], "3 events, 4 announced"},
		"bad site":        {func(p *bundle.Plan) { p.First.Span.From = "Field" }, nil, "site names"},
		"bad salt":        {func(p *bundle.Plan) { p.First.Salt = "" }, nil, "salt"},
		"bad note":        {func(p *bundle.Plan) { p.First.Note = "\x00" }, nil, "note"},
		"long note":       {func(p *bundle.Plan) { p.First.Note = strings.Repeat("n", 4097) }, nil, "note"},
		"bad recipient":   {func(p *bundle.Plan) { p.Recipients = []string{"age1nobody"} }, nil, "recipient"},
		"empty beacon":    {func(p *bundle.Plan) { p.First.Span.Kind = bundle.Beacon }, nil, "beacon"},
	} {
		plan, _ := good.plan()
		if c.change != nil {
			c.change(&plan)
		}
		wantCode(t, tryPlan(plan, c.lines), bundle.Refused, c.says)
		if t.Failed() {
			t.Fatal("in", name)
		}
	}
}

func tryPlan(plan bundle.Plan, lines [][]byte) error {
	w, err := bundle.NewWriter(context.Background(), io.Discard, plan)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, l := range lines {
		if err := w.Line(l); err != nil {
			return err
		}
	}
	_, err = w.Finish()
	return err
}

// fullDisk fails after some bytes.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, fmt.Errorf("disk full")
	}
	return len(p), nil
}

// A stored line is believed to be one, and still must stand in its place, be no
// longer than a line may be, and lead to the plan's chain.
func TestStoredLinesAreHeldByThePlan(t *testing.T) {
	t.Parallel()
	line := text(1, `{}`)
	first := forge(line).first
	for name, c := range map[string]struct {
		pos    int64
		line   string
		ok     bool
		limits bundle.Limits
	}{
		"as planned":      {1, line, true, bundle.Limits{}},
		"another line":    {1, text(1, `{"x":1}`), false, bundle.Limits{}},
		"another place":   {2, line, false, bundle.Limits{}},
		"longer than may": {1, line, false, bundle.Limits{Line: 10, RecordedLine: 10}},
	} {
		w, err := bundle.NewWriter(t.Context(), io.Discard, bundle.Plan{First: first, Limits: c.limits})
		if err != nil {
			t.Fatal(err)
		}
		if err = w.Stored(c.pos, []byte(c.line)); err == nil {
			_, err = w.Finish()
		}
		w.Close()
		if c.ok != (err == nil) || !c.ok && bundle.CodeOf(err) != bundle.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriterSurvivesAFullDisk(t *testing.T) {
	t.Parallel()
	r := recipe{items: plainItems(events(0, 300)), limits: bundle.Limits{Frame: 1000}}
	plan, _ := r.plan()
	for _, left := range []int{0, 1, 900, 5000} {
		w, err := bundle.NewWriter(context.Background(), &fullDisk{left}, plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.items {
			if err = w.Line(it.line); err != nil {
				break
			}
		}
		if err == nil {
			_, err = w.Finish()
		}
		if err == nil || !strings.Contains(err.Error(), "disk full") || bundle.CodeOf(err) != "" {
			t.Errorf("%d bytes left: %v", left, err)
		}
		if again := w.Line(r.items[0].line); again == nil {
			t.Error("a failed writer goes on")
		}
		w.Close()
		w.Close()
	}
}

func TestCancelEndsBoth(t *testing.T) {
	t.Parallel()
	r := recipe{items: plainItems(events(0, 300)), limits: bundle.Limits{Frame: 1000}}
	plan, _ := r.plan()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w, err := bundle.NewWriter(ctx, io.Discard, plan)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Finish(); err == nil {
		t.Error("a cancelled writer finishes")
	}
	raw := r.file(t)
	f := open(t, raw)
	if err := f.VerifySignatures(trusting("field")); err != nil {
		t.Fatal(err)
	}
	if err := f.VerifyPayload(); err != nil {
		t.Fatal(err)
	}
	for range f.Lines(context.Background()) {
		break // the goroutine must end, see TestMain
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	n := 0
	for _, err = range f.Lines(ctx) {
		n++
		stop()
	}
	if err == nil || n >= 300 {
		t.Errorf("%d lines after cancel, %v", n, err)
	}
}

func TestStepsHaveAnOrder(t *testing.T) {
	t.Parallel()
	f := open(t, recipe{items: plainItems(events(0, 3))}.file(t))
	if err := f.VerifyPayload(); err == nil {
		t.Error("payload before signatures")
	}
	if err := f.VerifySignatures(trusting("field")); err != nil {
		t.Fatal(err)
	}
	for _, err := range f.Lines(context.Background()) {
		if err == nil {
			t.Error("lines before payload")
		}
	}
	if _, err := f.First(context.Background()); err == nil {
		t.Error("first line before payload")
	}
	if err := f.VerifyPayload(); err != nil {
		t.Fatal(err)
	}
	if err := f.VerifySignatures(trusting()); err == nil {
		t.Error("trusted by nobody")
	}
	for _, err := range f.Lines(context.Background()) {
		if err == nil {
			t.Error("lines although trust was withdrawn")
		}
	}
}

// brokenMedium is a stick that was pulled.
type brokenMedium struct{ io.ReaderAt }

func (brokenMedium) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPulledMediumSaysNothingAboutTheBundle(t *testing.T) {
	t.Parallel()
	raw := recipe{items: plainItems(events(0, 3))}.file(t)
	if _, err := bundle.Open(brokenMedium{bytes.NewReader(raw)}, int64(len(raw)), bundle.Limits{}); err == nil || bundle.CodeOf(err) != "" {
		t.Error(err)
	}
	// The file shrinks after it was opened: its manifest is there, the rest is not.
	f, err := bundle.Open(bytes.NewReader(raw[:len(raw)-10]), int64(len(raw)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.VerifySignatures(trusting("field")); err != nil {
		t.Fatal(err)
	}
	if err := f.VerifyPayload(); err == nil || bundle.CodeOf(err) != "" {
		t.Error(err)
	}
}
