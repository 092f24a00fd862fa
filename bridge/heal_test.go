package bridge_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
)

// lose takes a file out of an outbox and leaves it nowhere.
func lose(t *testing.T, from *end, file string) []byte {
	t.Helper()
	data := read(t, from, "outbox/"+file)
	if err := os.Remove(filepath.Join(from.dir, "outbox", file)); err != nil {
		t.Fatal(err)
	}
	return data
}

// move carries a file as a courier does who leaves nothing behind.
func move(t *testing.T, from, to *end, file string) {
	t.Helper()
	drop(t, to, file, lose(t, from, file))
}

// exchange lets both write what is due at a usual turn and moves all of it,
// once each way; it returns how many files there were.
func exchange(t *testing.T, a, b *end) int {
	t.Helper()
	moved := 0
	for _, way := range [][2]*end{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		out, err := from.ExportUnder(t.Context(), to.Card().Name, link.Turn)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out {
			move(t, from, to, e.File)
		}
		to.receive(t)
		moved += len(out)
	}
	return moved
}

// acquainted is a pair that knows all of each other: one bundle has crossed each
// way.
func acquainted(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = pair(t)
	for range 2 {
		exchange(t, field, core)
	}
	synced(t, field, core)
	return field, core
}

func (e *end) user(t *testing.T) {
	t.Helper()
	id := uuid.NewString()
	e.append(t, domain.UsernameStream(id), domain.UsernameClaimed{User: id})
}

func synced(t *testing.T, a, b *end) {
	t.Helper()
	for _, way := range [][2]*end{{a, b}, {b, a}} {
		l, there := way[0].link(t, way[1].Card().Name), way[1].link(t, way[0].Card().Name)
		if l.Unacknowledged() || there.In.Through != l.Out.Through {
			t.Errorf("%s sent through %d, knows of %d; %s applied %d", way[0].Card().Name, l.Out.Through, l.Out.AckedThrough, way[1].Card().Name, there.In.Through)
		}
	}
	sameChain(t, a, b)
}

func TestALostBundleIsAskedForAndMadeAgain(t *testing.T) {
	t.Parallel()
	field, core := acquainted(t)
	var ids []string
	for i := range 3 {
		field.submit(t)
		out := field.exportOne(t, "core")
		ids = append(ids, out.ID)
		if i == 1 {
			lose(t, field, out.File)
			continue
		}
		move(t, field, core, out.File)
	}
	core.expect(t, bridge.Applied, bridge.Held)
	ask := core.exportBeacon(t, "field")
	if ack := manifestOf(t, read(t, core, "outbox/"+ask.File)).Ack; !slices.Equal(ack.Missing, []int64{3}) || ack.Seen == nil || ack.Seen.No != field.link(t, "core").Self.No {
		t.Fatalf("it asks with %+v", ack)
	}
	move(t, core, field, ask.File)
	field.expect(t, bridge.Applied)
	again := field.exportAll(t, "core")
	if len(again) != 1 || again[0].Seq != 3 || !again[0].Again || again[0].ID != ids[1] {
		t.Fatalf("made again: %+v, want bundle 3 with id %s", again, ids[1])
	}
	if more, err := field.ExportUnder(t.Context(), "core", link.Turn); err != nil || len(more) > 0 {
		t.Errorf("and then %+v, %v", more, err)
	}
	move(t, field, core, again[0].File)
	core.expect(t, bridge.Applied, bridge.Applied)
	exchange(t, core, field)
	synced(t, field, core)
}

// A file lost in each direction at the same time: acks count from held bundles.
func TestOneFileLostInEachDirectionHeals(t *testing.T) {
	t.Parallel()
	field, core := acquainted(t)
	for _, way := range [][2]*end{{field, core}, {core, field}} {
		from, to := way[0], way[1]
		peer := to.Card().Name
		write := func() bridge.Exported {
			if from == field {
				from.submit(t)
			} else {
				from.user(t)
			}
			return from.exportOne(t, peer)
		}
		lose(t, from, write().File)
		move(t, from, to, write().File)
	}
	core.expect(t, bridge.Held)
	field.expect(t, bridge.Held)
	for range 3 {
		exchange(t, field, core)
	}
	synced(t, field, core)
	if n := exchange(t, field, core); n != 0 {
		t.Errorf("%d files are still written when all is known", n)
	}
}

