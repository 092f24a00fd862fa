package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/redisdev"
	"sallyport/internal/redisdev/redistest"
	"sallyport/projections/responsecache"
)

// withRedis gives a site a Redis server of its own.
func withRedis(t *testing.T) (change func(*api.Config), client *redis.Client, server *redisdev.Server) {
	t.Helper()
	server, ok := redistest.Server(t)
	if !ok {
		t.Skip("there is no redis-server on this machine")
	}
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client = responsecache.Connect(*o)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(c *api.Config) { c.Cache = responsecache.NewRedis(client, 0) }, client, server
}

// answeredBy makes a request of a user and its answer, and asks for it once.
func answeredBy(t *testing.T, core, field *site, token, result string) (id, text string) {
	t.Helper()
	id = field.submitted(token)
	answer(core, field, id, domain.ResponseRecorded{Status: domain.StatusAnswered, Result: json.RawMessage(result), Responder: domain.ResponderSQL})
	got := field.call("GET", "/requests/"+id+"/response", token, "")
	got.want(t, 200, "")
	return id, got.text
}

func TestTheCacheIsSeenAndCleared(t *testing.T) {
	t.Parallel()
	inRedis, _, server := withRedis(t)
	core := newCore(t)
	for name, field := range map[string]*site{"redis": newField(t, core, inRedis), "memory": newField(t, core)} {
		root, alice, bob := field.token("root"), field.token("alice"), field.token("bob")
		mine, _ := answeredBy(t, core, field, alice, `[1]`)
		answeredBy(t, core, field, alice, `[2]`)
		answeredBy(t, core, field, bob, `[3]`)
		me := field.call("GET", "/auth/me", alice, "").body["id"].(string)
		field.call("GET", "/requests/"+mine+"/response", alice, "").want(t, 200, "")
		got := field.call("GET", "/admin/cache/stats", root, "")
		if got.body["status"] != "ok" || got.body["backend"] != name || got.body["response_cache_keys"] != 3.0 || got.body["hit_ratio"] != 0.25 ||
			got.body["used_memory_human"] == "" {
			t.Errorf("%s: %s", name, got.text)
		}
		for _, c := range []struct {
			path    string
			cleared float64
		}{{"user/" + me, 2}, {"user/" + me, 0}, {"user/" + someID, 0}, {"clear", 1}, {"clear", 0}} {
			got := field.call("DELETE", "/admin/cache/"+c.path, root, "")
			if got.StatusCode != 200 || got.body["success"] != true || got.body["entries_cleared"] != c.cleared {
				t.Errorf("%s: clearing %s: %d %s, want %v", name, c.path, got.StatusCode, got.text, c.cleared)
			}
		}
		acts, _ := recorded[domain.AdminActed](field)
		if len(acts) != 5 || acts[0].Action != "cache.clear" || acts[0].Target != "user-"+me || acts[3].Target != "" {
			t.Errorf("%s: recorded %+v", name, acts)
		}
		if got := field.call("GET", "/requests/"+mine+"/response", alice, ""); got.Header.Get("X-Cache") != "miss" {
			t.Errorf("%s: it is cached still: %v", name, got.Header)
		}
		field.call("DELETE", "/admin/cache/user/x", root, "").want(t, 404, "not-found")
		field.call("DELETE", "/admin/cache/clear", alice, "").want(t, 403, "role-not-allowed")
		if name == "redis" {
			stopRedis(t, server)
			field.call("DELETE", "/admin/cache/clear", root, "").want(t, 503, "cache-unavailable")
			if got := field.call("GET", "/admin/cache/stats", root, ""); got.StatusCode != 200 || got.body["status"] != "unavailable" {
				t.Errorf("without Redis: %d %s", got.StatusCode, got.text)
			}
		}
	}
}

func stopRedis(t *testing.T, server *redisdev.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// Whatever becomes of Redis, each answer is the right one.
func TestRedisIsFlushedSpoiledAndKilledUnderLoad(t *testing.T) {
	t.Parallel()
	change, client, server := withRedis(t)
	core := newCore(t)
	field := newField(t, core, change)
	alice := field.token("alice")
	ids, texts := make([]string, 8), make([]string, 8)
	for i := range ids {
		ids[i], texts[i] = answeredBy(t, core, field, alice, fmt.Sprintf(`[%d]`, i))
	}
	var asked atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range ids {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := field.call("GET", "/requests/"+ids[i]+"/response", alice, ""); got.StatusCode != 200 || got.text != texts[i] {
					t.Errorf("answered %d %s, want %s", got.StatusCode, got.text, texts[i])
					return
				}
				asked.Add(1)
			}
		})
	}
	more := func() { // calls went on for a while
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for before := asked.Load(); asked.Load() < before+200 && !t.Failed(); {
			<-tick.C
		}
	}
	more()
	for _, spoil := range []func() error{
		func() error { return client.FlushAll(t.Context()).Err() },
		func() error {
			for _, id := range ids {
				if err := client.Set(t.Context(), responsecache.Key(id), `{"position":9223372036854775807,"owner":`, 0).Err(); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return client.FlushAll(t.Context()).Err() },
	} {
		if err := spoil(); err != nil {
			t.Error(err)
		}
		more()
	}
	stopRedis(t, server)
	more()
	if got := field.call("POST", "/requests", alice, oneItem); got.StatusCode != 202 {
		t.Errorf("without Redis: %d %s", got.StatusCode, got.text)
	}
	close(stop)
	load.Wait()
}

// Whoever was deactivated hears nothing more, cached or not.
func TestTheCacheServesNobodyWhoMayNotAsk(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id, _ := answeredBy(t, core, field, alice, `[1]`)
	me := field.call("GET", "/auth/me", alice, "").body["id"].(string)
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.UserStream(me), Expected: eventstore.Any, Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}})
	field.mirror(core, before)
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 401, "invalid-token")
}

// However many ask at once for what is not cached, the database is asked once
// at a time.
func TestManyAskForOneAnswer(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	id, text := answeredBy(t, core, field, alice, `[1]`)
	if _, err := field.config.Cache.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if got := field.call("GET", "/requests/"+id+"/response", alice, ""); got.text != text {
				t.Errorf("answered %s", got.text)
			}
		})
	}
	calls.Wait()
	if e, ok, err := field.config.Cache.Get(t.Context(), id); !ok || err != nil || string(e.Body) != text {
		t.Errorf("cached %s, %v, %v", e.Body, ok, err)
	}
}
