package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func TestWhatIsBeingTakenInIsNotMissing(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	carry(t, field, core, field.exportOne(t, "core").File)
	heard := false
	core.Progress = func(int64) { // the file is read before its manifest is believed, and after
		s := core.status(t)
		heard = heard || s.LastContact != nil
		if len(s.Missing) > 0 {
			t.Errorf("while it is taken in, %d are missing: %s", s.Missing, s.NextAction)
		}
	}
	core.expect(t, bridge.Applied)
	if !heard {
		t.Error("nobody looked after its manifest was believed")
	}
}

func TestOutOfOrderIsHeldAskedForAndAppliedInOrder(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var files []bridge.Exported
	for range 3 {
		field.submit(t)
		files = append(files, field.exportOne(t, "core"))
	}
	carry(t, field, core, files[2].File)
	core.expect(t, bridge.Held)
	if s := core.status(t); !slices.Equal(s.Missing, []int64{1, 2}) || !slices.Equal(s.Held, []int64{3}) {
		t.Errorf("missing %v, held %v; want [1 2], [3]", s.Missing, s.Held)
	}
	core.append(t, domain.ProfileStream("staff"), domain.ProfileDefined{Name: "staff", Priority: 5, MaxResults: 10,
		Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}})
	ack := manifestOf(t, read(t, core, "outbox/"+core.exportOne(t, "field").File)).Ack
	if ack == nil || !slices.Equal(ack.Missing, []int64{1, 2}) || ack.Seq != 0 || ack.Position != 0 || ack.No != 1 {
		t.Errorf("the next manifest asks with %+v", ack)
	}
	carry(t, field, core, files[1].File)
	core.expect(t, bridge.Held, bridge.Held)
	if n := len(core.mirrored(t, "field")); n != 0 {
		t.Fatalf("%d events were applied before their time", n)
	}
	carry(t, field, core, files[0].File)
	out := core.expect(t, bridge.Applied, bridge.Applied, bridge.Applied)
	for i, o := range out {
		if o.Seq != int64(i+1) {
			t.Errorf("applied as number %d: bundle %d", i+1, o.Seq)
		}
	}
	if s := core.status(t); len(s.Missing)+len(s.Held) > 0 || s.AppliedThrough != files[2].Through {
		t.Errorf("in the end %+v", s)
	}
	if got := core.archived(t); len(got) != 3 || len(core.names(t, "staging")) != 0 {
		t.Errorf("archived %q, staged %q", got, core.names(t, "staging"))
	}
}

func TestReplayIsANoOp(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	carry(t, field, core, out.File)
	core.expect(t, bridge.Applied)
	log, mirror := core.own(t), len(core.mirrored(t, "field"))
	for range 2 {
		carry(t, field, core, out.File)
		core.expect(t, bridge.Duplicate)
	}
	if got := core.own(t); !slices.Equal(got, log) || len(core.mirrored(t, "field")) != mirror {
		t.Errorf("a replay changed the log from %q to %q", log, got)
	}
	if got := core.archived(t); !slices.Equal(got, []string{out.File}) || len(core.names(t, "staging")) != 0 {
		t.Errorf("archived %q, staged %q", got, core.names(t, "staging"))
	}
}

// A name is only a hint: a bundle that comes under the name of another is what
// its manifest says, and takes nobody's place in the archive.
func TestAFalseNameTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var files []bridge.Exported
	for range 2 {
		field.submit(t)
		files = append(files, field.exportOne(t, "core"))
	}
	carry(t, field, core, files[0].File)
	core.expect(t, bridge.Applied)
	drop(t, core, files[0].File, read(t, field, "outbox/"+files[1].File))
	core.expect(t, bridge.Applied)
	if got := core.archived(t); !slices.Equal(got, []string{files[0].File, files[1].File}) {
		t.Errorf("archived %q", got)
	}
}

func TestTwoHistoriesAreAFork(t *testing.T) {
	t.Parallel()
	known := []bundle.Event{ask(), ask()}
	for _, c := range []struct {
		name string
		f    forgery
	}{
		{"the same number, another content", forgery{seq: 1, events: []bundle.Event{ask(), ask()}}},
		{"the next number, on another past", forgery{seq: 2, before: []bundle.Event{ask(), ask()}, events: []bundle.Event{ask()}}},
		{"the next number, telling the past anew", forgery{seq: 2, events: []bundle.Event{known[0], ask(), ask()}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			core, field := coreAnd(t)
			forgery{from: field, events: known}.deliver(t, core)
			core.expect(t, bridge.Applied)
			c.f.from = field
			c.f.deliver(t, core)
			out := core.expect(t, bridge.Quarantined)
			if bundle.CodeOf(out[0].Err) != bundle.Fork || core.link(t, "field").Stopped == "" {
				t.Errorf("refused as %v, link stopped: %q", out[0].Err, core.link(t, "field").Stopped)
			}
			if r := core.reasons(t); len(r) != 1 || r[0].Code != bundle.Fork || r[0].NextStep == "" {
				t.Errorf("the reason is %+v", r)
			}
			if n := len(core.mirrored(t, "field")); n != 2 {
				t.Errorf("%d events are mirrored, want the 2 that came first", n)
			}
		})
	}
}