// Nothing comes after it, so that only the reminder shows that it is missing.
func TestTheLastBundleLostIsShownByABeacon(t *testing.T) {
	t.Parallel()
	field, core := acquainted(t)
	field.ResendAfter = time.Hour
	field.submit(t)
	out := field.exportOne(t, "core")
	if more := field.exportAll(t, "core"); len(more) != 0 {
		t.Errorf("a reminder of a file that still lies in the outbox: %+v", more)
	}
	lose(t, field, out.File)
	if n := exchange(t, field, core); n != 0 {
		t.Fatalf("%d files before it is overdue", n)
	}
	field.ResendAfter = time.Nanosecond
	if n := exchange(t, field, core); n != 2 {
		t.Fatalf("%d files: want the reminder and the question", n)
	}
	field.ResendAfter = time.Hour
	for range 2 {
		exchange(t, field, core)
	}
	synced(t, field, core)
}

func TestBeaconsAreNeverAnsweredForTheirOwnSake(t *testing.T) {
	t.Parallel()
	field, core := acquainted(t)
	field.submit(t)
	move(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	log := field.own(t)
	b := core.exportBeacon(t, "field")
	name, err := bundle.ParseName(b.File)
	if err != nil || name.Beacon != 1 || name.Encrypted {
		t.Errorf("the beacon is called %s", b.File)
	}
	move(t, core, field, b.File)
	field.expect(t, bridge.Applied)
	if got := field.own(t); !slices.Equal(got, append(log, "bundle.acknowledged")) {
		t.Errorf("hearing it wrote %q", got[len(log):])
	}
	for _, e := range []*end{field, core} {
		peer := map[*end]string{field: "core", core: "field"}[e]
		if out := e.exportAll(t, peer); len(out) > 0 {
			t.Errorf("%s answers with %+v", e.Card().Name, out)
		}
	}
}

// What reached the peer and was damaged on the way is made again as soon as it
// says so; a second copy that arrives damaged is asked for once more.
func TestADamagedBundleIsMadeAgain(t *testing.T) {
	t.Parallel()
	field, core := acquainted(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	for again := range 2 {
		data := lose(t, field, out.File)
		data[len(data)-9] ^= 4
		drop(t, core, out.File, data)
		core.expect(t, bridge.Quarantined)
		if again > 0 { // that it is damaged was said before: the peer must ask first
			reminder, err := field.ExportUnder(t.Context(), "core", link.Overdue)
			if err != nil || len(reminder) != 1 {
				t.Fatal(reminder, err)
			}
			move(t, field, core, reminder[0].File)
			core.expect(t, bridge.Applied)
		}
		ask := core.exportBeacon(t, "field")
		ack := manifestOf(t, read(t, core, "outbox/"+ask.File)).Ack
		if want := []bundle.Rejection{{Seq: 2, Code: bundle.Damaged}}; !slices.Equal(ack.Rejected, want) || len(ack.Missing) > 0 {
			t.Fatalf("it says %+v", ack)
		}
		move(t, core, field, ask.File)
		field.expect(t, bridge.Applied)
		if out = field.exportOne(t, "core"); out.Seq != 2 || !out.Again {
			t.Fatalf("made %+v", out)
		}
	}
	move(t, field, core, out.File)
	core.expect(t, bridge.Applied)
	exchange(t, core, field)
	synced(t, field, core)
}

// An ack that is past our head proves that our log lost events.
func TestAnAckPastTheHeadStopsTheLinkWithAnAlarm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		position int64
		says     string
	}{
		"past the head":   {1000, "has lost events"},
		"another history": {1, "another than the one that the peer has applied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
			field.addLink(t, core.card)
			field.submit(t)
			field.exportOne(t, "core")
			before := field.own(t)
			ack := &bundle.Ack{Epoch: epochOf("field"), Incarnation: uuidHex(uuid.New()), No: 1, Seq: 1, Position: c.position, Chain: bundle.Hash{1},
				Missing: []int64{}, Rejected: []bundle.Rejection{}, Understands: []string{}}
			forgery{from: core, to: "field", kind: bundle.Beacon, ack: ack}.deliver(t, field)
			field.expect(t, bridge.Applied)
			s := field.status(t)
			if s.Stopped == nil || !strings.Contains(*s.Stopped, c.says) || s.AckedThrough != 0 {
				t.Fatalf("the link is %+v", s)
			}
			if got := field.own(t); !slices.Equal(got, append(before, "site.link_stopped")) {
				t.Errorf("noted %q", got[len(before):])
			}
			field.submit(t)
			if out, err := field.Export(t.Context(), "core", "cli:test"); !errors.Is(err, bridge.ErrStopped) {
				t.Errorf("it goes on with %+v, %v", out, err)
			}
		})
	}
}

