package bridge_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// restore opens the site of a backup on the folders that the site has now.
func (e *end) restore(t *testing.T, backup eventstoretest.Backup) *end {
	t.Helper()
	site := backup.Restore(t)
	return &end{Bridge: newBridge(t, site, site.Store, e.dir), site: site, dir: e.dir}
}

// restoreAll opens the site of a backup of database and folders.
func restoreAll(t *testing.T, backup eventstoretest.Backup, folders string) *end {
	t.Helper()
	site, dir := backup.Restore(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(folders)); err != nil {
		t.Fatal(err)
	}
	return &end{Bridge: newBridge(t, site, site.Store, dir), site: site, dir: dir}
}

func (e *end) checkRestored(t *testing.T) (readOnly string) {
	t.Helper()
	if err := e.CheckRestored(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e.head(t).ReadOnly
}

// converse sends one request across and its acknowledgement back.
func converse(t *testing.T, from, to *end) {
	t.Helper()
	from.submit(t)
	carry(t, from, to, from.exportOne(t, to.Card().Name).File)
	to.expect(t, bridge.Applied)
	carry(t, to, from, to.say(t, from.Card().Name).File)
	from.expect(t, bridge.Applied)
}

// say makes the one bundle or beacon that is due.
func (e *end) say(t *testing.T, peer string) bridge.Exported {
	t.Helper()
	out := e.exportAll(t, peer)
	if len(out) != 1 {
		t.Fatalf("%d files were made, want 1: %+v", len(out), out)
	}
	return out[0]
}

func (e *end) headFile(t *testing.T) (h struct {
	Epoch    string
	Position int64
	Chain    bundle.Hash
	Links    map[string]struct {
		Incarnation string
		No, Applied int64
	}
},
) {
	t.Helper()
	if err := json.Unmarshal(read(t, e, "head.json"), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheHeadFileTellsWhatLeft(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	if _, err := os.Stat(filepath.Join(field.dir, "head.json")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("before anything left: %v", err)
	}
	field.submit(t)
	before := field.head(t)
	out := field.exportOne(t, "core")
	h, l := field.headFile(t), field.link(t, "core")
	if h.Epoch != before.Epoch || h.Position != before.Pos || h.Chain != bundle.Hash(before.Chain) {
		t.Errorf("it says %+v, the log was at %+v", h, before)
	}
	if got := h.Links["core"]; got.Incarnation != l.Self.Incarnation || got.No != l.Self.No || got.Applied != 0 {
		t.Errorf("of the link it says %+v, want %+v", got, l.Self)
	}
	carry(t, field, core, out.File)
	core.expect(t, bridge.Applied)
	core.exportOne(t, "field")
	if got := core.headFile(t).Links["field"]; got.Applied != out.Through {
		t.Errorf("core says that it applied %d, want %d", got.Applied, out.Through)
	}
	if why := field.checkRestored(t) + core.checkRestored(t); why != "" {
		t.Errorf("taken for restored: %s", why)
	}
}

func TestALogThatLostEventsIsReadOnly(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	backup := field.site.Backup(t)
	converse(t, field, core)
	field.submit(t)

	old := field.restore(t, backup)
	if why := old.checkRestored(t); !strings.Contains(why, "its log ends at position") {
		t.Fatalf("read-only: %q", why)
	}
	if self := old.link(t, "core").Self; self.Incarnation == field.link(t, "core").Self.Incarnation || self.No < field.link(t, "core").Self.No {
		t.Errorf("the link lives on as %+v", self)
	}
	var refused *eventstore.ReadOnlyError
	if _, err := old.site.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{
		Stream: domain.RequestStream("1"), Facts: []domain.Fact{requested()}}}}); !errors.As(err, &refused) {
		t.Errorf("it still writes: %v", err)
	}
	if _, err := old.Resend(t.Context(), "core", "cli:test", []int64{1}); !errors.As(err, &refused) {
		t.Errorf("it still makes bundles: %v", err)
	}
	s := old.status(t)
	if s.ReadOnly == nil || !strings.Contains(s.NextAction, "link return field --after") {
		t.Errorf("status %+v", s)
	}
}

// A read-only site tells its peers by beacons, and holds what they send.
func TestAReadOnlySiteSpeaksAndHolds(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	backup := core.site.Backup(t)
	converse(t, field, core)
	old := core.restore(t, backup)
	old.checkRestored(t)
	head := old.head(t)

	field.submit(t)
	carry(t, field, old, field.exportOne(t, "core").File)
	drop(t, old, "sp1_field-core_00000000_0000000009.jsonl.zst", []byte("junk"))
	old.expect(t, bridge.Held, bridge.Held)
	out := old.exportBeacon(t, "field")
	if again := old.exportAll(t, "field"); len(again) > 1 {
		t.Errorf("it goes on talking: %+v", again)
	}
	if after := old.head(t); after != head {
		t.Errorf("the log went from %+v to %+v", head, after)
	}
	// The peer hears that the acknowledgement sank, and makes again what was lost.
	carry(t, old, field, out.File)
	field.expect(t, bridge.Applied)
	if got := field.link(t, "core").Out.AckedSeq; got != 1 {
		t.Errorf("the peer takes bundle %d for acknowledged, want 1", got)
	}
	again := field.export(t, "core")
	if !slices.ContainsFunc(again, func(e bridge.Exported) bool { return e.Seq == 2 && e.Again }) {
		t.Errorf("the peer made %+v, want bundle 2 again", again)
	}
}

