package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/projections/responsecache"
)

func TestAnswersAreCachedUnasked(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	first := submit(t, site)
	other.answer(t, site, `["before the reactor began"]`, first)
	r, _ := start(t, site, cache)
	second := submit(t, site)
	other.answer(t, site, `["after"]`, second)
	eventually(t, "both are cached", func() bool {
		_, one := cached(t, cache, first)
		_, two := cached(t, cache, second)
		return one && two
	})
	got, _ := cached(t, cache, second)
	row, err := projections.NewReader(site.Pool).Response(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	body, err := projections.RenderResponse(row)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != string(body.Bytes()) || got.Owner != "user-1" || got.Position != 4 {
		t.Errorf("cached %+v of %s, want position 4 of %s", got, got.Body, body.Bytes())
	}
	if r.Poisoned() != 0 {
		t.Errorf("%d events were given up", r.Poisoned())
	}
}

func TestTheCacheIsRewritten(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	reader := projections.NewReader(site.Pool)
	damaged, lost, open := submit(t, site), submit(t, site), submit(t, site)
	other.answer(t, site, `["right"]`, damaged, lost)
	if err := errors.Join(cache.Set(t.Context(), damaged, responsecache.Entry{Owner: "user-2", Position: 99, Body: []byte(`{}`)}),
		cache.Set(t.Context(), open, responsecache.Entry{Owner: "user-1", Position: 1, Body: []byte(`{}`)})); err != nil {
		t.Fatal(err)
	}
	cleared, written, err := reactor.Rewrite(t.Context(), "field", reader, cache, time.Now().Add(-time.Hour))
	if err != nil || cleared != 2 || written != 2 {
		t.Errorf("cleared %d, wrote %d: %v", cleared, written, err)
	}
	for id, want := range map[string]bool{damaged: true, lost: true, open: false} {
		e, there := cached(t, cache, id)
		if there != want || there && (e.Owner != "user-1" || !strings.Contains(string(e.Body), "right")) {
			t.Errorf("of %s there is %v: %+v", id, there, e)
		}
	}
	if _, written, err = reactor.Rewrite(t.Context(), "field", reader, cache, time.Now().Add(time.Hour)); err != nil || written != 0 {
		t.Errorf("wrote %d that are too old: %v", written, err)
	}
	cache.fail = func(string) error { return errors.New("full") }
	if _, _, err := reactor.Rewrite(t.Context(), "field", reader, cache, time.Now().Add(-time.Hour)); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a cache that fails: %v", err)
	}
}

