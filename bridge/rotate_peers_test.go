package bridge_test

import (
	"errors"
	"slices"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/link"
	"sallyport/domain"
)

// Two sites that rotate at once, and wait for others too, do not answer each
// other's beacons for ever.
func TestTwoRotationsAtOnce(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.addLink(t, newPeer(t, "core-2", domain.ResponseSite).card)
	core.addLink(t, newPeer(t, "field-2", domain.RequestSite).card)
	settle(t, field, core)
	field.rotate(t)
	core.rotate(t)
	settle(t, field, core)
	for _, e := range []*end{field, core} {
		peers := ownKeys(t, e.Bridge).Rotation.Peers
		if !slices.ContainsFunc(peers, func(p bridge.ToldPeer) bool { return p.Knows }) || !slices.ContainsFunc(peers, func(p bridge.ToldPeer) bool { return !p.Knows }) {
			t.Errorf("%s waits for %+v", e.Card().Name, peers)
		}
	}
}

// A slow peer is waited for, and left behind only by a person.
func TestOneOfTwoPeersIsSlow(t *testing.T) {
	t.Parallel()
	core, quick, slow := newEnd(t, "core", domain.ResponseSite), newEnd(t, "quick", domain.RequestSite), newEnd(t, "slow", domain.RequestSite)
	for _, e := range []*end{quick, slow} {
		e.addLink(t, core.Card())
		core.addLink(t, e.Card())
	}
	settle(t, core, quick)
	settle(t, core, slow)
	before := ownKeys(t, core.Bridge)
	if _, err := core.FinishRotation(t.Context(), "cli:test"); !errors.Is(err, bridge.ErrNoRotation) {
		t.Errorf("what does not run is finished: %v", err)
	}
	core.rotate(t)
	settle(t, core, quick)
	if err := core.Stop(t.Context(), "slow", "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	core.rotate(t) // asks again, begins nothing
	want := []bridge.ToldPeer{{Peer: "quick", Told: true, Knows: true}, {Peer: "slow"}}
	if k := ownKeys(t, core.Bridge); k.Rotation == nil || !slices.Equal(k.Rotation.Peers, want) || k.KeyID != before.KeyID {
		t.Fatalf("it waits for %+v", k.Rotation)
	}
	without, err := core.FinishRotation(t.Context(), "cli:test")
	if err != nil || !slices.Equal(without, []string{"slow"}) {
		t.Fatalf("finished without %q, %v", without, err)
	}
	rotated(t, core, before, ownKeys(t, core.Bridge))
	if err := core.Resume(t.Context(), "slow", "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	if _, states := send(t, core, slow); !slices.Equal(states, []string{bridge.Quarantined}) {
		t.Errorf("a peer that was never told took it for %q", states)
	}
	if _, states := send(t, core, quick); !slices.Equal(states, []string{bridge.Applied}) {
		t.Errorf("a peer that was told took it for %q", states)
	}
	if err := slow.ReplaceCard(t.Context(), core.Card(), slow.link(t, "core").In.Seq, "cli:test"); err != nil {
		t.Fatal(err)
	}
	core.submitNothing(t, slow)
	sameChain(t, core, slow)
}

// submitNothing lets a peer that missed something get it.
func (e *end) submitNothing(t *testing.T, peer *end) {
	t.Helper()
	if err := e.Stop(t.Context(), peer.Card().Name, "a test", "cli:test"); err != nil { // an event that crosses
		t.Fatal(err)
	}
	if err := e.Resume(t.Context(), peer.Card().Name, "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	settle(t, e, peer)
}

// A removed link is waited for no more, a stopped one answers by a beacon.
func TestRemovedAndStoppedLinksInARotation(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	gone := newPeer(t, "core-2", domain.ResponseSite)
	field.addLink(t, gone.card)
	settle(t, field, core)
	field.rotate(t)
	if err := field.Stop(t.Context(), "core", "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	if err := core.Stop(t.Context(), "field", "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	turn(t, field, core)
	turn(t, core, field)
	if k := ownKeys(t, field.Bridge); k.Rotation == nil || !k.Rotation.Peers[0].Knows || k.Rotation.Peers[1].Knows {
		t.Fatalf("it waits for %+v", k.Rotation)
	}
	if err := field.Remove(t.Context(), "core-2", "a test", "cli:test"); err != nil {
		t.Fatal(err)
	}
	field.rotate(t)
	if k := ownKeys(t, field.Bridge); k.Rotation != nil || len(k.Old) != 1 {
		t.Errorf("without the removed link: %+v", k)
	}
}

// turn does what a running bridge does at a turn of its export, carries it and
// takes it in.
func turn(t *testing.T, from, to *end) {
	t.Helper()
	out, err := from.ExportUnder(t.Context(), to.Card().Name, link.Turn)
	if err != nil || len(out) != 1 {
		t.Fatalf("made %+v, %v", out, err)
	}
	carry(t, from, to, out[0].File)
	to.expect(t, bridge.Applied)
}

// A peer that is linked while the rotation is about to end is waited for.
func TestALinkAddedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	field.rotate(t)
	for _, way := range [][2]*end{{field, core}, {core, field}} {
		move(t, way[0], way[1], way[0].exportBeacon(t, way[1].Card().Name).File)
		way[1].expect(t, bridge.Applied)
	}
	release := holdKeys(t, field)
	ended := make(chan error, 1)
	go func() {
		_, err := field.Export(t.Context(), "core", "cli:test")
		ended <- err
	}()
	for waiting := false; !waiting; {
		err := field.site.Owner.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	field.addLink(t, newPeer(t, "core-2", domain.ResponseSite).card)
	release()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if k := ownKeys(t, field.Bridge); k.Rotation == nil || len(k.Rotation.Peers) != 2 {
		t.Errorf("it ended without the new peer: %+v", k)
	}
}
