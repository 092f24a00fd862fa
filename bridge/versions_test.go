package bridge_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/schema/schematest"
)

const grants = "user.access_granted"

func (e *end) grant(t *testing.T) {
	t.Helper()
	e.append(t, domain.UserStream("1"), domain.AccessGranted{RequestType: "airport", Indices: []string{}})
}

// versions are those in which a site holds the grants of core.
func (e *end) versions(t *testing.T) (all []string) {
	t.Helper()
	for _, l := range e.mirrored(t, "core") {
		if l.Type == grants {
			_, after, _ := strings.Cut(string(l.Bytes), `"schema":`)
			all = append(all, after[:1])
		}
	}
	return all
}

// anOlderField is a pair whose request site runs a program that does not know
// version 2 of a grant, as the other site knows.
func anOlderField(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = pair(t)
	field.Schemas = schematest.Older(t, "../schema", grants+".v2")
	field.submit(t)
	for range 2 {
		exchange(t, field, core)
	}
	return field, core
}

// upgrade ends the site's program and starts the present one.
func (e *end) upgrade(t *testing.T) {
	t.Helper()
	e.Bridge = newBridge(t, e.site, e.site.Store, e.dir)
}

// TestAVersionIsWrittenWhenEveryPeerReadsIt: until then the older one is, which
// crosses, and both mean the same.
func TestAVersionIsWrittenWhenEveryPeerReadsIt(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	core.grant(t) // the field was never heard
	field.Schemas = schematest.Older(t, "../schema", grants+".v2")
	for range 2 {
		exchange(t, field, core)
	}
	core.grant(t)
	exchange(t, core, field)
	if s := core.status(t); len(s.PeerUnread) > 0 || len(field.versions(t)) != 2 {
		t.Errorf("an older field has %q, and core says %+v", field.versions(t), s)
	}
	field.upgrade(t)
	field.submit(t)
	exchange(t, field, core)
	core.grant(t)
	for range 2 {
		exchange(t, core, field)
	}
	synced(t, field, core)
	if got := field.versions(t); !slices.Equal(got, []string{"1", "1", "2"}) || !slices.Equal(got, core.versions(t)) {
		t.Errorf("the grants crossed as versions %q, and were written as %q", got, core.versions(t))
	}
	records, err := field.site.Store.ReadStream(t.Context(), domain.UserStream("1"))
	if err != nil || len(records) != 3 {
		t.Fatal(records, err)
	}
	for _, r := range records {
		if f, ok := r.Fact.(domain.AccessGranted); !ok || f.Indices == nil {
			t.Errorf("%s is read as %#v", r.Line, r.Fact)
		}
	}
	field.verifyAll(t)
	core.addLink(t, newPeer(t, "moon", domain.RequestSite).card)
	core.grant(t)
	if got := core.versions(t); got[3] != "1" {
		t.Errorf("with a peer that was never heard it writes version %s", got[3])
	}
}

// TestAnOlderProgramOnTheSameLogIsWrittenFor: while two releases work on one log, as
// during an upgrade, nothing is written that the older one does not read.
func TestAnOlderProgramOnTheSameLogIsWrittenFor(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	for range 2 {
		exchange(t, field, core)
		field.submit(t)
	}
	grant := func() {
		t.Helper()
		if err := core.AgreeVersions(t.Context()); err != nil {
			t.Fatal(err)
		}
		core.grant(t)
	}
	grant()
	for _, name := range []string{"sallyport", "sallyport/0"} { // of before generations were told, and after
		pid, old := core.olderProgram(t, name)
		grant()
		core.endProgram(t, old, pid)
		grant()
	}
	for range 2 {
		exchange(t, core, field)
	}
	if got := field.versions(t); !slices.Equal(got, []string{"2", "1", "2", "1", "2"}) {
		t.Errorf("written as versions %q", got)
	}
}