func TestOverlapAppliesOnlyTheRest(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	log := []bundle.Event{ask(), ask(), ask()}
	forgery{from: field, events: log[:2]}.deliver(t, core)
	core.expect(t, bridge.Applied)
	forgery{from: field, seq: 2, events: log}.deliver(t, core)
	core.expect(t, bridge.Applied)
	if l := core.link(t, "field"); l.In.Through != 3 || l.In.Seq != 2 || len(core.mirrored(t, "field")) != 3 {
		t.Errorf("applied %+v", l.In)
	}
}

// What was applied before its link stopped is finished, not held for ever.
func TestAReplayOnAStoppedLinkIsADuplicate(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	good := forgery{from: field, events: []bundle.Event{ask()}}
	name, data := good.file(t)
	drop(t, core, name, data)
	core.expect(t, bridge.Applied)
	forgery{from: field, events: []bundle.Event{ask()}}.deliver(t, core)
	core.expect(t, bridge.Quarantined)
	drop(t, core, name, data)
	core.expect(t, bridge.Duplicate)
}

func TestAcksMoveOnlyForward(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
	field.addLink(t, core.card)
	field.submit(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	life := uuid.New()
	lines := field.mirrored(t, "field")
	ack := func(no, position int64) *bundle.Ack {
		a := &bundle.Ack{Epoch: epochOf("field"), Incarnation: uuidHex(life), No: no, Seq: min(position, 1), Position: position,
			Chain: bundle.Start(epochOf("field"), "field"), Missing: []int64{}, Rejected: []bundle.Rejection{}, Understands: []string{}}
		for _, line := range lines[:position] {
			a.Chain = a.Chain.Next(line.Bytes)
		}
		return a
	}
	founded := said(domain.SiteStream("core"), "site.founded", `{"site":"core","role":"response","epoch":"`+epochOf("core")+`"}`)
	send := func(seq int64, before []bundle.Event, a *bundle.Ack) {
		f := forgery{from: core, seq: seq, before: before, events: []bundle.Event{founded}, ack: a}
		founded.ID, founded.Ver = uuid.NewString(), founded.Ver+1
		f.deliver(t, field)
	}
	first := founded
	send(1, nil, ack(5, 2))
	field.expect(t, bridge.Applied)
	for _, c := range []struct {
		name string
		ack  *bundle.Ack
		want int64
	}{
		{"an older ack", ack(4, out.Through), 2},
		{"the same number again", ack(5, out.Through), 2},
		{"none", nil, 2},
		{"a newer one, of a bundle that is held", ack(7, out.Through), out.Through},
	} {
		// Position 3 is never sent, so all of these are held: their acks count.
		send(3, []bundle.Event{first, first}, c.ack)
		field.receive(t)
		if s := field.status(t); s.AckedThrough != c.want {
			t.Errorf("%s: acknowledged through %d, want %d", c.name, s.AckedThrough, c.want)
		}
	}
}

func uuidHex(id uuid.UUID) string { return bundle.Hash(append(id[:], id[:]...)).String()[:32] }

// A peer's clock may be wrong by years, and jump: what comes next is a matter of
// numbers and positions.
func TestAWrongClockChangesNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	var before []bundle.Event
	for i, years := range []int{10, -10, 0} {
		e := ask()
		e.At = e.At.AddDate(years, 0, 0)
		forgery{from: field, seq: int64(i + 1), before: before, events: []bundle.Event{e}, made: e.At}.deliver(t, core)
		before = append(before, e)
	}
	core.expect(t, bridge.Applied, bridge.Applied, bridge.Applied)
	for i, line := range core.mirrored(t, "field") {
		if line.Pos != int64(i+1) || !strings.Contains(string(line.Bytes), before[i].ID) {
			t.Errorf("position %d holds %s", line.Pos, line.Bytes)
		}
	}
}

// A withheld run that begins in what is known is taken from there on.
func TestARunAcrossTheCursor(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submitMany(t, 1, true)
	first := field.exportOne(t, "core")
	carry(t, field, core, first.File)
	core.expect(t, bridge.Applied)
	// The peer forgot the plan and plans anew, over a tail that has grown.
	sql := `DELETE FROM outbound_bundles; UPDATE links SET exported_seq = 0, exported_through = 0, exported_chain = $1`
	start := bundle.Start(epochOf("field"), "field")
	for _, s := range strings.Split(strings.ReplaceAll(sql, "$1", "'\\x"+start.String()+"'"), ";") {
		if _, err := field.site.Owner.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	field.submit(t)
	second := field.exportOne(t, "core")
	if second.After != 0 || second.Through <= first.Through {
		t.Fatalf("planned %+v after %+v", second, first)
	}
	carry(t, field, core, second.File)
	core.expect(t, bridge.Applied)
	sameChain(t, field, core)
}
