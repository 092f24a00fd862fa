package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
)

func TestQueueCommands(t *testing.T) {
	t.Parallel()
	core := newStation(t, "core", domain.ResponseSite, t.TempDir())
	id := uuid.NewString()
	_, err := core.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{
		{Stream: domain.RequestStream(id), Facts: []domain.Fact{domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{}`), Priority: 5, User: "1"}}},
		{Stream: domain.ResponseStream(id), Facts: []domain.Fact{domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 5}}}}})
	if err != nil {
		t.Fatal(err)
	}
	core.must(t, "queue", "retry", strings.ToUpper(id), "--reason", "the source is back")
	var listed queueListing
	decodeInto(t, core.must(t, "queue", "list").stdout, &listed)
	if len(listed.Jobs) != 1 || listed.Jobs[0].Request != id || listed.Jobs[0].State != "available" || listed.Jobs[0].Status != domain.StatusPending ||
		len(listed.Periodic) < 2 || listed.Leader != nil {
		t.Errorf("listed %+v", listed)
	}
	if views := core.must(t, "audit", "log", "--type", "audit.viewed").stdout; !strings.Contains(views, `"sallyport queue list"`) {
		t.Errorf("that somebody looked is not recorded: %s", views)
	}
	core.must(t, "queue", "cancel", "1", "--reason", "the source is closed")
	core.must(t, "queue", "retry", "clean-requests")
	records, err := core.Store.ReadStream(t.Context(), domain.ResponseStream(id))
	if err != nil || len(records) != 3 {
		t.Fatalf("%d events, %v", len(records), err)
	}
	if f, ok := records[2].Fact.(domain.ResponseFailed); !ok || f.Code != domain.CodeCancelledByAdmin || !strings.HasSuffix(f.Error, "the source is closed") {
		t.Errorf("ended by %+v", records[2].Fact)
	}
	for _, wrong := range [][]string{{"retry", "x"}, {"cancel", "0"}, {"cancel", "4711"}, {"cancel", "clean-requests"}, {"retry", uuid.NewString()}, {"retry"}} {
		if r := core.try(t, append([]string{"queue"}, wrong...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("queue %v: exit code %d: %s%s", wrong, r.code, r.stdout, r.stderr)
		}
	}
	if r := core.try(t, "queue", "cancel", id); r.code == 0 || !strings.Contains(r.stderr, "failed already") {
		t.Errorf("ended twice: exit code %d: %s", r.code, r.stderr)
	}
}