// TestAProcessWithoutABridgeNoticesOlderPrograms: that one came, and that it has ended.
func TestAProcessWithoutABridgeNoticesOlderPrograms(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	for range 2 {
		exchange(t, field, core)
		field.submit(t)
	}
	core.ExportEvery = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- core.KeepVersions(ctx) }()
	writes := func(version string) {
		t.Helper()
		for range 500 {
			core.grant(t)
			if all := core.versions(t); all[len(all)-1] == version {
				return
			}
		}
		t.Fatalf("it never writes version %s", version)
	}
	writes("2")
	pid, old := core.olderProgram(t, "sallyport/0")
	writes("1")
	core.endProgram(t, old, pid)
	writes("2")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// olderProgram is another program that is connected to the site's database.
func (e *end) olderProgram(t *testing.T, name string) (pid int, old *pgxpool.Pool) {
	t.Helper()
	old, err := eventstore.Pool(t.Context(), e.site.Pool.Config().ConnString(), 1, func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["application_name"] = name
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(old.Close)
	if err := old.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid, old
}

// endProgram ends it, and waits until the database knows.
func (e *end) endProgram(t *testing.T, old *pgxpool.Pool, pid int) {
	t.Helper()
	old.Close()
	if _, err := e.site.Owner.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1`, pid); err != nil {
		t.Fatal(err)
	}
}

// TestAnOlderPeerKeepsWhatItDoesNotRead: nothing of it is applied, both sites
// say what must be upgraded, and after that the same file goes through.
func TestAnOlderPeerKeepsWhatItDoesNotRead(t *testing.T) {
	t.Parallel()
	field, core := anOlderField(t)
	core.site.Store.WriteAs(nil) // as if the field had been new until now
	before := len(field.mirrored(t, "core"))
	core.user(t)
	core.grant(t)
	want := "field must be upgraded first: it does not understand user.access_granted v2"
	if s := core.status(t); !strings.Contains(s.NextAction, want) || !slices.Equal(s.PeerUnread, []string{grants + ".v2"}) {
		t.Errorf("core says %q, %q", s.NextAction, s.PeerUnread)
	}
	file := core.exportOne(t, "field").File
	carry(t, core, field, file)
	planned, err := field.Rehearse(t.Context())
	if err != nil || len(planned) != 1 || planned[0].State != bridge.Held || bundle.CodeOf(planned[0].Err) != bundle.Upgrade {
		t.Errorf("rehearsed %+v, %v", planned, err)
	}
	for range 2 {
		out := field.expect(t, bridge.Held)
		if bundle.CodeOf(out[0].Err) != bundle.Upgrade || !strings.Contains(out[0].Reason, "upgrade this site first") {
			t.Errorf("held because %q (%v)", out[0].Reason, out[0].Err)
		}
	}
	if s := field.status(t); len(field.mirrored(t, "core")) != before || len(field.names(t, "staging")) != 1 || !strings.Contains(s.NextAction, "upgrade sallyport here") {
		t.Errorf("applied %d, staged %q, field says %q", len(field.mirrored(t, "core"))-before, field.names(t, "staging"), s.NextAction)
	}

	beacon := field.exportBeacon(t, "core")
	ack := manifestOf(t, read(t, field, "outbox/"+beacon.File)).Ack
	if !slices.Contains(ack.Understands, grants+".v1") || slices.Contains(ack.Understands, grants+".v2") || len(ack.Rejected) != 1 || ack.Rejected[0].Code != bundle.Upgrade {
		t.Errorf("the field tells %+v", ack)
	}
	move(t, field, core, beacon.File)
	core.expect(t, bridge.Applied)
	if err := core.AgreeVersions(t.Context()); err != nil {
		t.Fatal(err)
	}
	core.grant(t)
	if s, got := core.status(t), core.versions(t); !strings.Contains(s.NextAction, want) || !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("core says %q and wrote versions %q", s.NextAction, got)
	}
	move(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Held, bridge.Held)

	field.upgrade(t)
	field.expect(t, bridge.Applied, bridge.Applied)
	for range 2 {
		exchange(t, field, core)
	}
	synced(t, field, core)
	if s := core.status(t); len(s.PeerUnread) > 0 || strings.Contains(s.NextAction, "upgrade") {
		t.Errorf("after the upgrade core says %q, %q", s.NextAction, s.PeerUnread)
	}
}
