package bridge_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// refusal gives two sites of which field has sent, amidst good events, one that
// core refuses, and knows it: both ends are stopped. It returns the bundle and
// the position.
func refusal(t *testing.T) (field, core *end, sent bridge.Exported, position int64) {
	t.Helper()
	field, core = pair(t)
	field.submit(t)
	// A site speaks of itself only: core refuses what field says of moon.
	field.append(t, domain.SiteStream("moon"), domain.LinkStopped{Peer: "core", Reason: "no reason"})
	lines := field.mirrored(t, "field")
	position = lines[len(lines)-1].Pos
	field.submitMany(t, 2, true)
	sent = field.exportOne(t, "core")
	carry(t, field, core, sent.File)
	out := core.expect(t, bridge.Quarantined)
	if r := core.reasons(t)[0]; bundle.CodeOf(out[0].Err) != bundle.Refused || r.Position != position {
		t.Fatalf("%v; the reason names position %d, not %d", out[0].Err, r.Position, position)
	}
	carry(t, core, field, core.turnBeacon(t, "field").File)
	field.receive(t)
	if _, err := field.Export(t.Context(), "core", "cli:test"); !errors.Is(err, bridge.ErrStopped) {
		t.Fatalf("field goes on: %v", err)
	}
	return field, core, sent, position
}

// turnBeacon makes the beacon that is due though the link is stopped.
func (e *end) turnBeacon(t *testing.T, peer string) bridge.Exported {
	t.Helper()
	out, err := e.ExportUnder(t.Context(), peer, 0)
	if err != nil || len(out) != 1 || out[0].Kind != bundle.Beacon {
		t.Fatalf("%+v, %v; want a beacon", out, err)
	}
	return out[0]
}

func (e *end) withhold(t *testing.T, position int64, actor string) bridge.Withholding {
	t.Helper()
	w, err := e.Withhold(t.Context(), "core", position, actor)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTwoPeopleWithholdWhatThePeerRefused(t *testing.T) {
	t.Parallel()
	field, core, sent, position := refusal(t)
	if w := field.withhold(t, position, "cli:ann"); w.ConfirmedBy != "" || w.Seq != sent.Seq || w.Event != "site.link_stopped" {
		t.Fatalf("one person decided: %+v", w)
	}
	if l := field.link(t, "core"); l.Stopped == "" {
		t.Fatal("the link goes on after one person's word")
	}
	if _, err := field.Withhold(t.Context(), "core", position, "cli:ann"); !errors.Is(err, bridge.ErrWithhold) || !strings.Contains(err.Error(), "two different people") {
		t.Fatalf("the same person twice: %v", err)
	}
	if w := field.withhold(t, position, "cli:ben"); w.ProposedBy != "cli:ann" || w.ConfirmedBy != "cli:ben" {
		t.Fatalf("%+v", w)
	}
	if types := field.own(t); !slices.Equal(types[len(types)-2:], []string{"site.position_withheld", "site.link_resumed"}) {
		t.Errorf("the log ends with %q", types)
	}
	field.submit(t)
	out := field.export(t, "core")
	if len(out) != 2 || !out[0].Again || out[0].Seq != sent.Seq || out[0].ID == sent.ID || out[0].Events != sent.Events-1 || out[0].Withheld != sent.Withheld+1 {
		t.Fatalf("made %+v, was %+v", out, sent)
	}
	first, again := manifestOf(t, read(t, core, "quarantine/"+core.reasons(t)[0].ID+"/"+sent.File)).Core, manifestOf(t, read(t, field, "outbox/"+out[0].File)).Core
	if first.Chain != again.Chain || first.Range != again.Range {
		t.Errorf("range and chain were %v %v, are %v %v", first.Range, first.Chain, again.Range, again.Chain)
	}
	carry(t, field, core, out[0].File)
	carry(t, field, core, out[1].File)
	core.expect(t, bridge.Held, bridge.Held)
	if err := core.Resume(t.Context(), "field", "field withholds it", "cli:test"); err != nil {
		t.Fatal(err)
	}
	core.expect(t, bridge.Applied, bridge.Applied)
	for _, l := range core.mirrored(t, "field") {
		if l.Pos == position {
			t.Errorf("core has position %d: %s", position, l.Bytes)
		}
	}
	if all, err := core.VerifyLogs(t.Context(), nil); err != nil || !all[1].OK {
		t.Errorf("core's mirror: %+v, %v", all, err)
	}
	carry(t, core, field, core.exportAll(t, "field")[0].File)
	field.receive(t)
	if s := field.status(t); s.Stopped != nil || len(s.PeerRejected) > 0 || s.AckedSeq != out[1].Seq {
		t.Errorf("afterwards: %+v", s)
	}
}

// What the peer has not refused cannot be kept from it.
func TestOnlyWhatWasRefusedIsWithheld(t *testing.T) {
	t.Parallel()
	field, _, _, position := refusal(t)
	field.withhold(t, position, "cli:ann")
	field.withhold(t, position, "cli:ben")
	home := position + 2 // the first that stays at home
	for _, p := range []int64{0, -1, position, home, 1000} {
		if _, err := field.Withhold(t.Context(), "core", p, "cli:eve"); !errors.Is(err, bridge.ErrWithhold) {
			t.Errorf("position %d: %v", p, err)
		}
	}
	if _, err := field.Withhold(t.Context(), "moon", position, "cli:ann"); !errors.Is(err, bridge.ErrNoLink) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := field.Withhold(t.Context(), "core", position-1, "cli:ann"); !errors.Is(err, bridge.ErrWithhold) {
		t.Errorf("a bundle that is about to be made otherwise: %v", err)
	}
}
