package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/api"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/commands"
	"sallyport/projections"
	"sallyport/projections/responsecache"
	"sallyport/schema"
)

// A site whose cache is away is slower, not wrong.
func TestTheCacheIsAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: nobody, MaxRetries: -1})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	core := newCore(t)
	field := newField(t, core, func(c *api.Config) {
		c.Cache = responsecache.NewRedis(client, 0)
		c.CacheReady = func(ctx context.Context) error { return client.Ping(ctx).Err() }
	})
	alice := field.token("alice")
	id := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`).body["id"].(string)
	answer(core, field, id, domain.ResponseFailed{Code: "timeout", Error: "too long", Attempts: 1})
	for range 2 {
		got := field.call("GET", "/requests/"+id+"/response", alice, "")
		if got.StatusCode != 200 || got.Header.Get("X-Cache") != "miss" {
			t.Errorf("without a cache: %d %s", got.StatusCode, got.text)
		}
	}
	if n := strings.Count(field.logged.String(), "cache"); n == 0 || n > 2 {
		t.Errorf("the cache's absence was logged %d times:\n%s", n, field.logged)
	}
	if got := field.call("GET", "/health/ready", "", ""); got.StatusCode != 200 || got.body["status"] != "degraded" {
		t.Errorf("ready: %d %s", got.StatusCode, got.text)
	}
}

// A log whose queue is full refuses at once, says when to come back, and has
// stored nothing.
func TestTheLogIsOverloaded(t *testing.T) {
	t.Parallel()
	var small *eventstore.Store
	field := newField(t, newCore(t), func(c *api.Config) {
		var err error
		if small, err = eventstore.Open(t.Context(), c.Pool, eventstore.Config{CheckLine: checkLine, Inline: projections.Inline(), MaxQueued: 1}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(small.Close)
		c.Commands = commands.New(commands.Config{Log: small, Pool: c.Pool, Directory: c.Directory, Passwords: c.Passwords,
			Params: schema.NewParameterCache(0), Now: c.Now})
	})
	alice := field.token("alice")
	holder, err := field.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }() // without effect after the end below
	if _, err := holder.Exec(t.Context(), `SELECT FROM log_head FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	const question = `{"type":"airport","params":{"iata":"AMS"}}`
	answered := make(chan int, 2)
	submit := func() { answered <- field.call("POST", "/requests", alice, question).StatusCode }
	go submit() // the writer takes it and waits for the head
	waitFor(t, "the writer waits for the head", func() bool {
		var waiting int
		err := field.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 1
	})
	go submit()
	waitFor(t, "the queue is full", func() bool { return small.Queued() == 1 })
	before := field.seq()
	got := field.call("POST", "/requests", alice, question)
	got.want(t, 503, "overloaded")
	if got.Header.Get("Retry-After") != "1" || !strings.Contains(got.text, "nothing was stored") {
		t.Errorf("Retry-After %q: %s", got.Header.Get("Retry-After"), got.text)
	}
	if err := holder.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status := <-answered; status != 202 {
			t.Errorf("one that was taken in was answered %d", status)
		}
	}
	if seq := field.seq(); seq != before+2 {
		t.Errorf("%d events were stored, want 2", seq-before)
	}
}

func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// What nobody foresaw is logged with its cause; the caller gets the trace_id.
func TestWhatNobodyForesaw(t *testing.T) {
	t.Parallel()
	secretCause := errors.New("password=hunter2")
	for name, crossing := range map[string]func(context.Context) (api.Crossing, error){
		"an error": func(context.Context) (api.Crossing, error) { return api.Crossing{}, secretCause },
		"a panic":  func(context.Context) (api.Crossing, error) { panic(secretCause) },
	} {
		field := newField(t, newCore(t), func(c *api.Config) { c.Crossing = crossing })
		alice := field.token("alice")
		before := field.seq()
		got := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`)
		got.want(t, 500, "internal")
		if strings.Contains(got.text, "hunter2") || field.seq() != before {
			t.Errorf("%s: %s", name, got.text)
		}
		if log := field.logged.String(); !strings.Contains(log, got.Header.Get("X-Request-Id")) || !strings.Contains(log, "hunter2") {
			t.Errorf("%s: logged %s", name, log)
		}
	}
}

func TestTheServerHasItsLimits(t *testing.T) {
	t.Parallel()
	s := api.Server(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for name, d := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout} {
		if d <= 0 {
			t.Errorf("no %s timeout", name)
		}
	}
	if s.MaxHeaderBytes <= 0 {
		t.Error("headers are not bounded")
	}
	if _, err := api.New(api.Config{}); err == nil {
		t.Error("an API of nothing was made")
	}
}