// Where the log is whole, only the link forgot: it heals by itself.
func TestALinkThatForgotItsNumbersHeals(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	backup := core.site.Backup(t)
	for range 3 { // beacons leave no event
		if _, err := core.site.Owner.Exec(t.Context(), `UPDATE links SET owes = ack_no + 1`); err != nil {
			t.Fatal(err)
		}
		core.exportBeacon(t, "field")
	}
	old := core.restore(t, backup)
	if why := old.checkRestored(t); why != "" {
		t.Fatalf("read-only: %s", why)
	}
	was, now := core.link(t, "field").Self, old.link(t, "field").Self
	if now.Incarnation == was.Incarnation || now.No < was.No {
		t.Errorf("it goes on as %+v, was %+v", now, was)
	}
	old.checkRestored(t)
	if again := old.link(t, "field").Self; again != now {
		t.Errorf("a second look made another of it: %+v, then %+v", now, again)
	}
	carry(t, old, field, old.exportBeacon(t, "field").File)
	field.expect(t, bridge.Applied)
	converse(t, field, old)
}

// Written to after it was restored: the end is far enough and still not the same.
func TestALogOfAnotherHistoryIsReadOnly(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	backup := field.site.Backup(t)
	converse(t, field, core)
	old := field.restore(t, backup)
	for range 9 {
		old.submit(t)
	}
	if why := old.checkRestored(t); !strings.Contains(why, "written to since") {
		t.Errorf("read-only: %q", why)
	}
}

// When the folders came from the backup too, only people can know; and a peer
// that shows it stops its own link, no more.
func TestARestoredMachineIsToldSo(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	backup, folders := field.site.Backup(t), t.TempDir()
	if err := os.CopyFS(folders, os.DirFS(field.dir)); err != nil {
		t.Fatal(err)
	}
	converse(t, field, core)
	core.append(t, domain.SiteStream("core"), domain.LinkResumed{Peer: "field", Reason: "something to say"})
	said := core.exportOne(t, "field")

	old := restoreAll(t, backup, folders)
	if why := old.checkRestored(t); why != "" {
		t.Fatalf("nothing here shows it, yet: %s", why)
	}
	carry(t, core, old, said.File)
	old.receive(t)
	if l := old.link(t, "core"); !strings.Contains(l.Stopped, "restored from an old backup") || old.head(t).ReadOnly != "" {
		t.Errorf("stopped %q, read-only %q: a peer's word stops its link and no more", l.Stopped, old.head(t).ReadOnly)
	}
	before := old.link(t, "core").Self
	if err := old.DeclareRestored(t.Context(), "the disk broke", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	if why := old.head(t).ReadOnly; !strings.Contains(why, "cli:ann") || !strings.Contains(why, "the disk broke") {
		t.Errorf("read-only: %q", why)
	}
	if now := old.link(t, "core").Self; now.Incarnation == before.Incarnation || now.No <= before.No {
		t.Errorf("the link lives on as %+v, was %+v", now, before)
	}
}

func TestAHeadFileOfAnotherLog(t *testing.T) {
	t.Parallel()
	field, _ := pair(t)
	field.submit(t)
	field.exportOne(t, "core")
	h := string(read(t, field, "head.json"))
	other := strings.Replace(h, field.Card().Epoch, "ffffffffffffffffffffffffffffffff", 1)
	if err := os.WriteFile(filepath.Join(field.dir, "head.json"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if why := field.checkRestored(t); !strings.Contains(why, "another log") {
		t.Errorf("read-only: %q", why)
	}
	for _, bad := range []string{"", "{", strings.Replace(h, "sallyport-head/1", "x", 1), strings.Replace(h, `"epoch"`, `"Epoch"`, 1)} {
		if err := os.WriteFile(filepath.Join(field.dir, "head.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := field.CheckRestored(t.Context()); err == nil || !strings.Contains(err.Error(), "head.json") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What is known already stays known while the site is read-only, and a link that
// the backup did not have is added, because its peer must give something back.
func TestAReadOnlySiteForgetsNothing(t *testing.T) {
	t.Parallel()
	core := newEnd(t, "core", domain.ResponseSite)
	one, two := newEnd(t, "one", domain.RequestSite), newEnd(t, "two", domain.RequestSite)
	core.addLink(t, one.Card())
	one.addLink(t, core.Card())
	two.addLink(t, core.Card())
	converse(t, one, core)
	known := one.names(t, "outbox")
	known = slices.DeleteFunc(known, func(name string) bool { return !strings.HasSuffix(name, ".zst") })
	backup := core.site.Backup(t)
	core.addLink(t, two.Card())
	converse(t, two, core)

	old := core.restore(t, backup)
	if old.checkRestored(t) == "" {
		t.Fatal("it is not read-only")
	}
	carry(t, one, old, known[0])
	old.expect(t, bridge.Duplicate)
	carry(t, one, old, known[0])
	old.expect(t, bridge.Duplicate)
	giveBack(t, two, old, 0)
	if out := old.receive(t); bundle.CodeOf(out[0].Err) != bundle.Untrusted {
		t.Errorf("from a site without a link: %+v", out)
	}
	old.addLink(t, two.Card())
	r := old.recover(t, "one")
	if r.Events == 0 || len(r.Refused) != 0 {
		t.Errorf("recovered %+v", r)
	}
	again := old.reopen(t)
	if err := two.Refounded(t.Context(), again.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	comeToRest(t, two, again)
}
