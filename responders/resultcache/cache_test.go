package resultcache_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/domain"
	"sallyport/internal/redisdev/redistest"
	"sallyport/responders"
	"sallyport/responders/resultcache"
)

// source counts how often it is asked, and answers with that number when it is
// let.
type source struct {
	asked atomic.Int64
	let   chan struct{}       // nil: at once
	fails func(n int64) error // nil: never
	big   int                 // bytes of the answer beside the number
	ended atomic.Int64        // how often it was stopped
}

func (s *source) Respond(ctx context.Context, _ responders.Question) (responders.Answer, error) {
	n := s.asked.Add(1)
	if s.let != nil {
		select {
		case <-ctx.Done():
			s.ended.Add(1)
			return responders.Answer{}, &responders.Failure{Code: "timeout", Text: "too slow", Retryable: true, Cause: ctx.Err()}
		case <-s.let:
		}
	}
	if s.fails != nil {
		if err := s.fails(n); err != nil {
			return responders.Answer{}, err
		}
	}
	return responders.Answer{Result: json.RawMessage(fmt.Sprintf(`[%d,"%s"]`, n, strings.Repeat("x", s.big))), Count: 2, Truncated: n%2 == 0, ContentType: "application/json"}, nil
}

func question(params string) responders.Question {
	return responders.Question{Type: "airport", Version: 1, Params: json.RawMessage(params), MaxResults: 10, MaxBytes: 1 << 20,
		Config: domain.ResponderConfigured{Kind: domain.ResponderSQL, Source: "airports", Statement: "SELECT 1", TimeoutMS: 20_000}}
}

// stores are the two kinds, each with what it takes to share it among caches, as
// processes do.
func stores(t *testing.T, try func(t *testing.T, open func() resultcache.Config)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		m := resultcache.NewMemory()
		try(t, func() resultcache.Config { return resultcache.Config{Store: m} })
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		client := connect(t)
		try(t, func() resultcache.Config {
			return resultcache.Config{Store: resultcache.NewRedis(client, func(err error) { t.Errorf("redis: %v", err) })}
		})
	})
}

func connect(t *testing.T) *redis.Client {
	t.Helper()
	url, ok := redistest.URL(t)
	if !ok {
		t.Skip("there is no redis-server on this machine")
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

// says returns the number that an answer holds.
func says(t *testing.T, r resultcache.Responder, q responders.Question) (n int64, cached bool) {
	t.Helper()
	a, err := r.Respond(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var rows []any
	if err := json.Unmarshal(a.Result, &rows); err != nil {
		t.Fatal(err)
	}
	number, _ := rows[0].(float64)
	if n = int64(number); a.Count != 2 || a.Truncated != (n%2 == 0) || a.ContentType != "application/json" {
		t.Fatalf("%+v", a)
	}
	return n, a.Cached
}

func TestAnAnswerServesWhoAsksTheSame(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, open func() resultcache.Config) {
		s, counts := &source{}, map[resultcache.Outcome]int{}
		config := open()
		config.Count = func(o resultcache.Outcome) { counts[o]++ }
		c := resultcache.New(config)
		r, elsewhere := c.Before(s), resultcache.New(open()).Before(s)
		for i, c := range []struct {
			r      resultcache.Responder
			q      responders.Question
			n      int64
			cached bool
		}{
			{r, question(`{"a":1,"b":[1,2]}`), 1, false},
			{r, question(` { "b" : [1,2], "\u0061" : 1 } `), 1, true},
			{elsewhere, question(`{"a":1,"b":[1,2]}`), 1, true},
			{r, question(`{"a":1,"b":[2,1]}`), 2, false},
			{r, question(`{"a":9007199254740993}`), 3, false},
			{r, question(`{"a":9007199254740992}`), 4, false},
		} {
			if n, cached := says(t, c.r, c.q); n != c.n || cached != c.cached {
				t.Errorf("%d: answer %d, cached %t; want %d, %t", i, n, cached, c.n, c.cached)
			}
		}
		if kept, err := c.Kept(t.Context()); kept != 4 || err != nil || counts[resultcache.Hit] != 1 || counts[resultcache.Miss] != 4 || c.HitRatio() != 0.2 {
			t.Errorf("%d kept (%v), %v, %g", kept, err, counts, c.HitRatio())
		}
		for params, there := range map[string]bool{`{"b":[1,2],"a":1}`: true, `{"b":[1,2],"a":2}`: false, `{`: false} {
			if a, ok := c.Known(t.Context(), question(params)); ok != there || a.Cached != there || there && a.Count != 2 {
				t.Errorf("known of %s: %+v, %t", params, a, ok)
			}
		}
		if n, err := c.Clear(t.Context()); n != 4 || err != nil {
			t.Errorf("%d cleared, %v", n, err)
		}
		if n, cached := says(t, r, question(`{"a":1,"b":[1,2]}`)); n != 5 || cached {
			t.Errorf("after it was cleared: answer %d, cached %t", n, cached)
		}
	})
}

func TestWhatIsNotKept(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, open func() resultcache.Config) {
		never := question(`{}`)
		never.Config.CacheSeconds = new(0)
		broken := errors.New("broken")
		for name, c := range map[string]struct {
			source *source
			q      responders.Question
		}{
			"0 seconds":     {&source{}, never},
			"too large":     {&source{big: resultcache.MaxEntry}, question(`{"large":1}`)},
			"no JSON":       {&source{}, question(`{"a":1,"a":2}`)},
			"after failure": {&source{fails: func(n int64) error { return map[int64]error{1: broken}[n] }}, question(`{"fails":1}`)},
		} {
			r := resultcache.New(open()).Before(c.source)
			if _, err := r.Respond(t.Context(), c.q); err != nil && !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
			if n, cached := says(t, r, c.q); n != 2 || cached {
				t.Errorf("%s: answer %d, cached %t", name, n, cached)
			}
		}
	})
}

