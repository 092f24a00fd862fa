package resultcache_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/responders/resultcache"
)

// Redis that cannot be used costs no answer.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	redis.SetLogger(quiet{})
	for name, address := range map[string]string{"away": "127.0.0.1:1", "silent": silent.Addr().String()} {
		client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, ContextTimeoutEnabled: true})
		t.Cleanup(func() { client.Close() })
		failures, away := 0, 0
		r := resultcache.New(resultcache.Config{Store: resultcache.NewRedis(client, func(error) { failures++ }), Count: func(o resultcache.Outcome) {
			if o == resultcache.Away {
				away++
			}
		}}).Before(&source{})
		began := time.Now()
		for want := range int64(20) {
			if n, cached := says(t, r, question(`{}`)); n != want+1 || cached {
				t.Errorf("%s: answer %d, cached %t", name, n, cached)
			}
		}
		if took := time.Since(began); took > 10*time.Second || failures == 0 || failures > 10 || away != 20 {
			t.Errorf("%s: 20 questions took %s, Redis failed %d times, %d outcomes say so", name, took, failures, away)
		}
	}
}

// What stands in Redis and is no answer is asked anew, and replaced.
func TestNonsenseInRedis(t *testing.T) {
	t.Parallel()
	client := connect(t)
	for _, nonsense := range []string{"", "x", "\x28\xb5\x2f\xfd", `{"count":1}` + "\n[1]"} {
		r := resultcache.New(resultcache.Config{Store: resultcache.NewRedis(client, nil), Salt: nonsense}).Before(&source{})
		says(t, r, question(`{}`))
		keys, err := client.Keys(t.Context(), "result:*").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("%v, %v", keys, err)
		}
		if err := client.Set(t.Context(), keys[0], nonsense, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if n, cached := says(t, r, question(`{}`)); n != 2 || cached {
			t.Errorf("%q: answer %d, cached %t", nonsense, n, cached)
		}
		if n, cached := says(t, r, question(`{}`)); n != 2 || !cached {
			t.Errorf("%q: then answer %d, cached %t", nonsense, n, cached)
		}
		if ttl := client.PTTL(t.Context(), keys[0]).Val(); ttl <= 4*time.Minute || ttl > 5*time.Minute {
			t.Errorf("it lives for %s", ttl)
		}
		if err := client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that asks holds the others off as long as it lives: longer than a
// lock, and no longer than one when it died.
func TestWhoAsksIsAliveOrNot(t *testing.T) {
	t.Parallel()
	client := connect(t)
	slow, other := &source{let: make(chan struct{})}, &source{}
	open := func(s *source) resultcache.Responder {
		return resultcache.New(resultcache.Config{Store: resultcache.NewRedis(client, nil)}).Before(s)
	}
	var asking sync.WaitGroup
	asking.Go(func() { says(t, open(slow), question(`{}`)) })
	until(t, func() bool { return slow.asked.Load() == 1 })
	began := time.Now()
	asking.Go(func() {
		if n, cached := says(t, open(other), question(`{}`)); n != 1 || !cached {
			t.Errorf("answer %d, cached %t", n, cached)
		}
	})
	until(t, func() bool { return time.Since(began) > 4*time.Second }) // a lock lives for three
	close(slow.let)
	asking.Wait()
	if other.asked.Load() != 0 {
		t.Error("another asked too")
	}
	// A lock that nobody prolongs is that of the dead.
	keys := client.Keys(t.Context(), "result:*").Val()
	if len(keys) != 1 || client.Del(t.Context(), keys[0]).Err() != nil ||
		client.Set(t.Context(), "result-lock:"+strings.TrimPrefix(keys[0], "result:"), "dead", time.Second).Err() != nil {
		t.Fatalf("%v", keys)
	}
	if n, cached := says(t, open(other), question(`{}`)); n != 1 || cached {
		t.Errorf("after its death: answer %d, cached %t", n, cached)
	}
	// One that is prolonged for ever holds nobody off for longer than the time limit.
	if err := client.Del(t.Context(), keys[0]).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "result-lock:"+strings.TrimPrefix(keys[0], "result:"), "alive", 0).Err(); err != nil {
		t.Fatal(err)
	}
	q := question(`{}`)
	q.Config.TimeoutMS = 20_000
	short := q
	short.Config.TimeoutMS = 100
	if n, cached := says(t, open(other), short); n != 2 || cached {
		t.Errorf("beside one that lives: answer %d, cached %t", n, cached)
	}
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
