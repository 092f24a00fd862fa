package responsecache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"sallyport/internal/redisdev/redistest"
	"sallyport/projections/responsecache"
)

// cache is what every implementation offers.
type cache interface {
	Get(ctx context.Context, requestID string) (responsecache.Entry, bool, error)
	Set(ctx context.Context, requestID string, e responsecache.Entry) error
	Delete(ctx context.Context, requestID string) error
	ClearUser(ctx context.Context, user string) (int64, error)
	Clear(ctx context.Context) (int64, error)
	Stats(ctx context.Context) (responsecache.Stats, error)
}

// onEach runs a test of the contract on every implementation.
func onEach(t *testing.T, test func(t *testing.T, open func(ttl time.Duration) cache)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, func(ttl time.Duration) cache {
			return responsecache.NewMemory(responsecache.MemoryConfig{TTL: ttl})
		})
	})
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine: the contract is only checked in memory")
		return
	}
	t.Run("redis", func(t *testing.T) {
		test(t, func(ttl time.Duration) cache { return responsecache.NewRedis(client, ttl) })
	})
}

func connect(t *testing.T) (redis.UniversalClient, bool) {
	t.Helper()
	url, ok := redistest.URL(t)
	if !ok {
		return nil, false
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := responsecache.Connect(*options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client, true
}

func set(t testing.TB, c cache, id string, e responsecache.Entry) {
	t.Helper()
	if err := c.Set(t.Context(), id, e); err != nil {
		t.Fatal(err)
	}
}

// there returns the entry, or the zero entry if there is none.
func there(t testing.TB, c cache, id string) responsecache.Entry {
	t.Helper()
	e, ok, err := c.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (e.Position > 0) {
		t.Errorf("found is %v, the entry %v", ok, e)
	}
	return e
}

func entry(position int64, body string) responsecache.Entry {
	return responsecache.Entry{Owner: "user-1", Position: position, Body: []byte(body)}
}

func TestGetReturnsWhatWasSet(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		if d := cmp.Diff(responsecache.Entry{}, there(t, c, "r1")); d != "" {
			t.Error(d)
		}
		for _, body := range []string{`{"a":1}`, `null`, `[]`, `{"body":"\",\"body\":"}`, `"}"`, "{\n\t\"a\" : \"é<&>\" }"} {
			set(t, c, "r1", entry(7, body))
			if d := cmp.Diff(entry(7, body), there(t, c, "r1")); d != "" {
				t.Error(d)
			}
		}
		set(t, c, "r2", entry(8, " {}\n"))
		if d := cmp.Diff(entry(8, " {}\n"), there(t, c, "r2")); d != "" {
			t.Error(d)
		}
	})
}

func TestTheNewestStays(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		for _, step := range []struct{ set, want int64 }{{9, 9}, {8, 9}, {9, 9}, {10, 10}, {9, 10}, {1 << 62, 1 << 62}, {1<<62 - 1, 1 << 62}, {1<<62 + 1, 1<<62 + 1}} {
			set(t, c, "r1", entry(step.set, fmt.Sprint(step.set)))
			if got := there(t, c, "r1"); got.Position != step.want || string(got.Body) != fmt.Sprint(step.want) {
				t.Errorf("after %d there is %d %s, want %d", step.set, got.Position, got.Body, step.want)
			}
		}
		var writers sync.WaitGroup
		for n := range int64(50) {
			writers.Go(func() { set(t, c, "r2", entry(n+1, "{}")) })
		}
		writers.Wait()
		if got := there(t, c, "r2").Position; got != 50 {
			t.Errorf("of 50 writers at once %d stays", got)
		}
	})
}

func TestDelete(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		set(t, c, "r1", entry(7, `{}`))
		set(t, c, "r2", entry(7, `{}`))
		for range 2 {
			if err := c.Delete(t.Context(), "r1"); err != nil {
				t.Fatal(err)
			}
		}
		if there(t, c, "r1").Position != 0 || there(t, c, "r2").Position != 7 {
			t.Error("delete forgets another answer, or not this one")
		}
		set(t, c, "r1", entry(1, `{}`))
		if there(t, c, "r1").Position != 1 {
			t.Error("an answer cannot be set after it was deleted")
		}
	})
}

