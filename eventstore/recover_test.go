package eventstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

const newEpoch = "fedcba9876543210fedcba9876543210"

// lostAndFound is a log of five events, restored to before the last three of
// them, and those three.
func lostAndFound(t *testing.T) (*eventstoretest.Site, []eventstore.Record, eventstore.Head) {
	t.Helper()
	site := withKept(t)
	mustAppend(t, site.Store, write(eventstore.NoStream, "username-a", claim(1)))
	backup := site.Backup(t)
	for _, name := range []string{"b", "c", "d"} {
		mustAppend(t, site.Store, write(eventstore.NoStream, "username-"+name, claim(2)))
	}
	whole, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := all(t, site.Store)[2:]
	old := backup.Restore(t)
	if _, err := old.Store.MakeReadOnly(t.Context(), "it lost events"); err != nil {
		t.Fatal(err)
	}
	return old, lost, whole
}

func returned(records []eventstore.Record, chain eventstore.Hash) (r eventstore.Returned) {
	for _, rec := range records {
		r.Events, r.Facts, r.Lines = append(r.Events, rec.Event), append(r.Facts, rec.Fact), append(r.Lines, rec.Line)
	}
	r.Chain = chain
	return r
}

func verified(t *testing.T, site *eventstoretest.Site, e eventstore.Epoch) eventstore.Verified {
	t.Helper()
	v, err := site.Store.Verify(t.Context(), e, eventstore.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhatWasLostIsTakenBackAsItWas(t *testing.T) {
	t.Parallel()
	old, lost, whole := lostAndFound(t)
	if err := old.Store.TakeBack(t.Context(), returned(lost, whole.Chain)); err != nil {
		t.Fatal(err)
	}
	head, err := old.Store.Head(t.Context())
	if err != nil || head.Pos != whole.Pos || head.Chain != whole.Chain || head.ReadOnly == "" {
		t.Errorf("the log ends at %+v, %v", head, err)
	}
	for i, r := range all(t, old.Store)[2:] {
		if string(r.Line) != string(lost[i].Line) || r.Origin != "field" {
			t.Errorf("position %d holds %s of %s", r.Pos, r.Line, r.Origin)
		}
	}
	if got := keptRows(t, old); len(got) != 4 {
		t.Errorf("the read model holds %v", got)
	}
}

// What is lost for good is a run whose end others vouch for.
func TestALostRunKeepsTheChain(t *testing.T) {
	t.Parallel()
	old, lost, whole := lostAndFound(t)
	upTo := func(n int) eventstore.Hash {
		head, err := old.Store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range lost[:n] {
			head.Chain = head.Chain.Next(r.Line)
		}
		return head.Chain
	}
	part := returned(lost[1:2], whole.Chain)
	part.Lost = []eventstore.Withheld{{After: 2, Through: 3, Chain: upTo(1)}, {After: 4, Through: 5, Chain: whole.Chain}}
	if err := old.Store.TakeBack(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	v := verified(t, old, eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: 5, Chain: whole.Chain})
	if !v.OK || v.Events != 3 || v.Withheld != 2 {
		t.Errorf("verified %+v", v)
	}
}

func TestWhatDoesNotFitIsNotTakenBack(t *testing.T) {
	t.Parallel()
	old, lost, whole := lostAndFound(t)
	forged := slices.Clone(lost)
	forged[1].Line = []byte(strings.Replace(string(forged[1].Line), "user-1", "user-9", 1))
	for name, part := range map[string]eventstore.Returned{
		"a hole at the beginning": returned(lost[1:], whole.Chain),
		"a hole":                  returned([]eventstore.Record{lost[0], lost[2]}, whole.Chain),
		"less than proven":        returned(lost[:2], whole.Chain),
		"a forged line":           returned(forged, whole.Chain),
		"a run beside its place":  {Lost: []eventstore.Withheld{{After: 3, Through: 5, Chain: whole.Chain}}, Chain: whole.Chain},
	} {
		if err := old.Store.TakeBack(t.Context(), part); err == nil || !strings.Contains(err.Error(), "nothing of this part was stored") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := len(all(t, old.Store)); got != 2 {
		t.Errorf("%d events are stored, want 2", got)
	}
}

func TestALogIsFoundedAnew(t *testing.T) {
	t.Parallel()
	old, lost, whole := lostAndFound(t)
	if err := old.Store.TakeBack(t.Context(), returned(lost, whole.Chain)); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("no")
	anew := eventstore.Refounding{Epoch: newEpoch, Above: 60, Actor: "cli:ann", With: note(1, failed)}
	scratch(t, old)
	if err := old.Store.Refound(t.Context(), anew); !errors.Is(err, failed) {
		t.Fatalf("got %v", err)
	}
	anew.With = note(2, nil)
	if err := old.Store.Refound(t.Context(), anew); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Store.Append(t.Context(), write(eventstore.Any, "username-z", claim(1))); !errors.Is(err, eventstore.ErrRefounded) {
		t.Errorf("a program that knows only the old epoch: %v", err)
	}
	anew.With = nil
	if err := old.Store.Refound(t.Context(), anew); !errors.Is(err, eventstore.ErrRefounded) {
		t.Errorf("again: %v", err)
	}
	again, err := eventstore.Open(t.Context(), old.Pool, old.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	mustAppend(t, again, write(eventstore.NoStream, "username-z", claim(1)))
	head, err := again.Head(t.Context())
	if err != nil || head.Epoch != newEpoch || head.Start != 60 || head.Pos != 62 || head.ReadOnly != "" || !slices.Equal(noted(t, old), []int{2}) {
		t.Errorf("it goes on at %+v, %v", head, err)
	}
	page, err := again.Read(t.Context(), 5, 1)
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	first := page[0]
	want := domain.SiteRefounded{Epoch: newEpoch, OldEpoch: eventstoretest.Epoch, Position: 5, Chain: whole.Chain.String(), Reason: "it lost events"}
	if first.Pos != 61 || first.Fact != domain.Fact(want) || first.Actor != "cli:ann" {
		t.Errorf("it begins with %+v", first)
	}
	ended, err := again.Ended(t.Context(), "field")
	if err != nil || len(ended) != 1 || ended[0] != (eventstore.Epoch{Origin: "field", Epoch: eventstoretest.Epoch, Through: 5, Chain: whole.Chain}) {
		t.Errorf("ended %+v, %v", ended, err)
	}
	for _, e := range append(ended, eventstore.Epoch{Origin: "field", Epoch: newEpoch, After: 60, Through: 62, Chain: head.Chain}) {
		if v := verified(t, old, e); !v.OK {
			t.Errorf("epoch %s: %+v", e.Epoch, v)
		}
	}
}

func TestAHealthyLogIsNotRecovered(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	part := returned(nil, eventstore.Genesis(eventstoretest.Epoch, "field"))
	if err := site.Store.TakeBack(t.Context(), part); err == nil || !strings.Contains(err.Error(), "not read-only") {
		t.Errorf("take back: %v", err)
	}
	if err := site.Store.Refound(t.Context(), eventstore.Refounding{Epoch: newEpoch, Actor: "cli:ann"}); err == nil || !strings.Contains(err.Error(), "not read-only") {
		t.Errorf("refound: %v", err)
	}
}
