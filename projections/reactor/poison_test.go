package reactor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/projections/reactor"
	"sallyport/projections/responsecache"
)

// poisoned gives up one answer of two and returns what is in the queue.
func poisoned(t *testing.T) (q *reactor.Poison, cache *recorder, broken string, p reactor.Poisoned) {
	t.Helper()
	site, cache, other := setup(t), newRecorder(), &center{}
	broken = submit(t, site)
	good := submit(t, site)
	failing := true
	cache.fail = func(id string) error {
		if id == broken && failing {
			return errors.New("the cache does not answer")
		}
		return nil
	}
	start(t, site, cache)
	other.answer(t, site, `[]`, broken, good)
	eventually(t, "the good one is cached", func() bool { _, ok := cached(t, cache, good); return ok })
	q = reactor.NewPoison(site.Pool)
	all, err := q.List(t.Context(), 0, 10)
	if err != nil || len(all) != 1 {
		t.Fatalf("the queue holds %+v, %v", all, err)
	}
	cache.mu.Lock()
	failing = false
	cache.mu.Unlock()
	return q, cache, broken, all[0]
}

// A cache that is away holds nothing up and leaves nothing for people to do.
func TestACacheThatIsAwayPoisonsNothing(t *testing.T) {
	t.Parallel()
	site, cache, other := setup(t), newRecorder(), &center{}
	missed, good := submit(t, site), submit(t, site)
	cache.fail = func(id string) error {
		if id == missed {
			return fmt.Errorf("cache an answer: %w", responsecache.ErrAway)
		}
		return nil
	}
	start(t, site, cache)
	other.answer(t, site, `[]`, missed, good)
	eventually(t, "the next answer is cached", func() bool { _, ok := cached(t, cache, good); return ok })
	if asked := cache.asked(); !slices.Equal(asked, []string{missed, good}) {
		t.Errorf("asked %v, want each once", asked)
	}
	if n, err := reactor.NewPoison(site.Pool).Depth(t.Context()); err != nil || n != 0 {
		t.Errorf("%d events are in the poison queue, %v", n, err)
	}
}

func TestWhatWasGivenUpIsShown(t *testing.T) {
	t.Parallel()
	q, _, broken, p := poisoned(t)
	if p.Reactor != "response-cache" || p.Stream != "response-"+broken || p.Type != "response.recorded" || p.Origin != "center" ||
		!strings.Contains(p.Reason, "does not answer") || p.Failures != 1 || p.RequeuedAt != nil || p.Event != nil {
		t.Errorf("listed %+v", p)
	}
	shown, err := q.Show(t.Context(), p.ID)
	if err != nil || !strings.Contains(string(shown.Event), broken) {
		t.Errorf("shown %+v, %v", shown, err)
	}
	if more, err := q.List(t.Context(), p.ID, 10); err != nil || len(more) != 0 {
		t.Errorf("behind the last: %+v, %v", more, err)
	}
}

func TestWhatIsPutBackIsHandled(t *testing.T) {
	t.Parallel()
	q, cache, broken, p := poisoned(t)
	if err := q.Requeue(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is cached and out of the queue", func() bool {
		_, ok := cached(t, cache, broken)
		_, err := q.Show(t.Context(), p.ID)
		return ok && errors.Is(err, reactor.ErrNotPoisoned)
	})
}

func TestWhatFailsAgainWaitsAgain(t *testing.T) {
	t.Parallel()
	q, cache, _, p := poisoned(t)
	cache.mu.Lock()
	cache.fail = func(string) error { return errors.New("it is still away") }
	cache.mu.Unlock()
	if err := q.Requeue(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its second failure is told", func() bool {
		again, err := q.Show(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return again.Failures == 2 && again.RequeuedAt == nil && strings.HasSuffix(again.Reason, "it is still away")
	})
}

func TestWhatIsDroppedIsGone(t *testing.T) {
	t.Parallel()
	q, cache, broken, p := poisoned(t)
	if err := q.Drop(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"drop": q.Drop(t.Context(), p.ID), "put back": q.Requeue(t.Context(), p.ID)} {
		if !errors.Is(err, reactor.ErrNotPoisoned) {
			t.Errorf("%s again: %v", what, err)
		}
	}
	if _, ok := cached(t, cache, broken); ok {
		t.Error("it was handled")
	}
}
