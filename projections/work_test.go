package projections_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

const (
	anna = "user-anna"
	bert = "user-bert"
)

// works stores work on so many requests, numbered from 1: all ask the same, the
// later the more urgent but for the last two.
func works(t *testing.T, site *eventstoreSite, n int) {
	t.Helper()
	h := newHistory(t)
	for i := 1; i <= n; i++ {
		h.add("field", domain.RequestStream(id(i)), submitted(id(99), ""))
		h.add("center", domain.WorkStream(id(i)), domain.WorkOpened{RequestType: "airport", TypeVersion: 1, Priority: min(i, n-1), Question: "same",
			Task: domain.ManualTask{Instructions: "look", ClaimMinutes: 30}})
	}
	store(t, site, [][]eventstore.Record{h.logs["field"], h.logs["center"]})
}

// happen applies what happens to work after a position of the log.
func happen(t *testing.T, site *eventstoreSite, pos int64, actor string, stories map[int][]domain.Fact) {
	t.Helper()
	for n, facts := range stories {
		for _, f := range facts {
			pos++
			stream := domain.WorkStream(id(n))
			if f.EventType() == "response.recorded" {
				stream = domain.ResponseStream(id(n))
			}
			store(t, site, [][]eventstore.Record{{{Origin: "center", Fact: f, Event: domain.Event{Pos: pos, Stream: stream, Type: f.EventType(),
				Actor: actor, At: dawn.Add(time.Duration(n) * time.Hour)}}}})
		}
	}
}

func TestWorkIsListed(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	works(t, site, 6)
	now := dawn.Add(time.Hour)
	until := func(d time.Duration) domain.Timestamp { return domain.Timestamp(now.Add(d)) }
	happen(t, site, 100, anna, map[int][]domain.Fact{
		2: {domain.WorkClaimed{Holder: anna, Until: until(time.Minute)}, domain.WorkReleased{Holder: anna}},
		3: {domain.WorkClaimed{Holder: anna, Until: until(time.Minute)}},
		4: {domain.WorkClaimed{Holder: bert, Until: until(0)}},
		5: {domain.WorkClaimed{Holder: anna, Until: until(time.Minute)}, domain.WorkClosed{Outcome: domain.StatusFailed}},
		6: {domain.WorkClosed{Outcome: domain.StatusAnswered}},
	})
	desk, err := reader.WorkWaiting(t.Context(), now)
	if want := (projections.Desk{Open: 3, Claimed: 1, Oldest: dawn.Add(time.Second)}); err != nil || desk != want {
		t.Errorf("waiting: %+v, %v, want %+v", desk, err, want)
	}
	for _, c := range []struct {
		f    projections.WorkFilter
		want []int
	}{
		{projections.WorkFilter{}, []int{4, 3, 2, 1}},
		{projections.WorkFilter{State: projections.WorkIsOpen}, []int{4, 2, 1}},
		{projections.WorkFilter{State: projections.WorkIsClaimed}, []int{3}},
		{projections.WorkFilter{State: projections.WorkIsClosed}, []int{6, 5}},
		{projections.WorkFilter{State: projections.WorkIsClosed, Holder: bert}, nil},
		{projections.WorkFilter{Holder: anna}, []int{3}},
		{projections.WorkFilter{Holder: bert}, nil},
		{projections.WorkFilter{Type: "other"}, nil},
	} {
		for _, limit := range []int{1, 100} {
			f := c.f
			f.Now, f.Page = now, projections.Page{Limit: limit}
			var got []int
			for more := true; more; more = f.Cursor != "" {
				found, next, err := reader.Works(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range found {
					var n int
					if _, err := fmt.Sscanf(w.Request, "00000000-0000-7000-8000-%d", &n); err != nil {
						t.Fatal(err)
					}
					got = append(got, n)
					if f.State != "" && w.State(now) != f.State {
						t.Errorf("%+v is listed as %s", w, f.State)
					}
				}
				f.Cursor = next
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%+v, %d a page (-want +got):\n%s", c.f, limit, d)
			}
		}
	}
	for _, f := range []projections.WorkFilter{{}, {State: projections.WorkIsClosed}} {
		f.Cursor = "eAp5" // "x\ny"
		if _, _, err := reader.Works(t.Context(), f); err == nil {
			t.Errorf("a cursor of nobody's is taken by %+v", f)
		}
	}
}

func TestEarlierAnswersToTheSameQuestion(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	works(t, site, 4)
	long := `"` + strings.Repeat("7", projections.MaxEarlierResult) + `"`
	happen(t, site, 100, bert, map[int][]domain.Fact{
		1: {recorded(`{"verdict":"yes"}`, 1), domain.WorkClosed{Outcome: domain.StatusAnswered}},
		2: {domain.WorkClosed{Outcome: domain.StatusFailed}},
		3: {recorded(long, 1), domain.WorkClosed{Outcome: domain.StatusAnswered}},
	})
	w, err := reader.Work(t.Context(), id(4))
	if err != nil || w.Task.Instructions != "look" || w.User != id(99) || string(w.Params) == "" {
		t.Fatalf("%+v, %v", w, err)
	}
	found, err := reader.EarlierAnswers(t.Context(), w)
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	by := map[string]projections.EarlierAnswer{found[0].Request: found[0], found[1].Request: found[1]}
	if short := by[id(1)]; string(short.Result) != `{"verdict":"yes"}` || short.AnsweredBy != bert || short.AnsweredAt != dawn.Add(time.Hour) {
		t.Errorf("got %+v", short)
	}
	if tooLong := by[id(3)]; tooLong.Result != nil || tooLong.Bytes != int64(len(long)) {
		t.Errorf("got %+v", tooLong)
	}
	again := domain.WorkOpened{RequestType: "airport", Priority: 1, Question: "other", Task: domain.ManualTask{ClaimMinutes: 1}}
	happen(t, site, 200, bert, map[int][]domain.Fact{2: {again}})
	if w, err := reader.Work(t.Context(), id(2)); err != nil || w.Outcome != "" || w.ClosedBy != "" || !w.ClosedAt.IsZero() || w.Question != "other" {
		t.Errorf("opened anew it is %+v (%v)", w, err)
	}
	if _, err := reader.Work(t.Context(), id(5)); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("work that nobody opened: %v", err)
	}
}
