package eventstore_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func submitted(params string) (string, eventstore.Append) {
	id := uuid.NewString()
	return id, eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{{Stream: domain.RequestStream(id), Facts: []domain.Fact{
		domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(params), Priority: 5, User: "user-1"}}}}}
}

func TestAppendersLeaveNoGap(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				_, a := submitted(`{"iata":"AMS"}`)
				if _, err := site.Store.Append(t.Context(), a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	records, err := site.Store.Read(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 321 {
		t.Fatalf("stored %d events, want 321", len(records))
	}
	chain := eventstore.Genesis(eventstoretest.Epoch, "field")
	for _, r := range records {
		chain = chain.Next(r.Line)
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head.Chain != chain || head.Pos != 321 {
		t.Errorf("head %d %s, want 321 %s", head.Pos, head.Chain, chain)
	}
}
