package bridge_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/bridge"
	"sallyport/domain"
)

func (e *end) prune(t *testing.T, p bridge.Prune) bridge.Pruned {
	t.Helper()
	before := e.tree(t)
	out, err := e.Prune(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	gone := len(before) - len(e.tree(t))
	if want := len(out.Removed); p.DryRun && gone != 0 || !p.DryRun && gone != want {
		t.Errorf("%d files are gone, said to be removed: %d", gone, want)
	}
	return out
}

func pruned(all []bridge.PrunedFile) (names []string) {
	for _, f := range all {
		names = append(names, filepath.Base(f.File))
	}
	slices.Sort(names)
	return names
}

// outgoing leaves the archive out.
func outgoing(all []bridge.PrunedFile) []string {
	return pruned(slices.DeleteFunc(slices.Clone(all), func(f bridge.PrunedFile) bool { return !strings.HasPrefix(f.File, "outbox/") }))
}

func labels(files ...string) (all []string) {
	for _, f := range files {
		all = append(all, f, f+".label.txt")
	}
	slices.Sort(all)
	return all
}

// swept is an acquainted pair of which nothing lies in outboxes and archives.
func swept(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = acquainted(t)
	for _, e := range []*end{field, core} {
		for _, name := range e.names(t, "outbox") {
			if name != ".tmp" {
				remove(t, e, "outbox/"+name)
			}
		}
		for _, x := range e.prune(t, bridge.Prune{}).Kept { // the newest beacon
			remove(t, e, x.File)
		}
	}
	return field, core
}

func remove(t *testing.T, e *end, file string) {
	t.Helper()
	if err := os.Remove(filepath.Join(e.dir, file)); err != nil {
		t.Fatal(err)
	}
}

// acknowledges lets core hear all and say so.
func acknowledges(t *testing.T, field, core *end) {
	t.Helper()
	core.receive(t)
	for _, x := range core.exportAll(t, "field") {
		carry(t, core, field, x.File)
	}
	field.receive(t)
}

// fresh is long enough for what a test has archived to stay.
var fresh = bridge.Prune{OlderThan: time.Hour}

func TestPruneTakesFromTheOutboxOnlyWhatArrived(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	field.submit(t)
	first := field.exportOne(t, "core").File
	field.submit(t)
	second := field.exportOne(t, "core").File
	if out := field.prune(t, fresh); len(out.Removed) > 0 || !slices.Equal(outgoing(out.Kept), labels(first, second)) {
		t.Fatalf("before anything arrived: %+v", out)
	}
	carry(t, field, core, first)
	acknowledges(t, field, core)
	remove(t, field, "outbox/"+first) // who moves a bundle often forgets its label
	want := []string{first + ".label.txt"}
	if out := field.prune(t, bridge.Prune{DryRun: true, OlderThan: time.Hour}); !out.DryRun || !slices.Equal(pruned(out.Removed), want) {
		t.Errorf("on paper: %+v", out)
	}
	if out := field.prune(t, fresh); !slices.Equal(pruned(out.Removed), want) || out.Bytes == 0 || out.Removed[0].Why == "" {
		t.Errorf("%+v", out)
	}
	if s := field.status(t); len(s.Carry) != 1 || s.Carry[0].File != second || s.Prunable != 0 {
		t.Errorf("to carry: %+v", s)
	}
}

// What people made again is to be carried again, though its number was
// acknowledged long ago, until the peer shows that it saw the new making.
func TestPruneKeepsWhatWasMadeAgain(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	field.submit(t)
	first := field.exportOne(t, "core").File
	carry(t, field, core, first)
	acknowledges(t, field, core)
	if _, err := field.Resend(t.Context(), "core", "cli:test", []int64{2}); err != nil {
		t.Fatal(err)
	}
	if s := field.status(t); len(s.Carry) != 1 || s.Prunable != 0 {
		t.Errorf("to carry: %+v", s.Carry)
	}
	if out := field.prune(t, fresh); len(out.Removed) > 0 {
		t.Fatalf("removed %+v", out.Removed)
	}
	carry(t, field, core, first)
	core.expect(t, bridge.Duplicate)
	core.submitProfile(t)
	acknowledges(t, field, core)
	if s := field.status(t); len(s.Carry) != 0 || s.Prunable != 1 {
		t.Errorf("to carry: %+v", s)
	}
	if out := field.prune(t, fresh); !slices.Equal(pruned(out.Removed), labels(first)) {
		t.Errorf("%+v", out)
	}
}

// A beacon goes when anything newer was written; the newest waits until it was seen.
func TestPruneTakesOvertakenBeacons(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	core.submitProfile(t)
	carry(t, core, field, core.exportOne(t, "field").File)
	field.receive(t)
	beacon := field.exportBeacon(t, "core").File
	if out := field.prune(t, fresh); len(out.Removed) > 0 {
		t.Fatalf("the newest beacon is gone: %+v", out.Removed)
	}
	field.submit(t)
	data := field.exportOne(t, "core").File
	if s := field.status(t); len(s.Carry) != 1 || s.Carry[0].File != data || s.Prunable != 1 {
		t.Errorf("to carry: %+v", s)
	}
	if out := field.prune(t, fresh); !slices.Equal(pruned(out.Removed), labels(beacon)) || !strings.Contains(out.Removed[0].Why, "later") {
		t.Errorf("%+v", out)
	}
}

func TestPruneTakesFromTheArchiveWhatIsOldAndKept(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	for range 2 {
		field.submit(t)
		carry(t, field, core, field.exportOne(t, "core").File)
	}
	core.expect(t, bridge.Applied, bridge.Applied)
	names := core.archived(t)
	if out := core.prune(t, fresh); len(out.Removed) > 0 || len(out.Kept) != 2 {
		t.Fatalf("what came just now: %+v", out)
	}
	// The database forgot one of them: it was restored to before.
	_, err := core.site.Pool.Exec(t.Context(), `DELETE FROM inbound_bundles WHERE seq = 2`)
	if err != nil {
		t.Fatal(err)
	}
	if out := core.prune(t, bridge.Prune{}); !slices.Equal(pruned(out.Removed), names[1:]) || !slices.Equal(pruned(out.Kept), names[:1]) {
		t.Errorf("%+v", out)
	}
	if receipts := core.names(t, "receipts"); len(receipts) != 3 {
		t.Errorf("receipts: %q", receipts)
	}
}

// Of a peer's beacons the newest stays, however old.
func TestPruneKeepsTheNewestBeacon(t *testing.T) {
	t.Parallel()
	field, core := swept(t)
	for range 3 {
		field.submit(t)
		carry(t, field, core, field.exportOne(t, "core").File)
		core.receive(t)
		carry(t, core, field, core.exportBeacon(t, "field").File)
		field.receive(t)
	}
	names := field.archived(t)
	if len(names) != 3 {
		t.Fatalf("archived %q", names)
	}
	if out := field.prune(t, fresh); len(out.Removed) != len(outgoing(out.Removed)) {
		t.Errorf("what came just now: %+v", out.Removed)
	}
	out := field.prune(t, bridge.Prune{})
	kept := slices.DeleteFunc(pruned(out.Kept), func(n string) bool { return strings.Contains(n, "field-core") })
	if !slices.Equal(kept, names[2:]) {
		t.Errorf("kept %q of %q", kept, names)
	}
}

// submitProfile appends an event that goes to every request site.
func (e *end) submitProfile(t *testing.T) {
	t.Helper()
	e.append(t, domain.ProfileStream("staff"), domain.ProfileDefined{Name: "staff", Priority: 5, MaxResults: 10,
		Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}})
}
