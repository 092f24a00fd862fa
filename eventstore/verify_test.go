package eventstore_test

import (
	"testing"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func TestVerifyASoundLog(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: head.Pos, Chain: head.Chain}, eventstore.Checks{})
	if want := (eventstore.Verified{Origin: "field", Epoch: eventstoretest.Epoch, Through: 13, Events: 13, OK: true}); err != nil || v != want {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestVerifyAMirror: a run that the origin withheld carries its chain over.
func TestVerifyAMirror(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	m, last := foreign(t, 1, 2), foreign(t, 6, 1)
	over := eventstore.Genesis("e", "hq").Next([]byte("what was withheld"))
	m.Withheld = []eventstore.Withheld{{After: 2, Through: 5, Chain: over}, {After: 6, Through: 9, Chain: over}}
	for _, part := range []eventstore.Mirrored{m, last} {
		if err := site.Store.Mirror(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	for through, c := range map[int64]struct {
		chain eventstore.Hash
		want  eventstore.Verified
	}{
		6:  {over.Next(last.Lines[0]), eventstore.Verified{Origin: "hq", Epoch: "e", Through: 6, Events: 3, Withheld: 3, OK: true}},
		9:  {over, eventstore.Verified{Origin: "hq", Epoch: "e", Through: 9, Events: 3, Withheld: 6, OK: true}},
		10: {over, eventstore.Verified{Origin: "hq", Epoch: "e", Through: 9, Events: 3, Withheld: 6, BadPosition: 10, Problem: "the position is missing"}},
	} {
		v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "hq", Epoch: "e", Through: through, Chain: c.chain}, eventstore.Checks{})
		if err != nil || v != c.want {
			t.Errorf("through %d: got %+v, %v, want %+v", through, v, err, c.want)
		}
	}
}

// TestVerifyFindsTheOrderBroken: what no single log shows.
func TestVerifyFindsTheOrderBroken(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	if rows, err := site.Store.VerifyRows(t.Context()); err != nil || !rows.OK {
		t.Fatalf("of a sound log: %+v, %v", rows, err)
	}
	for _, c := range []struct {
		damage, mend string
		position     int64
	}{
		{`UPDATE events SET seq = 99 WHERE seq = 5`, `UPDATE events SET seq = 5 WHERE seq = 99`, 6},
		{`UPDATE log_head SET seq = 12`, `UPDATE log_head SET seq = 13`, 13},
		{`UPDATE log_head SET pos = 12`, `UPDATE log_head SET pos = 13`, 13},
		{`UPDATE events SET ver = 9 WHERE seq = 5`, `UPDATE events SET ver = 2 WHERE seq = 5`, 5},
		{`UPDATE events SET origin = 'hq' WHERE seq = 5`, `UPDATE events SET origin = 'field' WHERE seq = 5`, 5},
	} {
		if _, err := site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL; `+c.damage); err != nil {
			t.Fatal(err)
		}
		if rows, err := site.Store.VerifyRows(t.Context()); err != nil || rows.OK || rows.BadPosition != c.position || rows.Problem == "" {
			t.Errorf("%s: %+v, %v, want position %d", c.damage, rows, err, c.position)
		}
		if _, err := site.Owner.Exec(t.Context(), c.mend); err != nil {
			t.Fatal(err)
		}
	}
}

// TestVerifyAsksWitnesses: who rewrites a whole log with its head is found out
// by what others keep of it.
func TestVerifyAsksWitnesses(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	lines, err := site.Store.ReadLines(t.Context(), "field", 0, 13, 20)
	if err != nil {
		t.Fatal(err)
	}
	chains := []eventstore.Hash{eventstore.Genesis(eventstoretest.Epoch, "field")}
	for _, l := range lines {
		chains = append(chains, chains[len(chains)-1].Next(l.Bytes))
	}
	witness := func(position int64, chain eventstore.Hash) eventstore.Witness {
		return eventstore.Witness{Position: position, Chain: chain, By: "hq"}
	}
	for name, c := range map[string]struct {
		witnesses      []eventstore.Witness
		bad, witnessed int64
	}{
		"all agree":             {[]eventstore.Witness{witness(3, chains[3]), witness(3, chains[3]), witness(13, chains[13])}, 0, 3},
		"one does not":          {[]eventstore.Witness{witness(3, chains[3]), witness(7, chains[3]), witness(9, chains[9])}, 7, 1},
		"one knows of an end":   {[]eventstore.Witness{witness(3, chains[3]), witness(20, chains[3])}, 14, 1},
		"one saw another begin": {[]eventstore.Witness{witness(1, chains[2])}, 1, 0},
	} {
		v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: 13, Chain: chains[13]}, eventstore.Checks{Witnesses: c.witnesses})
		if err != nil || v.OK != (c.bad == 0) || v.BadPosition != c.bad || v.Witnessed != c.witnessed {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}
