package bridge_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

func (e *end) preview(t *testing.T, peer string) []bridge.Exported {
	t.Helper()
	due, err := e.Preview(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	return due
}

// same checks that an export made exactly what was foretold; but what it notes
// in the log of one bundle may be withheld in the next.
func same(t *testing.T, foretold, made []bridge.Exported) {
	t.Helper()
	for i := range made {
		if i > 0 && i < len(foretold) {
			foretold[i].Through, foretold[i].Withheld = made[i].Through, made[i].Withheld
		}
		if i < len(foretold) && made[i].Kind == bundle.Data && !made[i].Again && foretold[i].Bytes == 0 {
			t.Errorf("no size was foretold: %+v", foretold[i])
		}
		made[i].File, made[i].ID, made[i].Bytes = "", "", 0
	}
	for i := range foretold {
		foretold[i].Bytes = 0
	}
	if !slices.Equal(foretold, made) {
		t.Errorf("foretold %+v\nmade     %+v", foretold, made)
	}
}

func TestAPreviewForetellsTheExportAndWritesNothing(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	step := func(what string, n int) []bridge.Exported {
		t.Helper()
		types, files, before := field.own(t), field.names(t, "outbox"), field.link(t, "core")
		due := field.preview(t, "core")
		if len(due) != n {
			t.Fatalf("%s: %+v, want %d", what, due, n)
		}
		if after := field.link(t, "core"); after.Self != before.Self || !slices.Equal(field.own(t), types) || !slices.Equal(field.names(t, "outbox"), files) {
			t.Errorf("%s: something was written", what)
		}
		made := field.exportAll(t, "core")
		same(t, due, slices.Clone(made))
		return made
	}
	field.submitMany(t, 3, true)
	first := step("events", 1)[0]
	if made := step("nothing", 0); len(made) > 0 {
		t.Fatalf("%+v", made)
	}
	if err := os.Remove(filepath.Join(field.dir, "outbox", first.File)); err != nil {
		t.Fatal(err)
	}
	step("a reminder", 1)
	field.submit(t)
	second := step("one more", 1)[0]
	carry(t, field, core, second.File)
	core.expect(t, bridge.Held)
	carry(t, core, field, core.exportBeacon(t, "field").File)
	field.receive(t)
	field.submit(t)
	if made := step("lost and new", 2); !made[0].Again || made[0].Seq != first.Seq || made[1].Again {
		t.Errorf("%+v", made)
	}
}

func TestAPreviewOfAStoppedLinkSaysSo(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	if err := field.Stop(t.Context(), "core", "people talk", "cli:test"); err != nil {
		t.Fatal(err)
	}
	if due, err := field.Preview(t.Context(), "core"); !errors.Is(err, bridge.ErrStopped) {
		t.Errorf("%+v, %v", due, err)
	}
	if _, err := core.Preview(t.Context(), "moon"); !errors.Is(err, bridge.ErrNoLink) {
		t.Errorf("a stranger: %v", err)
	}
}

// What the peer refused stops the link at the next export, not at a look.
func TestAPreviewDoesNotStopTheLink(t *testing.T) {
	t.Parallel()
	field, _, _, _ := refusal(t)
	if err := field.Resume(t.Context(), "core", "let us look", "cli:test"); err != nil {
		t.Fatal(err)
	}
	if _, err := field.Preview(t.Context(), "core"); !errors.Is(err, bridge.ErrStopped) {
		t.Errorf("%v", err)
	}
	if l := field.link(t, "core"); l.Stopped != "" {
		t.Errorf("a look stopped the link: %s", l.Stopped)
	}
}

func TestResendMakesAllOrNone(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var made []bridge.Exported
	for range 3 {
		field.submit(t)
		made = append(made, field.exportOne(t, "core"))
	}
	before := field.link(t, "core").Self.No
	if _, err := field.Resend(t.Context(), "core", "cli:test", []int64{1, 2, 9}); !errors.Is(err, bridge.ErrNeverMade) {
		t.Fatalf("a number that there never was: %v", err)
	}
	if no := field.link(t, "core").Self.No; no != before {
		t.Error("some were made all the same")
	}
	out, err := field.Resend(t.Context(), "core", "cli:test", []int64{1, 3})
	if err != nil || len(out) != 2 || out[0].ID != made[0].ID || out[1].ID != made[2].ID || !out[0].Again {
		t.Fatalf("%+v, %v", out, err)
	}
	carry(t, field, core, out[0].File)
	core.expect(t, bridge.Applied)
	if err := field.Stop(t.Context(), "core", "people talk", "cli:test"); err != nil {
		t.Fatal(err)
	}
	if _, err := field.Resend(t.Context(), "core", "cli:test", []int64{1}); !errors.Is(err, bridge.ErrStopped) {
		t.Errorf("of a stopped link: %v", err)
	}
}
