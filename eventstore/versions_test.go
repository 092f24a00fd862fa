package eventstore_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/schema"
)

// TestOldVersionsAreReadAsOfToday: a log that holds several versions of a type
// reads as if all were written now, and each line stays what it was.
func TestOldVersionsAreReadAsOfToday(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	stream, want := domain.UserStream("1"), domain.AccessGranted{RequestType: "airport", Indices: []string{}}
	var lines []string
	for _, versions := range []map[string]int{{"user.access_granted": 1}, nil, {"user.access_granted": 9, "username.claimed": 1}} {
		site.Store.WriteAs(versions)
		r := mustAppend(t, site.Store, write(eventstore.Any, stream, want))[0]
		asOfToday(t, r)
		lines = append(lines, string(r.Line))
	}
	first, second := `"schema":1,`, `"schema":2,`
	for i, says := range []string{first, second, second} {
		old := says == first
		if !strings.Contains(lines[i], says) || strings.Contains(lines[i], `"indices"`) == old {
			t.Errorf("line %d is %s", i, lines[i])
		}
	}
	stored, err := site.Store.ReadStream(t.Context(), stream)
	if err != nil || len(stored) != len(lines) {
		t.Fatal(stored, err)
	}
	for i, r := range stored {
		if asOfToday(t, r); string(r.Line) != lines[i] {
			t.Errorf("stored %s, wrote %s", r.Line, lines[i])
		}
	}
	schemas, err := schema.LoadEvents()
	if err != nil {
		t.Fatal(err)
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: head.Site, Epoch: head.Epoch, Through: head.Pos, Chain: head.Chain}, eventstore.Checks{Schema: schemas.Validate})
	if err != nil || !v.OK {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVerifyAsksForAnUpgrade: a sound log that a newer program wrote is not
// called damaged, and not called good by one that cannot read it.
func TestVerifyAsksForAnUpgrade(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	m, chain := foreign(t, 1, 3), eventstore.Genesis("e", "hq")
	m.Lines[1] = bytes.Replace(m.Lines[1], []byte(`"schema":1`), []byte(`"schema":99`), 1)
	for _, line := range m.Lines {
		chain = chain.Next(line)
	}
	if err := site.Store.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	log := eventstore.Epoch{Origin: "hq", Epoch: "e", Through: 3, Chain: chain}
	_, err := site.Store.Verify(t.Context(), log, eventstore.Checks{})
	var newer *domain.UnknownEventError
	if !errors.As(err, &newer) || newer.Schema != 99 || !strings.Contains(err.Error(), "position 2") {
		t.Errorf("got %v", err)
	}
	if _, err := site.Store.ReadStream(t.Context(), m.Events[1].Stream); !errors.As(err, &newer) {
		t.Errorf("it was read: %v", err)
	}
	log.Chain = eventstore.Genesis("e", "hq")
	if v, err := site.Store.Verify(t.Context(), log, eventstore.Checks{}); err != nil || v.OK || v.BadPosition != 2 {
		t.Errorf("what was altered: %+v, %v", v, err)
	}
}

func asOfToday(t *testing.T, r eventstore.Record) {
	t.Helper()
	f, ok := r.Fact.(domain.AccessGranted)
	if !ok || f.Indices == nil || r.Schema != 2 || string(r.Data) != `{"request_type":"airport","indices":[]}` {
		t.Errorf("got %+v of %s", r, r.Line)
	}
}
