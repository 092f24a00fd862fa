package throttle

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/redisdev"
	"sallyport/internal/redisdev/redistest"
)

func client(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// each runs a test in memory and, where there is one, on Redis.
func each(t *testing.T, test func(t *testing.T, throttle *Throttle)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, New(Config{}))
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		if url, ok := redistest.URL(t); ok {
			test(t, New(Config{Redis: client(t, url), Failed: func(err error) { t.Error(err) }}))
		}
	})
}

var (
	now  = time.Now()
	rule = Rule{Name: "test", Burst: 3, Every: 10 * time.Second}
	one  = Key{rule, "alice"}
)

func TestFailuresAreForgiven(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th *Throttle) {
		ctx := t.Context()
		for i := range 3 {
			if wait := max(th.Blocked(ctx, now, one), th.Outcome(ctx, true, now, one)); wait > 0 {
				t.Fatalf("failure %d: blocked for %v", i+1, wait)
			}
		}
		if wait := th.Blocked(ctx, now, one); wait < 9*time.Second || wait > 10*time.Second {
			t.Errorf("after three failures: wait %v, want 10s", wait)
		}
		if wait := th.Outcome(ctx, false, now, one); wait == 0 {
			t.Error("a right guess among too many was told")
		}
		if wait := th.Blocked(ctx, now, Key{rule, "bob"}, Key{Rule{"other", 3, time.Second}, "alice"}); wait > 0 {
			t.Errorf("another key, another rule: wait %v", wait)
		}
		if wait := th.Blocked(ctx, now, Key{rule, "bob"}, one); wait == 0 {
			t.Error("one of two keys is blocked, and the try is not")
		}
		later := now.Add(10*time.Second + time.Millisecond)
		if wait := th.Outcome(ctx, true, later, one); wait > 0 {
			t.Errorf("ten seconds later: wait %v", wait)
		}
		if wait := th.Blocked(ctx, later, one); wait == 0 {
			t.Error("and only one is forgiven")
		}
		if wait := th.Blocked(ctx, later.Add(time.Hour), one); wait > 0 {
			t.Errorf("an hour later: wait %v", wait)
		}
	})
}

// Success costs nothing, and a blocked try counts for none of its keys.
func TestOnlyFailuresCost(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th *Throttle) {
		other := Key{rule, "bob"}
		for range 10 {
			if wait := th.Outcome(t.Context(), false, now, one); wait > 0 {
				t.Fatalf("a success waits %v", wait)
			}
		}
		for range 10 {
			th.Outcome(t.Context(), true, now, one)
		}
		for range 10 {
			th.Outcome(t.Context(), true, now, one, other)
		}
		if wait := th.Blocked(t.Context(), now, other); wait > 0 {
			t.Errorf("what was blocked by another key was counted: wait %v", wait)
		}
	})
}

// However many guess at once, no more than the allowance are judged.
func TestGuessesSideBySide(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th *Throttle) {
		var mu sync.Mutex
		told := 0
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if th.Outcome(t.Context(), true, now, one) == 0 {
					mu.Lock()
					defer mu.Unlock()
					told++
				}
			})
		}
		wg.Wait()
		if told != 3 {
			t.Errorf("%d guesses were told their outcome, want 3", told)
		}
	})
}

// While Redis is away a process allows a tenth; when it is back, what was
// counted there counts.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	server, ok := redistest.Server(t)
	if !ok {
		return
	}
	failures, alone := 0, 0
	th := New(Config{Redis: client(t, server.URL()), Failed: func(error) { failures++ }, Alone: func() { alone++ }})
	ctx, key := t.Context(), Key{Rule{"test", 20, 10 * time.Second}, "alice"}
	for range 20 {
		th.Outcome(ctx, true, now, key)
	}
	if err := th.redis.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if th.Blocked(ctx, now, key) == 0 {
		t.Error("flushing Redis gave the allowance back")
	}
	if alone > 0 {
		t.Errorf("with Redis %d judgements were made without it", alone)
	}
	stop(t, server)
	other := Key{key.Rule, "bob"}
	told := 0
	for range 20 {
		if th.Outcome(ctx, true, now, other) == 0 {
			told++
		}
	}
	if told != 2 || failures != 1 || alone != 20 {
		t.Errorf("without Redis %d guesses were told, want 2; Redis was tried %d times, want once a second; %d judgements were made without it, want 20", told, failures, alone)
	}
	if wait := th.Blocked(ctx, now, other); wait < 99*time.Second {
		t.Errorf("without Redis: wait %v, want ten times as long", wait)
	}
}

func stop(t *testing.T, server *redisdev.Server) {
	t.Helper()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, th *Throttle) {
		k := NewKnown(th)
		if k.Knows(t.Context(), "alice at home", now) {
			t.Error("a stranger is known")
		}
		k.Remember(t.Context(), "alice at home", now)
		if !k.Knows(t.Context(), "alice at home", now) || k.Knows(t.Context(), "alice elsewhere", now) {
			t.Error("who logged in is not known, or who did not is")
		}
		if th.redis != nil && !NewKnown(th).Knows(t.Context(), "alice at home", now) {
			t.Error("another process does not know")
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	th := New(Config{Keys: 100})
	for i := range 1000 {
		th.Outcome(t.Context(), true, now, Key{rule, fmt.Sprint(i)})
	}
	if n := len(th.memory.clear); n > 100 {
		t.Errorf("%d keys are remembered, want at most 100", n)
	}
}