func TestAFailureThatIsTakenBackIsForgotten(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	start(t, site, cache)
	for _, change := range []domain.Fact{domain.RequestRetried{Failure: 1}, domain.RequestCancelled{}} {
		id := submit(t, site)
		e, line := other.event(t, domain.ResponseStream(id), domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 1})
		if err := site.Store.Mirror(t.Context(), eventstore.Mirrored{Origin: "center", Events: []domain.Event{e},
			Facts: []domain.Fact{domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 1}}, Lines: [][]byte{line}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the failure is cached", func() bool { _, ok := cached(t, cache, id); return ok })
		if _, err := site.Store.Append(t.Context(), eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{
			{Stream: domain.RequestStream(id), Expected: eventstore.Any, Facts: []domain.Fact{change}}}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is forgotten", func() bool { _, ok := cached(t, cache, id); return !ok })
	}
}

func TestItContinuesWhereItStopped(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	first, second := submit(t, site), submit(t, site)
	_, stop := start(t, site, cache)
	other.answer(t, site, `[1]`, first)
	eventually(t, "its place is behind the first answer", func() bool { return place(t, site) == head(t, site) })
	stop()
	other.answer(t, site, `[2]`, second)
	if _, ok := cached(t, cache, second); ok {
		t.Error("a stopped reactor works")
	}
	_, stop = start(t, site, cache)
	eventually(t, "the second is cached", func() bool { _, ok := cached(t, cache, second); return ok })
	stop()
	if got := cache.asked(); len(got) != 2 {
		t.Errorf("cached %v, want each answer once", got)
	}
}

func TestItMovesPastWhatNobodyWants(t *testing.T) {
	t.Parallel()
	site, cache := setup(t), newRecorder()
	start(t, site, cache)
	for range 3 { // more than one page
		a := eventstore.Append{Actor: "user-1"}
		for range 500 {
			a.Writes = append(a.Writes, eventstore.Write{Stream: domain.RequestStream(uuid.NewString()), Facts: []domain.Fact{
				domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{}`), Priority: 5, User: "user-1"}}})
		}
		if _, err := site.Store.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
	if got := cache.asked(); len(got) != 0 {
		t.Errorf("requests alone made it cache %v", got)
	}
}

func TestAnswersToOthersAreNotCached(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{Site: "center", Role: domain.ResponseSite, Inline: projections.Inline()})
	cache, id := newRecorder(), uuid.NewString()
	peer := &center{}
	e, line := peer.event(t, domain.RequestStream(id), domain.RequestSubmitted{Type: "airport", TypeVersion: 1,
		Params: []byte(`{}`), Priority: 5, User: "user-1"})
	fact, err := domain.Decode(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := site.Store.Mirror(t.Context(), eventstore.Mirrored{Origin: "field", Events: []domain.Event{e},
		Facts: []domain.Fact{fact}, Lines: [][]byte{line}}); err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{id, uuid.NewString()} { // the second is not known here
		_, err := site.Store.Append(t.Context(), eventstore.Append{Actor: "site:center", Writes: []eventstore.Write{
			{Stream: domain.ResponseStream(request), Facts: []domain.Fact{domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 1}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	start(t, site, cache)
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
	if got := cache.asked(); len(got) != 0 {
		t.Errorf("cached %v, which another site asked for", got)
	}
}

func TestWhatFailsIsTriedAgainAndThenPassedOver(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	flaky, broken, good := submit(t, site), submit(t, site), submit(t, site)
	tries := map[string]int{}
	cache.fail = func(id string) error {
		tries[id]++
		if id == broken || id == flaky && tries[id] == 1 {
			return errors.New("the cache does not answer")
		}
		return nil
	}
	r, _ := start(t, site, cache)
	other.answer(t, site, `[]`, flaky, broken, good)
	eventually(t, "the good one is cached", func() bool { _, ok := cached(t, cache, good); return ok })
	if _, ok := cached(t, cache, flaky); !ok {
		t.Error("what failed once was not tried again")
	}
	if _, ok := cached(t, cache, broken); ok || r.Poisoned() != 1 {
		t.Errorf("what fails always: cached %v, given up %d", ok, r.Poisoned())
	}
	eventually(t, "its place is the log's end", func() bool { return place(t, site) == head(t, site) })
}

func TestTwoProcessesShareTheWork(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	_, stopFirst := start(t, site, cache)
	start(t, site, cache)
	var ids []string
	for range 40 {
		ids = append(ids, submit(t, site))
	}
	for n := range 4 {
		other.answer(t, site, `[]`, ids[n*10:n*10+10]...)
		if n == 1 {
			stopFirst()
		}
	}
	eventually(t, "all are cached", func() bool {
		for _, id := range ids {
			if _, ok := cached(t, cache, id); !ok {
				return false
			}
		}
		return true
	})
}

func TestManyPagesInOrder(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	var ids []string
	for range 5 {
		ids = append(ids, submit(t, site))
	}
	// Four answers of 800 KB do not fit into one page.
	other.answer(t, site, `["`+strings.Repeat("x", 800<<10)+`"]`, ids[:4]...)
	other.answer(t, site, `[]`, ids[4])
	start(t, site, cache)
	eventually(t, "the last is cached", func() bool { _, ok := cached(t, cache, ids[4]); return ok })
	if got := cache.asked(); fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("cached in the order %v, want %v", got, ids)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := reactor.New(reactor.Config{}); err == nil {
		t.Error("a reactor of nothing is made")
	}
	both := noteDown(never)
	both.Handle = func(context.Context, reactor.Event) error { return nil }
	for _, h := range []reactor.Handler{{Name: "neither"}, both} {
		c := reactor.Config{Pool: &pgxpool.Pool{}, Log: &eventstore.Store{}, Logger: slog.New(slog.DiscardHandler), Handlers: []reactor.Handler{h}}
		if _, err := reactor.New(c); err == nil || !strings.Contains(err.Error(), h.Name) {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
}
