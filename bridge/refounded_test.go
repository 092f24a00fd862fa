package bridge_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

func TestWhatMayBeFoundedAnew(t *testing.T) {
	t.Parallel()
	old, core, _ := lost(t)
	mirror := core.link(t, "field")
	other := core.Card()
	other.Name = "field"
	if err := core.Refounded(t.Context(), other, "cli:bob"); err == nil {
		t.Error("a card of another key is taken")
	}
	// A site that recovers without what this one holds is refused here.
	lose(t, old, nameOf("field", 2))
	lose(t, old, nameOf("field", 3))
	r := old.recover(t, "core")
	again := old.reopen(t)
	if err := core.Refounded(t.Context(), r.Card, "cli:bob"); err != nil {
		t.Fatal(err)
	}
	again.submit(t)
	carry(t, again, core, again.exportOne(t, "core").File)
	out := core.expect(t, bridge.Quarantined)
	if bundle.CodeOf(out[0].Err) != bundle.Refused || !strings.Contains(out[0].Reason, "were not brought home") {
		t.Errorf("refused with %v", out[0].Err)
	}
	if v := core.verifyAll(t); !slices.ContainsFunc(v, func(v eventstore.Verified) bool { return v.Through == mirror.In.Through }) {
		t.Errorf("the mirror of the old epoch: %+v", v)
	}
	if err := core.Refounded(t.Context(), old.Card(), "cli:bob"); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("the old card again: %v", err)
	}
}

// A log that was founded anew is recovered as well as one that was not.
func TestASiteIsRestoredTwice(t *testing.T) {
	t.Parallel()
	old, core, _ := lost(t)
	giveBack(t, core, old, old.head(t).Pos)
	first := old.recover(t)
	field := old.reopen(t)
	if err := core.Refounded(t.Context(), field.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	comeToRest(t, field, core)
	backup := field.site.Backup(t)
	for range 2 {
		field.submitMany(t, 2, true)
		comeToRest(t, field, core)
	}
	again := field.restore(t, backup)
	again.checkRestored(t)
	giveBack(t, core, again, 0)
	second := again.recover(t)
	if second.Events < 4 || second.Start <= first.Start {
		t.Errorf("recovered %+v after %+v", second, first)
	}
	last := again.reopen(t)
	if err := core.Refounded(t.Context(), last.Card(), "cli:bob"); err != nil {
		t.Fatal(err)
	}
	last.submit(t)
	comeToRest(t, last, core)
	if own, mirror := last.verifyAll(t), core.verifyAll(t); len(own) != 4 || len(mirror) != 4 {
		t.Errorf("verified %+v and %+v", own, mirror)
	}
	// A database of before the last founding shows itself.
	if why := field.restore(t, backup).checkRestored(t); !strings.Contains(why, "another log") {
		t.Errorf("read-only: %q", why)
	}
}

// What the log still holds and a peer never got is named: no new log brings it.
func TestWhatNeverReachedAPeerIsNamed(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	converse(t, field, core)
	left := field.submit(t)
	backup := field.site.Backup(t)
	field.submit(t)
	out := field.exportOne(t, "core") // and nobody carries it
	old := field.restore(t, backup)
	if why := old.checkRestored(t); why == "" {
		t.Fatal("it is not read-only")
	}
	if _, err := old.Recover(t.Context(), []string{"core"}, "cli:ann"); err == nil || !strings.Contains(err.Error(), out.File) {
		t.Errorf("with a bundle of the old log that may still be carried: %v", err)
	}
	lose(t, field, out.File)
	r := old.recover(t, "core")
	if len(r.Undelivered) != 1 || r.Undelivered[0].Stream != domain.RequestStream(left) || r.Undelivered[0].Peer != "core" {
		t.Errorf("named: %+v, want request %s", r.Undelivered, left)
	}
}
