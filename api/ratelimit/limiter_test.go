package ratelimit_test

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/internal/redisdev"
	"sallyport/internal/redisdev/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWindowsAreOfUTC(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 2*60*60)
	for _, c := range []struct {
		window ratelimit.Window
		at     time.Time
		start  string
		end    string
	}{
		{ratelimit.Minute, time.Date(2024, 2, 29, 23, 59, 59, 999, time.UTC), "2024-02-29T23:59:00Z", "2024-03-01T00:00:00Z"},
		{ratelimit.Hour, time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC), "2024-02-29T23:00:00Z", "2024-03-01T00:00:00Z"},
		{ratelimit.Day, time.Date(2024, 3, 1, 1, 0, 0, 0, east), "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{ratelimit.Month, time.Date(2024, 3, 1, 1, 0, 0, 0, east), "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{ratelimit.Month, time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC), "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"},
	} {
		start := c.window.Start(c.at)
		if got := start.Format(time.RFC3339); got != c.start {
			t.Errorf("the %v of %v begins %s, want %s", c.window, c.at, got, c.start)
		}
		if got := c.window.End(start).Format(time.RFC3339); got != c.end {
			t.Errorf("the %v of %v ends %s, want %s", c.window, c.at, got, c.end)
		}
		if w, ok := ratelimit.ParseWindow(c.window.String()); !ok || w != c.window {
			t.Errorf("%v is not parsed", c.window)
		}
	}
	if _, ok := ratelimit.ParseWindow("week"); ok {
		t.Error("a week is a window")
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	l := ratelimit.New(ratelimit.Config{})
	hour := domain.Limits{Hour: 10}
	want := func(r ratelimit.Report, allowed bool, status ratelimit.Status, left int64, grace time.Duration) {
		t.Helper()
		ends := time.Time{}
		if grace > 0 {
			ends = noon.Add(grace)
		}
		if r.Allowed != allowed || r.Status != status || r.Uses[1].Remaining() != left || !r.GraceEnds.Equal(ends) || r.Message == "" {
			t.Errorf("got %+v, want %v %v, %d left, grace until %v", r, allowed, status, left, ends)
		}
	}
	take := func(after time.Duration, n int) ratelimit.Report { return l.Take(t.Context(), at(after, n, hour)) }
	look := func(after time.Duration) ratelimit.Report { return l.Look(t.Context(), at(after, 0, hour)) }
	want(look(0), true, ratelimit.OK, 10, 0)
	want(take(0, 7), true, ratelimit.OK, 3, 0)
	want(take(0, 1), true, ratelimit.Warning, 2, 0)
	want(take(0, 1), true, ratelimit.Warning, 1, 0)
	want(take(0, 1), true, ratelimit.SoftBlock, 0, 5*time.Minute)
	want(look(time.Minute), true, ratelimit.SoftBlock, 0, 6*time.Minute) // what the next request would have
	if r := take(0, 100); r.Allowed || r.Status != ratelimit.Exceeded || !r.Never {
		t.Errorf("more than a whole window: %+v", r)
	}
	want(look(0), true, ratelimit.SoftBlock, 0, 5*time.Minute) // one still fits
	want(take(2*time.Minute, 1), true, ratelimit.SoftBlock, 0, 7*time.Minute)
	r := take(3*time.Minute, 1)
	want(r, false, ratelimit.Exceeded, 0, 7*time.Minute)
	if r.Wait != 26*time.Minute+30*time.Second || r.Never {
		t.Errorf("wait %v, never %v", r.Wait, r.Never)
	}
	want(look(3*time.Minute), true, ratelimit.Exceeded, 0, 7*time.Minute)
	want(l.Give(t.Context(), at(0, 2, hour)), true, ratelimit.Warning, 1, 0)
	want(look(30*time.Minute), true, ratelimit.OK, 10, 0)
}

// What was counted before counts against a limit that comes later.
func TestLimitsChangeAtOnce(t *testing.T) {
	t.Parallel()
	l := ratelimit.New(ratelimit.Config{})
	take := func(limit int) bool { return l.Take(t.Context(), at(0, 1, domain.Limits{Day: limit})).Allowed }
	for range 20 {
		if !take(0) {
			t.Fatal("refused without a limit")
		}
	}
	if take(10) {
		t.Error("a new limit does not see what was before")
	}
	if !take(100) {
		t.Error("a raised limit does not act")
	}
}

func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	server, ok := redistest.Server(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := ratelimit.Connect(*options)
	t.Cleanup(func() { _ = client.Close() })
	failures := 0
	l := ratelimit.New(ratelimit.Config{Redis: ratelimit.NewRedis(client), Failed: func(error) { failures++ }})
	clock := time.Duration(0)
	take := func() ratelimit.Report { return l.Take(t.Context(), at(clock, 1, domain.Limits{Hour: 10})) }
	eventually(t, "it counts in Redis", func() bool { clock += time.Second; return !take().InMemory })
	before := take()
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	failures = 0
	after := take()
	if !after.InMemory || after.Uses[1].Used != before.Uses[1].Used+1 {
		t.Errorf("without Redis %d are counted after %d", after.Uses[1].Used, before.Uses[1].Used)
	}
	for range 20 {
		take()
	}
	if r := take(); r.Allowed || !r.InMemory {
		t.Errorf("memory does not refuse: %+v", r)
	}
	if failures != 1 {
		t.Errorf("within a second Redis was tried %d times", failures)
	}
	clock += 2 * time.Second
	if take(); failures != 2 {
		t.Errorf("after two seconds Redis was tried %d times", failures)
	}
	folder := filepath.Dir(filepath.Dir(options.Addr))
	again, err := redisdev.Start(t.Context(), redisdev.Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Stop(context.WithoutCancel(t.Context())) })
	clock += 2 * time.Second
	eventually(t, "it counts in Redis again", func() bool { clock += time.Second; return !take().InMemory })
}

// A Redis that takes calls and does not answer costs a moment, once.
func TestAHangingRedisCostsLittle(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client := ratelimit.Connect(redis.Options{Addr: ln.Addr().String()})
	t.Cleanup(func() { _ = client.Close() })
	l := ratelimit.New(ratelimit.Config{Redis: ratelimit.NewRedis(client)})
	begun := time.Now()
	var together sync.WaitGroup
	for range 20 {
		together.Go(func() {
			if r := l.Take(t.Context(), at(0, 1, domain.Limits{})); !r.Allowed || !r.InMemory {
				t.Errorf("%+v", r)
			}
		})
	}
	together.Wait()
	for range 1000 {
		l.Take(t.Context(), at(0, 1, domain.Limits{}))
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("1,020 calls took %v", took)
	}
}

// A server that forgot the script, as one that was started anew, is told again.
func TestAForgottenScript(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	r := ratelimit.NewRedis(client)
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			for range 50 {
				if !taken(t, r, at(0, 1, domain.Limits{})) {
					t.Error("refused without a limit")
				}
			}
		})
	}
	for range 5 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	}
	together.Wait()
	got, err := r.Look(t.Context(), at(0, 1, domain.Limits{}))
	if err != nil || got[0].Count != 400 {
		t.Errorf("%+v, %v: want 400 counted", got, err)
	}
}

func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}
