package bridge_test

import (
	"testing"

	"sallyport/bridge"
	"sallyport/domain"
)

// place returns the site that wrote the newest event of a stream, and its
// position there.
func (e *end) place(t *testing.T, stream string) (origin string, pos int64) {
	t.Helper()
	records, err := e.Log.ReadStream(t.Context(), stream)
	if err != nil || len(records) == 0 {
		t.Fatalf("stream %s: %v, %v", stream, records, err)
	}
	last := records[len(records)-1]
	return last.Origin, last.Pos
}

func (e *end) carriers(t *testing.T, stream string) []bridge.Carrier {
	t.Helper()
	origin, pos := e.place(t, stream)
	found, err := e.Carriers(t.Context(), origin, pos)
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		if (found[i].At == nil) != (found[i].State == "planned") {
			t.Errorf("%+v has the time %v", found[i], found[i].At)
		}
		found[i].At, found[i].Epoch = nil, ""
	}
	return found
}

func one(t *testing.T, what string, got []bridge.Carrier, want bridge.Carrier) {
	t.Helper()
	if len(got) != 1 || got[0] != want {
		t.Errorf("%s: carried by %+v, want %+v", what, got, want)
	}
}

// Both sites tell which bundle carried an event, also when there were many.
func TestWhichBundleCarriedAnEvent(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var ids []string
	var sent []bridge.Exported
	for range 5 {
		ids = append(ids, field.submit(t))
		field.submitMany(t, 3, true) // and what stays at home
		out := field.exportOne(t, "core")
		sent = append(sent, out)
		carry(t, field, core, out.File)
		core.expect(t, bridge.Applied)
	}
	for i, id := range ids {
		stream := domain.RequestStream(id)
		one(t, "out", field.carriers(t, stream), bridge.Carrier{Direction: "out", Peer: "core", Seq: sent[i].Seq, ID: sent[i].ID, State: "exported"})
		one(t, "in", core.carriers(t, stream), bridge.Carrier{Direction: "in", Peer: "field", Seq: sent[i].Seq, ID: sent[i].ID, State: "archived"})
	}
	waiting := field.submit(t)
	if got := field.carriers(t, domain.RequestStream(waiting)); len(got) != 0 {
		t.Errorf("what was not exported was carried by %+v", got)
	}

	answer := domain.ResponseStream(ids[2])
	core.append(t, answer, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(`[]`), Responder: domain.ResponderSQL})
	back := core.exportOne(t, "field")
	carry(t, core, field, back.File)
	field.expect(t, bridge.Applied)
	one(t, "back", field.carriers(t, answer), bridge.Carrier{Direction: "in", Peer: "core", Seq: back.Seq, ID: back.ID, State: "archived"})
	one(t, "acknowledged", field.carriers(t, domain.RequestStream(ids[4])),
		bridge.Carrier{Direction: "out", Peer: "core", Seq: sent[4].Seq, ID: sent[4].ID, State: "acknowledged"})

	// What a bundle withholds it does not carry.
	origin, pos := field.place(t, domain.RequestStream(ids[0]))
	if got, err := field.Carriers(t.Context(), origin, pos+2); err != nil || len(got) != 0 {
		t.Errorf("withheld, but carried by %+v (%v)", got, err)
	}
	if got, err := core.Carriers(t.Context(), "nobody", 1); err != nil || len(got) != 0 {
		t.Errorf("of a site without a link: %+v (%v)", got, err)
	}
}
