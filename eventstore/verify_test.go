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
	v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: head.Pos, Chain: head.Chain})
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
		v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "hq", Epoch: "e", Through: through, Chain: c.chain})
		if err != nil || v != c.want {
			t.Errorf("through %d: got %+v, %v, want %+v", through, v, err, c.want)
		}
	}
}

// TestVerifyFindsWhatASuperuserDid names the position where the damage shows:
// a changed byte shows at the end of the chain, all else where it is.
func TestVerifyFindsWhatASuperuserDid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		position  int64
	}{
		"a byte of a line":      {`UPDATE events SET line = replace(line, '"actor":"user-1"', '"actor":"user-2"') WHERE seq = 5`, 13},
		"a row":                 {`DELETE FROM events WHERE seq = 5`, 5},
		"the last row":          {`DELETE FROM events WHERE seq = 13`, 13},
		"a column":              {`UPDATE events SET stream = 'username-x' WHERE seq = 5`, 5},
		"the form of a line":    {`UPDATE events SET line = 'x' WHERE seq = 5`, 5},
		"the data of an event":  {`UPDATE events SET line = replace(line, '"user"', '"admin"') WHERE seq = 5`, 5},
		"the end of the log":    {`UPDATE log_head SET chain = sha256('')`, 13},
		"two lines in exchange": {`UPDATE events e SET line = (SELECT line FROM events WHERE seq = 11 - e.seq) WHERE seq IN (5, 6)`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := twelve(t)
			if _, err := site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL; `+c.statement); err != nil {
				t.Fatal(err)
			}
			head, err := site.Store.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: head.Pos, Chain: head.Chain})
			if err != nil || v.OK || v.BadPosition != c.position || v.Problem == "" {
				t.Errorf("got %+v, %v, want it at %d", v, err, c.position)
			}
		})
	}
}