// Whoever has other rights has another question.
func TestOthersAreAskedAnew(t *testing.T) {
	t.Parallel()
	r := resultcache.New(resultcache.Config{Store: resultcache.NewMemory()}).Before(&source{})
	seen := map[int64]string{}
	for name, change := range map[string]func(*responders.Question){
		"nothing":       func(*responders.Question) {},
		"type":          func(q *responders.Question) { q.Type = "airports" },
		"version":       func(q *responders.Question) { q.Version = 2 },
		"rows":          func(q *responders.Question) { q.MaxResults = 11 },
		"bytes":         func(q *responders.Question) { q.MaxBytes++ },
		"indices":       func(q *responders.Question) { q.Indices = []string{"a"} },
		"no indices":    func(q *responders.Question) { q.Indices = []string{} },
		"other indices": func(q *responders.Question) { q.Indices = []string{"a", "b"} },
		"kind":          func(q *responders.Question) { q.Config.Kind = domain.ResponderHTTP },
		"source":        func(q *responders.Question) { q.Config.Source = "airports2" },
		"statement":     func(q *responders.Question) { q.Config.Statement = "SELECT 2" },
		"call":          func(q *responders.Question) { q.Config.Call = &domain.ServiceCall{Path: "/"} },
		"search":        func(q *responders.Question) { q.Config.Search = &domain.SearchQuery{Indices: []string{"a"}} },
	} {
		q := question(`{}`)
		change(&q)
		n, cached := says(t, r, q)
		if before, twice := seen[n]; twice || cached {
			t.Errorf("%s is answered with what %s was", name, before)
		}
		seen[n] = name
	}
	salted := resultcache.New(resultcache.Config{Store: resultcache.NewMemory(), Salt: "elsewhere"}).Before(&source{})
	if _, cached := says(t, salted, question(`{}`)); cached {
		t.Error("a source that is elsewhere is not asked")
	}
}

// However many ask the same at once, in however many processes: one asks the
// source.
func TestOneAsksForAll(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, open func() resultcache.Config) {
		s := &source{let: make(chan struct{})}
		var asking, begun sync.WaitGroup
		var cached atomic.Int64
		for range 4 {
			r := resultcache.New(open()).Before(s)
			for range 8 {
				begun.Add(1)
				asking.Go(func() {
					begun.Done()
					a, err := r.Respond(t.Context(), question(`{}`))
					if err != nil || string(a.Result) != `[1,""]` {
						t.Errorf("%s, %v", a.Result, err)
					}
					if a.Cached {
						cached.Add(1)
					}
				})
			}
		}
		begun.Wait()
		close(s.let)
		asking.Wait()
		if s.asked.Load() != 1 || cached.Load() != 31 {
			t.Errorf("asked %d times, %d answers were cached", s.asked.Load(), cached.Load())
		}
	})
}

// A source is stopped when nobody waits for it any more, and before the last one
// hears so.
func TestTheLastOneStopsTheSource(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, open func() resultcache.Config) {
		s := &source{let: make(chan struct{})}
		r := resultcache.New(open()).Before(s)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			until(t, func() bool { return s.asked.Load() == 1 })
			cancel()
		}()
		if _, err := r.Respond(ctx, question(`{}`)); err == nil || s.ended.Load() != 1 {
			t.Errorf("%v, stopped %d times", err, s.ended.Load())
		}
		close(s.let)
		if n, cached := says(t, r, question(`{}`)); n != 2 || cached {
			t.Errorf("the next: answer %d, cached %t", n, cached)
		}
	})
}

func TestAPanicIsAFailure(t *testing.T) {
	t.Parallel()
	r := resultcache.New(resultcache.Config{Store: resultcache.NewMemory()}).Before(&source{fails: func(int64) error { panic("hunter2") }})
	if _, err := r.Respond(t.Context(), question(`{}`)); err == nil || !strings.Contains(err.Error(), "panicked") || errors.As(err, new(*responders.Failure)) {
		t.Errorf("got %v", err)
	}
}

// What was asked for before it was cleared is not kept: it may be of before the
// change because of which it is cleared.
func TestClearReachesWhatIsAskedNow(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, open func() resultcache.Config) {
		s := &source{let: make(chan struct{})}
		c := resultcache.New(open())
		r := c.Before(s)
		var asking sync.WaitGroup
		asking.Go(func() { says(t, r, question(`{}`)) })
		until(t, func() bool { return s.asked.Load() == 1 })
		if n, err := c.Clear(t.Context()); n != 0 || err != nil {
			t.Errorf("%d cleared, %v", n, err)
		}
		close(s.let)
		asking.Wait()
		if n, cached := says(t, r, question(`{}`)); n != 2 || cached {
			t.Errorf("answer %d, cached %t", n, cached)
		}
	})
}

// until waits for what happens elsewhere.
func until(t *testing.T, what func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.NewTimer(20*time.Second)
	defer tick.Stop()
	defer late.Stop()
	for !what() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Error("it did not happen")
			return
		}
	}
}
