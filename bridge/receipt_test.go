package bridge_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func TestAnAppliedBundleGetsASignedReceipt(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	name := out.File + ".receipt.json"
	clear := obstacle(t, core, "receipts/"+name)
	carry(t, field, core, out.File)
	if got, err := core.Import(t.Context()); err == nil {
		t.Fatalf("without a receipt: %+v", got)
	}
	clear()
	core.expect(t, bridge.Applied)
	verifier, err := note.NewVerifier(core.Card().Key)
	if err != nil {
		t.Fatal(err)
	}
	signed := read(t, core, "receipts/"+name)
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	var r bridge.Receipt
	if err := json.Unmarshal([]byte(n.Text), &r); err != nil {
		t.Fatal(err)
	}
	want := bridge.Receipt{Format: bridge.ReceiptFormat, Site: "core", Peer: "field", Seq: 1, ID: out.ID, File: out.File,
		AppliedAt: r.AppliedAt, Through: out.Through, Chain: core.link(t, "field").In.Chain}
	if r != want || r.AppliedAt == "" {
		t.Errorf("the receipt is %+v, want %+v", r, want)
	}
	var log bytes.Buffer
	core.Logger = slog.New(slog.NewTextHandler(&log, nil))
	carry(t, field, core, out.File)
	core.expect(t, bridge.Duplicate)
	if !strings.Contains(log.String(), "applied_at="+r.AppliedAt) {
		t.Errorf("the duplicate's line does not tell when it was applied (%s):\n%s", r.AppliedAt, &log)
	}
	if !bytes.Equal(read(t, core, "receipts/"+name), signed) || len(core.names(t, "receipts")) != 1 {
		t.Errorf("a duplicate changed the receipts: %q", core.names(t, "receipts"))
	}
}

// Nothing in the archive is replaced: beacons may share a name.
func TestTheArchiveKeepsBothOfOneName(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	past := []bundle.Event{ask()}
	name, first := forgery{from: field, kind: bundle.Beacon}.file(t)
	_, second := forgery{from: field, kind: bundle.Beacon, before: past}.file(t)
	for _, data := range [][]byte{first, second, first, second} {
		drop(t, core, name, data)
		core.expect(t, bridge.Applied)
	}
	withID := strings.Replace(name, ".jsonl", "."+manifestOf(t, second).Core.ID()+".jsonl", 1)
	got := core.archived(t)
	slices.Sort(got)
	want := []string{name, withID}
	slices.Sort(want)
	if !slices.Equal(got, want) || len(core.names(t, "staging")) != 0 {
		t.Fatalf("archived %q, want %q", got, want)
	}
	paths, err := filepath.Glob(filepath.Join(core.dir, "archive", "*", "*", name))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	if data, err := os.ReadFile(paths[0]); err != nil || !bytes.Equal(data, first) {
		t.Errorf("the first beacon was replaced: %v", err)
	}
}

// A beacon that comes under a data bundle's name does not take its place.
func TestABeaconUnderAFalseName(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	name, data := forgery{from: field, events: []bundle.Event{ask()}}.file(t)
	own, beacon := forgery{from: field, kind: bundle.Beacon}.file(t)
	drop(t, core, name, data)
	core.expect(t, bridge.Applied)
	drop(t, core, name, beacon)
	core.expect(t, bridge.Applied)
	got := core.archived(t)
	slices.Sort(got)
	if want := []string{own, name}; !slices.Equal(got, want) {
		t.Errorf("archived %q, want %q", got, want)
	}
}

// A bundle for a recovery is refused where nothing was lost, and is no offence.
func TestAReturnIsRefusedAndStopsNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	data := forgery{from: field, kind: bundle.Return, epoch: epochOf("core"), events: []bundle.Event{ask()}}.deliver(t, core)
	r := refused(t, core, "field", data, bundle.Refused, false)
	if !strings.Contains(r.Message, "nothing was lost") || strings.Contains(r.NextStep, "stopped") {
		t.Errorf("%q, %q", r.Message, r.NextStep)
	}
}

func TestStatusTellsWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	if got := field.status(t).NextAction; !strings.Contains(got, "carry 1 file") {
		t.Errorf("before it is carried: %q", got)
	}
	carry(t, field, core, out.File)
	if err := os.Remove(filepath.Join(field.dir, "outbox", out.File)); err != nil {
		t.Fatal(err)
	}
	if got := field.status(t).NextAction; !strings.Contains(got, "core: it has not acknowledged 1 bundle yet") {
		t.Errorf("after it was carried: %q", got)
	}
	drop(t, core, nameOf("moon", 1), []byte("no bundle"))
	core.expect(t, bridge.Applied, bridge.Quarantined)
	if s := core.status(t); s.Quarantined != 0 || s.QuarantinedInAll != 1 {
		t.Errorf("quarantined %d of %d", s.Quarantined, s.QuarantinedInAll)
	}
	core.append(t, domain.ProfileStream("staff"), domain.ProfileDefined{Name: "staff", Priority: 5, MaxResults: 10,
		Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}})
	carry(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Applied)
	if got := field.status(t).NextAction; got != "nothing to carry" {
		t.Errorf("after the acknowledgement: %q", got)
	}
}
