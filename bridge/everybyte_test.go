//go:build !race

// One goroutine reads the same bytes again and again here, which the race
// detector makes ten times as slow: `make test` runs this without it.

package bridge_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

// Damage at each byte before the payload, and at many of the rest, on its way
// through the real importer. (bridge/bundle does it with every bit.)
func TestDamageAnywhereAppliesNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	_, good := forgery{from: field, events: []bundle.Event{ask(), ask()}}.file(t)
	seed := rand.Uint64()
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test draws reproducibly
	t.Logf("seed %d", seed)
	payload := len(good) - int(manifestOf(t, good).Payload.Bytes)
	var bad [][]byte
	flip := func(at int) {
		data := bytes.Clone(good)
		data[at] ^= 1 << draw.IntN(8)
		bad = append(bad, data)
	}
	for at := range payload {
		flip(at)
	}
	for range 150 {
		flip(payload + draw.IntN(len(good)-payload))
		bad = append(bad, good[:draw.IntN(len(good))])
	}
	for i, data := range bad {
		drop(t, core, nameOf("field", int64(i+1)), data)
	}
	outcomes := core.receive(t)
	if len(outcomes) != len(bad) {
		t.Fatalf("%d outcomes for %d files", len(outcomes), len(bad))
	}
	for i, o := range outcomes { // in the order of their names
		refusedAsDamaged(t, o, bad[i], good, payload)
	}
	if l := core.link(t, "field"); l.Stopped != "" || l.In.Through != 0 || len(core.mirrored(t, "field")) != 0 {
		t.Fatalf("damage on the way stopped the link or was applied: %+v", l)
	}
	if n := len(core.reasons(t)); n != len(bad) {
		t.Errorf("%d reasons for %d files", n, len(bad))
	}
	drop(t, core, nameOf("field", 1), good)
	core.expect(t, bridge.Applied)
}

func refusedAsDamaged(t *testing.T, o bridge.Outcome, data, good []byte, payload int) {
	t.Helper()
	code := bundle.CodeOf(o.Err)
	if o.State != bridge.Quarantined || (code != bundle.Damaged && code != bundle.Incomplete && code != bundle.Untrusted) {
		t.Errorf("%s: %s, %q: %v", o.File, o.State, code, o.Err)
	}
	if len(data) < len(good) {
		if code != bundle.Incomplete {
			t.Errorf("cut off at %d of %d: %v", len(data), len(good), o.Err)
		}
		return
	}
	if bytes.Equal(data[:payload], good[:payload]) && (code != bundle.Damaged || !strings.Contains(o.Reason, "frame 1")) {
		t.Errorf("damage in the payload does not name its frame: %v", o.Err)
	}
}
