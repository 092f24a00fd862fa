package bridge_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/media"
	"sallyport/domain"
	"sallyport/eventstore"
)

func (e *end) writeMedium(t *testing.T, dir string) bridge.MediumWritten {
	t.Helper()
	w, err := e.WriteMedium(t.Context(), bridge.MediumWrite{Dir: dir, Operator: "cli:ann"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (e *end) readMedium(t *testing.T, dir string) media.Taken {
	t.Helper()
	r, err := e.ReadMedium(t.Context(), bridge.MediumRead{Dir: dir, Operator: "cli:ben"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// custody gives the events about media in a site's own log.
func (e *end) custody(t *testing.T) (all []eventstore.Line) {
	t.Helper()
	for _, l := range e.mirrored(t, e.Card().Name) {
		if strings.HasPrefix(l.Type, "media.") {
			all = append(all, l)
		}
	}
	return all
}

func dataOf[T any](t *testing.T, l eventstore.Line) (fact T, stream, actor string) {
	t.Helper()
	var line struct {
		Stream, Actor string
		Data          T
	}
	if err := json.Unmarshal(l.Bytes, &line); err != nil {
		t.Fatal(err)
	}
	return line.Data, line.Stream, line.Actor
}

func files(w bridge.MediumWritten) (names []string) {
	for _, f := range w.Files {
		names = append(names, f.Name)
	}
	return names
}

// Two media carry what two operators put on them; each hand that had one in it
// is in the log, and what has arrived may be wiped.
func TestMediaCarryAndAreRecorded(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	first := field.exportOne(t, "core")
	red, blue, back := t.TempDir(), t.TempDir(), t.TempDir()
	lost := field.writeMedium(t, t.TempDir())
	w := field.writeMedium(t, red)
	if w.Peer != "core" || !slices.Equal(files(w), []string{first.File}) || len(w.Wipe) > 0 {
		t.Fatalf("%+v", w)
	}
	recorded := field.custody(t)
	if len(recorded) != 2 {
		t.Fatalf("%d events", len(recorded))
	}
	got, stream, actor := dataOf[domain.MediaWritten](t, recorded[1])
	want := domain.CarriedBundle{File: first.File, ID: first.ID, SHA256: w.Files[0].SHA256, Bytes: first.Bytes}
	if stream != "custody-"+w.Medium || actor != "cli:ann" || got.Operator != "cli:ann" || got.Medium != w.Medium ||
		got.Serial != w.Serial.Text || got.SerialFrom != w.Serial.From || !slices.Equal(got.Bundles, []domain.CarriedBundle{want}) {
		t.Errorf("%+v in %s by %s", got, stream, actor)
	}
	if st := field.status(t); st.Carry[0].Medium != w.Serial.Text || !strings.Contains(st.NextAction, "bring medium") {
		t.Errorf("on a medium, and the status says %q of %+v", st.NextAction, st.Carry)
	}
	carried, err := field.Carried(t.Context())
	if c := carried[first.File]; err != nil || len(carried) != 1 || c.Medium != w.Medium || c.SHA256 != want.SHA256 || c.At.IsZero() {
		t.Errorf("%+v, %v", carried, err)
	}
	if field.writeMedium(t, red); len(field.custody(t)) != 2 {
		t.Error("nothing new was recorded again")
	}

	core.readMedium(t, red)
	core.expect(t, bridge.Applied)
	taken, stream, _ := dataOf[domain.MediaRead](t, core.custody(t)[0])
	if stream != "custody-"+w.Medium || taken.Operator != "cli:ben" || taken.Medium != w.Medium || !slices.Equal(taken.Bundles, []domain.CarriedBundle{want}) {
		t.Errorf("%+v in %s", taken, stream)
	}
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	core.exportOne(t, "field")
	core.writeMedium(t, back)
	field.readMedium(t, back)
	field.expect(t, bridge.Applied)

	field.submit(t)
	second := field.exportOne(t, "core")
	w2 := field.writeMedium(t, blue)
	if !slices.Equal(files(w2), []string{second.File}) {
		t.Errorf("what was acknowledged is carried again: %q", files(w2))
	}
	wantWipe(t, w2, wipe{w.Medium, false}, wipe{lost.Medium, false})
	wantWipe(t, field.writeMedium(t, red), wipe{w.Medium, true}, wipe{lost.Medium, false})
	if err := os.Remove(filepath.Join(red, first.File)); err != nil {
		t.Fatal(err)
	}
	wantWipe(t, field.writeMedium(t, red), wipe{lost.Medium, false})
	wantWipe(t, field.writeMedium(t, blue), wipe{lost.Medium, false})
	for _, e := range []*end{field, core} {
		if due := e.export(t, map[*end]string{field: "core", core: "field"}[e]); len(due) > 0 {
			t.Errorf("custody made a bundle due: %+v", due)
		}
	}
}

type wipe struct {
	medium string
	here   bool
}

// wantWipe checks from which media the first bundle may be wiped.
func wantWipe(t *testing.T, w bridge.MediumWritten, want ...wipe) {
	t.Helper()
	var got []wipe
	for _, m := range w.Wipe {
		if got = append(got, wipe{m.Medium, m.Here}); len(m.Files) != 1 || !strings.Contains(m.Files[0], "_0000000001.") {
			t.Errorf("%+v", m)
		}
	}
	order := func(a, b wipe) int { return strings.Compare(a.medium, b.medium) }
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		t.Errorf("may be wiped: %+v, want %+v", got, want)
	}
}

// A bundle that came back unacknowledged and goes onto the medium again was
// handed over again.
func TestCopyingAgainIsRecordedAgain(t *testing.T) {
	t.Parallel()
	field, _ := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	dir := t.TempDir()
	field.writeMedium(t, dir)
	before, err := field.Carried(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, out.File)); err != nil {
		t.Fatal(err)
	}
	field.writeMedium(t, dir)
	after, err := field.Carried(t.Context())
	if err != nil || len(field.custody(t)) != 2 || !after[out.File].At.After(before[out.File].At) {
		t.Errorf("%d events, %+v, then %+v, %v", len(field.custody(t)), before, after, err)
	}
}

func TestDryRunsOfMediaRecordNothing(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	field.exportOne(t, "core")
	dir := t.TempDir()
	w, err := field.WriteMedium(t.Context(), bridge.MediumWrite{Dir: dir, Operator: "cli:ann", DryRun: true})
	if err != nil || len(w.Files) != 1 || !w.DryRun {
		t.Errorf("%+v, %v", w, err)
	}
	if r, err := core.ReadMedium(t.Context(), bridge.MediumRead{Dir: dir, Operator: "cli:ben", DryRun: true}); err != nil || len(r.Files) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	core.readMedium(t, dir) // a folder that is no medium and brings nothing
	if carried, err := field.Carried(t.Context()); err != nil || len(carried)+len(field.custody(t))+len(core.custody(t)) > 0 {
		t.Errorf("%+v, %v", carried, err)
	}
}

// A medium without a marker is told of in a stream of its own.
func TestAMediumWithoutAMarkerIsRecorded(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, out.File), read(t, field, "outbox/"+out.File), 0o600); err != nil {
		t.Fatal(err)
	}
	core.readMedium(t, dir)
	core.readMedium(t, dir)
	all := core.custody(t)
	if len(all) != 2 {
		t.Fatalf("%d events", len(all))
	}
	a, one, _ := dataOf[domain.MediaRead](t, all[0])
	_, other, _ := dataOf[domain.MediaRead](t, all[1])
	if a.Medium != "" || a.Bundles[0].File != out.File || one == other {
		t.Errorf("%+v in %s and %s", a, one, other)
	}
	core.expect(t, bridge.Applied)
}

func TestAMediumGoesToOnePeer(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	other := newEnd(t, "other", domain.RequestSite)
	core.addLink(t, other.Card())
	dir := t.TempDir()
	if w := core.writeMedium(t, dir); w.Peer != "" || len(w.Files) > 0 {
		t.Errorf("with nothing to carry: %+v", w)
	}
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	core.exportOne(t, "field")
	if w := core.writeMedium(t, t.TempDir()); w.Peer != "field" || len(w.Files) != 1 {
		t.Errorf("%+v", w)
	}
	core.exportOne(t, "other")
	_, err := core.WriteMedium(t.Context(), bridge.MediumWrite{Dir: dir, Operator: "cli:ann"})
	var several *bridge.PeersError
	if !errors.As(err, &several) || !slices.Equal(several.Peers, []string{"field", "other"}) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("something was written: %v %v", entries, err)
	}
	if w, err := core.WriteMedium(t.Context(), bridge.MediumWrite{Dir: dir, Peer: "other", Operator: "cli:ann"}); err != nil || w.Peer != "other" || len(w.Files) != 1 {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := core.WriteMedium(t.Context(), bridge.MediumWrite{Dir: dir, Peer: "nobody", Operator: "cli:ann"}); !errors.Is(err, bridge.ErrNoLink) {
		t.Errorf("%v", err)
	}
	if r, err := field.ReadMedium(t.Context(), bridge.MediumRead{Dir: dir, Operator: "cli:ben"}); err != nil || len(r.Warnings) == 0 {
		t.Errorf("another site's medium: %+v, %v", r, err)
	}
}

// A beacon is acknowledged by nobody: the newest goes along, until what was made
// after it has arrived.
func TestTheNewestBeaconIsCarried(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	first := field.exportOne(t, "core")
	var newest bridge.Exported
	away := map[string][]byte{first.File: lose(t, field, first.File)} // what lies in the outbox needs no reminder
	for range 11 {                                                    // by their names the eleventh comes before the second
		newest = field.exportBeacon(t, "core")
		away[newest.File] = lose(t, field, newest.File)
	}
	for name, data := range away {
		if err := os.WriteFile(filepath.Join(field.dir, "outbox", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if w := field.writeMedium(t, dir); !slices.Equal(files(w), []string{first.File, newest.File}) || !w.Files[1].Beacon {
		t.Errorf("%q", files(w))
	}
	field.submit(t)
	second := field.exportOne(t, "core")
	for _, out := range []bridge.Exported{first, second} {
		carry(t, field, core, out.File)
	}
	core.expect(t, bridge.Applied, bridge.Applied)
	carry(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Applied)
	w := field.writeMedium(t, dir)
	if len(w.Files) > 0 || len(w.Wipe) != 1 || !slices.Equal(w.Wipe[0].Files, []string{newest.File, first.File}) {
		t.Errorf("%q, may be wiped: %+v", files(w), w.Wipe)
	}
}

// Media with more bundles than one event may name.
func TestManyBundlesOnOneMedium(t *testing.T) {
	t.Parallel()
	core := newEnd(t, "core", domain.ResponseSite)
	dir := t.TempDir()
	for seq := range 1001 {
		if err := os.WriteFile(filepath.Join(dir, nameOf("field", int64(seq+1))), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	core.readMedium(t, dir)
	var counts []int
	for _, l := range core.custody(t) {
		data, _, _ := dataOf[domain.MediaRead](t, l)
		counts = append(counts, len(data.Bundles))
	}
	if !slices.Equal(counts, []int{1000, 1}) {
		t.Errorf("events of %v bundles", counts)
	}
}