func TestClearing(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c, short := open(0), open(time.Millisecond)
		of := func(user string, n int) responsecache.Entry {
			return responsecache.Entry{Owner: user, Position: int64(n), Body: []byte(`{}`)}
		}
		for n := range 1200 { // more than one step
			set(t, c, fmt.Sprint("ada", n), of("ada", n+1))
			set(t, c, fmt.Sprint("ada", n), of("ada", n+2)) // counts once
		}
		set(t, short, "gone", of("ada", 1))
		set(t, c, "bob1", of("bob", 1))
		set(t, c, "moved", of("ada", 1))
		set(t, c, "moved", of("bob", 2))
		if err := c.Delete(t.Context(), "ada0"); err != nil {
			t.Fatal(err)
		}
		clear := func(what string, n int64, err error, want int64) {
			t.Helper()
			if err != nil || n != want {
				t.Errorf("%s cleared %d (%v), want %d", what, n, err, want)
			}
		}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for there(t, short, "gone").Position != 0 {
			<-tick.C
		}
		n, err := c.ClearUser(t.Context(), "ada")
		clear("ada", n, err, 1199)
		if there(t, c, "ada7").Position != 0 || there(t, c, "bob1").Position != 1 || there(t, c, "moved").Position != 2 {
			t.Error("clearing a user clears another, or not all")
		}
		n, err = c.ClearUser(t.Context(), "ada")
		clear("ada again", n, err, 0)
		n, err = c.Clear(t.Context())
		clear("all", n, err, 2)
		n, err = c.ClearUser(t.Context(), "bob")
		clear("bob after all", n, err, 0)
		set(t, c, "bob1", of("bob", 1))
		n, err = c.ClearUser(t.Context(), "bob")
		clear("bob", n, err, 1)
	})
}

func TestStats(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		if s, err := c.Stats(t.Context()); err != nil || s.Answers != 0 || s.HitRatio != 0 {
			t.Errorf("of nothing: %+v, %v", s, err)
		}
		set(t, c, "r1", entry(1, `{}`))
		set(t, c, "r2", entry(1, `{}`))
		for range 3 {
			there(t, c, "r1")
		}
		there(t, c, "r3")
		s, err := c.Stats(t.Context())
		if err != nil || s.Answers != 2 || s.Keys < 2 || s.HitRatio != 0.75 || s.UsedMemory == "" || s.Backend == "" || (s.Clients > 0) != (s.Backend == "redis") {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestEntriesExpire(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		short, long := open(80*time.Millisecond), open(0)
		set(t, long, "r2", entry(7, `{}`))
		begun, tick := time.Now(), time.NewTicker(2*time.Millisecond)
		set(t, short, "r1", entry(7, `{}`))
		defer tick.Stop()
		for there(t, short, "r1").Position != 0 {
			if <-tick.C; time.Since(begun) > 20*time.Second {
				t.Fatal("it never expires")
			}
		}
		if lived := time.Since(begun); lived < 70*time.Millisecond {
			t.Errorf("it lived %v, want 80ms", lived)
		}
		set(t, short, "r1", entry(1, `{}`))
		if there(t, short, "r1").Position != 1 {
			t.Error("an expired entry still keeps out an older one")
		}
		if there(t, long, "r2").Position != 7 {
			t.Error("an entry of 24 hours has expired")
		}
	})
}

func TestTooLargeIsNotKept(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		huge := entry(7, `"`+strings.Repeat("x", responsecache.MaxEntry)+`"`)
		large := entry(7, `"`+strings.Repeat("x", responsecache.MaxEntry-100)+`"`)
		set(t, c, "r1", large)
		if got := there(t, c, "r1"); !bytes.Equal(got.Body, large.Body) {
			t.Errorf("of %d bytes %d came back", len(large.Body), len(got.Body))
		}
		huge.Position = 6
		set(t, c, "r1", huge)
		if there(t, c, "r1").Position != 7 {
			t.Error("what is older and too large removes what is newer")
		}
		huge.Position = 8
		set(t, c, "r1", huge)
		if got := there(t, c, "r1").Position; got != 0 {
			t.Errorf("after a newer one that is too large, %d is still there", got)
		}
	})
}

func TestBadEntriesAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, open func(time.Duration) cache) {
		c := open(0)
		for _, e := range []responsecache.Entry{
			{Owner: "", Position: 1, Body: []byte("{}")}, {Owner: `a"b`, Position: 1, Body: []byte("{}")},
			{Owner: "a b", Position: 1, Body: []byte("{}")}, {Owner: strings.Repeat("a", 129), Position: 1, Body: []byte("{}")},
			{Owner: "a", Position: 0, Body: []byte("{}")}, {Owner: "a", Position: 1, Body: nil},
		} {
			if err := c.Set(t.Context(), "r1", e); err == nil {
				t.Errorf("%+v is taken", e)
			}
		}
		if there(t, c, "r1").Position != 0 {
			t.Error("a refused entry is there")
		}
	})
}

func TestForeignValuesInRedisAreMisses(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	c := responsecache.NewRedis(client, 0)
	for _, value := range []string{"", "}", "{}", "not ours", `{"position":1}`, `{"position":x,"owner":"a","body":{}}`,
		`{"position":1,"owner":"a","body":}`, `{"position":-1,"owner":"a","body":{}}`} {
		if err := client.Set(t.Context(), responsecache.Key("r1"), value, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got := there(t, c, "r1"); got.Position != 0 {
			t.Errorf("%q is taken for %+v", value, got)
		}
		set(t, c, "r1", entry(1, `{}`))
		if there(t, c, "r1").Position != 1 {
			t.Errorf("%q cannot be replaced", value)
		}
	}
}

func TestFormInRedis(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	c := responsecache.NewRedis(client, 0)
	set(t, c, "r1", entry(7, `{"a":1}`))
	value, err := client.Get(t.Context(), "response:r1").Result()
	if want := `{"position":7,"owner":"user-1","body":{"a":1}}`; err != nil || value != want {
		t.Errorf("got  %s (%v)\nwant %s", value, err, want)
	}
	if ttl := client.TTL(t.Context(), "response:r1").Val(); ttl < 23*time.Hour || ttl > 24*time.Hour {
		t.Errorf("it lives %v", ttl)
	}
}

func TestWithoutRedisThereIsAnError(t *testing.T) {
	t.Parallel()
	client := responsecache.Connect(redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	c := responsecache.NewRedis(client, 0)
	if _, ok, err := c.Get(t.Context(), "r1"); ok || err == nil {
		t.Errorf("get says %v, %v", ok, err)
	}
	for range 2 { // asked, and let alone
		if err := c.Set(t.Context(), "r1", entry(1, `{}`)); !errors.Is(err, responsecache.ErrAway) {
			t.Errorf("set says %v", err)
		}
		if err := c.Delete(t.Context(), "r1"); !errors.Is(err, responsecache.ErrAway) {
			t.Errorf("delete says %v", err)
		}
	}
	if _, err := c.ClearUser(t.Context(), "u"); err == nil {
		t.Error("clearing a user has no error")
	}
	if _, err := c.Clear(t.Context()); err == nil {
		t.Error("clearing has no error")
	}
	if _, err := c.Stats(t.Context()); err == nil {
		t.Error("stats have no error")
	}
}

// A server that refuses is not away.
func TestARefusalIsSaid(t *testing.T) {
	t.Parallel()
	client, ok := connect(t)
	if !ok {
		t.Log("there is no redis-server on this machine")
		return
	}
	c := responsecache.NewRedis(client, 0)
	if err := client.LPush(t.Context(), responsecache.Key("listed"), "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), "listed", entry(1, `{}`)); err == nil || errors.Is(err, responsecache.ErrAway) {
		t.Errorf("set says %v", err)
	}
	if err := c.Delete(t.Context(), "listed"); err == nil || errors.Is(err, responsecache.ErrAway) {
		t.Errorf("delete says %v", err)
	}
}

// A server that hangs costs one call its time, not every call.
func TestAServerThatHangsIsLetAlone(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := responsecache.Connect(redis.Options{Addr: l.Addr().String()})
	defer client.Close()
	c := responsecache.NewRedis(client, 0)
	if _, _, err := c.Get(t.Context(), "r1"); err == nil {
		t.Fatal("a server that says nothing answers")
	}
	begun := time.Now()
	for range 100 {
		if _, ok, err := c.Get(t.Context(), "r1"); ok || err == nil {
			t.Fatalf("found %v, %v", ok, err)
		}
		if err := c.Set(t.Context(), "r1", entry(1, `{}`)); err == nil {
			t.Fatal("it takes an entry")
		}
	}
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("200 calls took %v", took)
	}
}