// A number that the peer refuses for good stops the sender's link too.
func TestARefusalReachesTheSender(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
	field.addLink(t, core.card)
	field.submit(t)
	field.exportOne(t, "core")
	ack := &bundle.Ack{Epoch: epochOf("field"), Incarnation: uuidHex(uuid.New()), No: 1, Chain: bundle.Start(epochOf("field"), "field"),
		Missing: []int64{}, Rejected: []bundle.Rejection{{Seq: 1, Code: bundle.Refused}}, Understands: []string{},
		Seen: &bundle.Seen{Incarnation: field.link(t, "core").Self.Incarnation, No: 1}}
	forgery{from: core, to: "field", kind: bundle.Beacon, ack: ack}.deliver(t, field)
	field.expect(t, bridge.Applied)
	if _, err := field.Export(t.Context(), "core", "cli:test"); !errors.Is(err, bridge.ErrStopped) || !strings.Contains(err.Error(), "core refused bundle 1") {
		t.Errorf("it goes on: %v", err)
	}
}

func TestWhatWaitsForAnUpgradeIsToldSo(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	later := ask()
	later.Schema++
	forgery{from: field, events: []bundle.Event{later}}.deliver(t, core)
	core.expect(t, bridge.Held)
	ack := manifestOf(t, read(t, core, "outbox/"+core.exportOne(t, "field").File)).Ack
	if want := []bundle.Rejection{{Seq: 1, Code: bundle.Upgrade}}; !slices.Equal(ack.Rejected, want) || len(ack.Missing) > 0 {
		t.Errorf("it says %+v", ack)
	}
}

// A stopped link sends and applies no data, tells what it has, and goes on
// when people say so.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	first := field.exportOne(t, "core")
	if err := core.Stop(t.Context(), "field", "people look", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	if err := core.Stop(t.Context(), "field", "another reason", "cli:bob"); err != nil || core.link(t, "field").Stopped != "people look" {
		t.Errorf("stopped again: %v, %q", err, core.link(t, "field").Stopped)
	}
	move(t, field, core, first.File)
	core.expect(t, bridge.Held)
	core.user(t)
	if out, err := core.ExportUnder(t.Context(), "field", link.Turn); err != nil || len(out) != 0 {
		t.Errorf("a stopped link wrote %+v, %v", out, err)
	}
	if err := core.Resume(t.Context(), "field", "all is well", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	core.expect(t, bridge.Applied)
	for range 2 {
		exchange(t, core, field)
	}
	synced(t, field, core)
	types := core.own(t)
	if !slices.Contains(types, "site.link_stopped") || !slices.Contains(types, "site.link_resumed") {
		t.Errorf("noted %q", types)
	}
}

// A link that was removed and added again goes on where it was.
func TestRemoveAndAddAgain(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	move(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	if err := core.Remove(t.Context(), "field", "closed for the winter", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	if links, err := core.Links(t.Context()); err != nil || len(links) != 0 {
		t.Errorf("links %+v, %v", links, err)
	}
	field.submit(t)
	second := field.exportOne(t, "core")
	carry(t, field, core, second.File)
	if out := core.expect(t, bridge.Quarantined); bundle.CodeOf(out[0].Err) != bundle.Untrusted {
		t.Errorf("a removed peer's bundle: %+v", out)
	}
	core.addLink(t, field.Card())
	move(t, field, core, second.File)
	core.expect(t, bridge.Applied)
	exchange(t, core, field)
	synced(t, field, core)
}

func TestResend(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	first := field.exportOne(t, "core")
	move(t, field, core, first.File)
	core.expect(t, bridge.Applied)
	out, err := field.Resend(t.Context(), "core", "cli:ann", []int64{1})
	if err != nil || len(out) != 1 || out[0].ID != first.ID || !out[0].Again {
		t.Fatalf("made %+v, %v", out, err)
	}
	move(t, field, core, out[0].File)
	core.expect(t, bridge.Duplicate)
	if _, err := field.Resend(t.Context(), "core", "cli:ann", []int64{2}); err == nil || !strings.Contains(err.Error(), "never made") {
		t.Errorf("a number that was never made: %v", err)
	}
}
