package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// reopen starts the site's program again.
func (e *end) reopen(t *testing.T) *end {
	t.Helper()
	site := *e.site
	store, err := eventstore.Open(t.Context(), site.Pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	site.Store = store
	again := &end{Bridge: newBridge(t, &site, store, e.dir), site: &site, dir: e.dir}
	again.checkRestored(t)
	return again
}

// giveBack carries what a peer returns of the site's log.
func giveBack(t *testing.T, from, to *end, after int64) []bridge.Exported {
	t.Helper()
	out, err := from.Return(t.Context(), to.Card().Name, after, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out {
		carry(t, from, to, e.File)
	}
	return out
}

func (e *end) recover(t *testing.T, without ...string) bridge.Recovered {
	t.Helper()
	r, err := e.Recover(t.Context(), without, "cli:ann")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (e *end) verifyAll(t *testing.T) (all []eventstore.Verified) {
	t.Helper()
	all, err := e.VerifyLogs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if !v.OK {
			t.Errorf("the log of %s, epoch %s: %+v", v.Origin, v.Epoch, v)
		}
	}
	return all
}

// lost is a request site that was restored to before its last two bundles, which
// core has applied; head.json survived.
func lost(t *testing.T) (old, core *end, before []eventstore.Line) {
	t.Helper()
	field, core := pair(t)
	converse(t, field, core)
	backup := field.site.Backup(t)
	converse(t, field, core)
	field.submitMany(t, 3, true)
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	before = field.mirrored(t, "field")
	old = field.restore(t, backup)
	if why := old.checkRestored(t); why == "" {
		t.Fatal("it is not read-only")
	}
	return old, core, before
}

// comeToRest carries everything to and fro until nothing is due.
func comeToRest(t *testing.T, x, y *end) {
	t.Helper()
	for range 6 {
		made := 0
		for _, way := range [][2]*end{{x, y}, {y, x}} {
			for _, e := range way[0].exportAll(t, way[1].Card().Name) {
				carry(t, way[0], way[1], e.File)
				made++
			}
			for _, o := range way[1].receive(t) {
				if o.State == bridge.Quarantined {
					t.Fatalf("%s refused %+v", way[1].Card().Name, o)
				}
			}
		}
		if made == 0 {
			return
		}
	}
	t.Fatal("the sites never come to rest")
}

func TestLostEventsComeHome(t *testing.T) {
	t.Parallel()
	old, core, before := lost(t)
	head := old.head(t)
	back := giveBack(t, core, old, head.Pos)
	if len(back) != 2 || back[0].Kind != bundle.Return {
		t.Fatalf("core gives back %+v, want two files", back)
	}
	old.expect(t, bridge.Held, bridge.Held)
	r := old.recover(t)
	if r.From != head.Pos || r.Through != back[1].Through || len(r.Refused) != 0 || r.Events+r.Lost != r.Through-r.From || r.Events < 4 {
		t.Errorf("recovered %+v", r)
	}
	field := old.reopen(t)
	if why := field.head(t).ReadOnly; why != "" {
		t.Fatalf("still read-only: %s", why)
	}
	now := map[int64]string{}
	for _, l := range field.mirrored(t, "field") {
		now[l.Pos] = string(l.Bytes)
	}
	for _, l := range before {
		k, _ := domain.KindOf(l.Type)
		if crossed := k.MayLeave(domain.RequestSite); crossed && now[l.Pos] != string(l.Bytes) {
			t.Errorf("position %d was %s and is %s", l.Pos, l.Bytes, now[l.Pos])
		}
	}
	if v := field.verifyAll(t); len(v) != 3 || v[0].Withheld != r.Lost || v[1].Epoch != r.Epoch {
		t.Errorf("verified %+v", v)
	}
	// Its files are of another epoch: core must be told first.
	if err := core.Refounded(t.Context(), field.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	field.submit(t)
	comeToRest(t, field, core)
	if l := core.link(t, "field"); l.In.Through != field.head(t).Pos && l.Start != r.Start {
		t.Errorf("core is at %+v", l)
	}
	if v := core.verifyAll(t); len(v) != 3 || v[1].Through != r.Through || v[2].Epoch != r.Epoch {
		t.Errorf("core verified %+v", v)
	}
	if l := field.link(t, "core"); l.Unacknowledged() || l.Out.Epoch != r.Epoch {
		t.Errorf("field's link: %+v", l.End)
	}
	if names := field.names(t, "staging"); len(names) != 0 {
		t.Errorf("left in staging: %v", names)
	}
	field.readsAsTheLog(t, core)
	core.readsAsTheLog(t, field)
}

// A response site's answers come home from the one who asked, and from nobody
// else: what one peer holds another withholds.
func TestWhatComesHomeIsMergedFromAllPeers(t *testing.T) {
	t.Parallel()
	core := newEnd(t, "core", domain.ResponseSite)
	one, two := newEnd(t, "one", domain.RequestSite), newEnd(t, "two", domain.RequestSite)
	var asked [2][]string
	for _, e := range []*end{one, two} {
		core.addLink(t, e.Card())
		e.addLink(t, core.Card())
	}
	backup := core.site.Backup(t)
	for i, e := range []*end{one, two, one, two} {
		id := e.submit(t)
		asked[i%2] = append(asked[i%2], id)
		carry(t, e, core, e.exportOne(t, "core").File)
		core.expect(t, bridge.Applied)
		core.append(t, domain.ResponseStream(id), domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(`[]`), Responder: domain.ResponderSQL})
		carry(t, core, e, core.exportOne(t, e.Card().Name).File)
		e.expect(t, bridge.Applied)
	}
	old := core.restore(t, backup)
	old.checkRestored(t)
	giveBack(t, one, old, old.head(t).Pos)
	if _, err := old.Recover(t.Context(), nil, "cli:ann"); err == nil || !strings.Contains(err.Error(), "two has given nothing back") {
		t.Fatalf("with a peer missing: %v", err)
	}
	giveBack(t, two, old, old.head(t).Pos)
	r := old.recover(t)
	again := old.reopen(t)
	for _, id := range append(asked[0], asked[1]...) {
		records, err := again.site.Store.ReadStream(t.Context(), domain.ResponseStream(id))
		if err != nil || len(records) != 1 || records[0].Origin != "core" {
			t.Errorf("the answer to %s: %+v, %v", id, records, err)
		}
	}
	again.verifyAll(t)
	for _, e := range []*end{one, two} {
		if err := e.Refounded(t.Context(), r.Card, "cli:bob"); err != nil {
			t.Fatal(err)
		}
		comeToRest(t, e, again)
		e.verifyAll(t)
	}
}

// What the peer says that we wrote counts only with our own signature.
func TestAForgedClaimOfLossIsRefused(t *testing.T) {
	t.Parallel()
	old, core, _ := lost(t)
	start := old.head(t)
	out, err := core.Return(t.Context(), "field", start.Pos, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*returning){
		"without a proof":     func(r *returning) { r.first.Proof = "" },
		"with another's key":  func(r *returning) { r.first.Proof = r.signedBy(t, core) },
		"another line":        func(r *returning) { r.lines[1].Raw = bytes.Replace(r.lines[1].Raw, []byte("AMS"), []byte("VIE"), 1) },
		"an event left out":   func(r *returning) { r.hideEvent() },
		"another first line":  func(r *returning) { r.first.Proof = strings.Replace(r.first.Proof, "cli:test", "cli:nobody", 1) },
		"of another position": func(r *returning) { r.first.Proof = openReturn(t, core, old, out[0].File).first.Proof },
	} {
		t.Run(name, func(t *testing.T) {
			r := openReturn(t, core, old, out[1].File)
			change(r)
			drop(t, old, out[1].File, r.file(t, core, old))
			got, err := old.Recover(t.Context(), nil, "cli:ann")
			if err == nil || !strings.Contains(err.Error(), "has given nothing back") {
				t.Errorf("recovered %+v, %v", got, err)
			}
			if len(got.Refused) != 1 || bundle.CodeOf(got.Refused[0].Err) != bundle.Untrusted {
				t.Errorf("refused %+v", got.Refused)
			}
			for _, staged := range old.names(t, "staging") {
				if err := os.Remove(filepath.Join(old.dir, "staging", staged)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if after := old.head(t); after != start {
		t.Errorf("the log went from %+v to %+v", start, after)
	}
	// The same, made by the same means and not forged.
	for _, e := range out {
		drop(t, old, e.File, openReturn(t, core, old, e.File).file(t, core, old))
	}
	if r := old.recover(t); len(r.Refused) != 0 || r.Through != out[1].Through {
		t.Errorf("recovered %+v", r)
	}
}

func TestAHealthySiteTakesNothingBack(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	head := field.head(t)
	giveBack(t, core, field, 0)
	field.expect(t, bridge.Quarantined)
	if l := field.link(t, "core"); l.Stopped != "" || field.head(t).ReadOnly != "" {
		t.Errorf("stopped %q", l.Stopped)
	}
	if _, err := field.Recover(t.Context(), nil, "cli:ann"); err == nil || !strings.Contains(err.Error(), "not read-only") {
		t.Errorf("recovered: %v", err)
	}
	if now := field.head(t); now.Epoch != head.Epoch {
		t.Error("the log was founded anew")
	}
}

// Wherever a recovery dies, it is run again and comes to the same end.
func TestARecoveryThatDiesGoesOn(t *testing.T) {
	t.Parallel()
	old, core, _ := lost(t)
	giveBack(t, core, old, old.head(t).Pos)
	begin := old.head(t)
	folders, err := bridge.OpenFolders(old.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folders.Close() })
	died := errors.New("the power failed")
	failing, err := bridge.New(bridge.Config{Log: old.site.Store, Pool: old.site.Pool, Folders: folders, Keys: old.Keys, Schemas: old.Schemas,
		Logger: old.Logger, Void: func(context.Context, pgx.Tx) error { return died }})
	if err != nil {
		t.Fatal(err)
	}
	// All is brought home, and the founding fails: the old epoch goes on being read-only.
	if _, err := failing.Recover(t.Context(), nil, "cli:ann"); !errors.Is(err, died) {
		t.Fatalf("got %v", err)
	}
	middle := old.head(t)
	if middle.ReadOnly == "" || middle.Epoch != begin.Epoch || middle.Pos <= begin.Pos {
		t.Fatalf("in the middle %+v", middle)
	}
	if why := old.reopen(t).head(t).ReadOnly; why == "" {
		t.Error("it is writable in the middle")
	}
	// The founding is committed, and the head file is not written any more.
	if err := os.MkdirAll(filepath.Join(old.dir, ".head.json", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Recover(t.Context(), nil, "cli:ann"); err == nil || !strings.Contains(err.Error(), "head.json") {
		t.Fatalf("got %v", err)
	}
	if err := os.RemoveAll(filepath.Join(old.dir, ".head.json")); err != nil {
		t.Fatal(err)
	}
	field := old.reopen(t)
	if h := field.head(t); h.ReadOnly != "" || field.headFile(t).Epoch != h.Epoch {
		t.Errorf("at the end %+v, the head file is of %s", h, field.headFile(t).Epoch)
	}
	field.verifyAll(t)
	if err := core.Refounded(t.Context(), field.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	comeToRest(t, field, core)
}

// What was written after the restore would lie where the lost events were.
func TestALogThatWasWrittenToIsNotMerged(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	backup, folders := field.site.Backup(t), t.TempDir()
	if err := os.CopyFS(folders, os.DirFS(field.dir)); err != nil {
		t.Fatal(err)
	}
	converse(t, field, core)
	old := restoreAll(t, backup, folders)
	old.submit(t)
	if err := old.DeclareRestored(t.Context(), "the disk broke", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	giveBack(t, core, old, 0)
	head := old.head(t)
	if _, err := old.Recover(t.Context(), nil, "cli:ann"); err == nil || !strings.Contains(err.Error(), "Restore the same backup once more") {
		t.Errorf("got %v", err)
	}
	if old.head(t) != head {
		t.Error("the log was changed")
	}
	// The same backup once more, and nothing in between.
	clean := restoreAll(t, backup, folders)
	if err := clean.DeclareRestored(t.Context(), "the disk broke", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	giveBack(t, core, clean, clean.head(t).Pos)
	clean.recover(t)
	again := clean.reopen(t)
	if err := core.Refounded(t.Context(), again.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	comeToRest(t, again, core)
}
