package reactor_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/projections/responsecache"
	"sallyport/schema/schematest"
)

// recorder is a cache in memory that also tells in which order it was asked
// to keep what, and may be told to fail.
type recorder struct {
	*responsecache.Memory

	mu    sync.Mutex
	order []string
	fail  func(id string) error
}

func newRecorder() *recorder {
	return &recorder{Memory: responsecache.NewMemory(responsecache.MemoryConfig{})}
}

func (r *recorder) Set(ctx context.Context, id string, e responsecache.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order = append(r.order, id)
	if r.fail != nil {
		if err := r.fail(id); err != nil {
			return err
		}
	}
	return r.Memory.Set(ctx, id, e)
}

func (r *recorder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.order...)
}

func TestMain(m *testing.M) {
	runUntilKilled()
	goleak.VerifyTestMain(m)
}

func setup(t testing.TB) *eventstoretest.Site {
	return eventstoretest.New(t, eventstoretest.Setup{Inline: projections.Inline()})
}

// start runs a reactor until stop is called or the test ends.
func start(t testing.TB, site *eventstoretest.Site, cache reactor.Cache) (r *reactor.Reactor, stop func()) {
	t.Helper()
	r, err := reactor.New(reactor.Config{Pool: site.Pool, Log: site.Store, Logger: slog.New(slog.DiscardHandler),
		Handlers: []reactor.Handler{reactor.Warm(site.Store.Site(), projections.NewReader(site.Pool), cache)}})
	if err != nil {
		t.Fatal(err)
	}
	return r, run(t, r)
}

func run(t testing.TB, r *reactor.Reactor) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
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

// submit appends a request of this site.
func submit(t testing.TB, site *eventstoretest.Site) string {
	t.Helper()
	id := uuid.NewString()
	_, err := site.Store.Append(t.Context(), eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{
		{Stream: domain.RequestStream(id), Facts: []domain.Fact{domain.RequestSubmitted{Type: "airport", TypeVersion: 1,
			Params: []byte(`{}`), Priority: 5, User: "user-1"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// center is the log of the other site, which answers.
type center struct {
	pos int64
	ver map[string]int64
}

func (c *center) event(t testing.TB, stream string, f domain.Fact) (domain.Event, []byte) {
	t.Helper()
	if c.ver == nil {
		c.ver = map[string]int64{}
	}
	c.pos++
	c.ver[stream]++
	data, err := domain.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	e := domain.Event{Pos: c.pos, ID: uuid.NewString(), Stream: stream, Ver: c.ver[stream], Type: f.EventType(), Schema: schematest.Present(f.EventType()),
		At: time.Now().UTC(), Actor: "site:center", Corr: "corr-1", Data: data}
	return e, fmt.Appendf(nil, `{"pos":%d,"id":%q,"stream":%q,"ver":%d,"type":%q,"schema":%d,"at":%q,"actor":%q,"corr":%q,"cause":"","data":%s}`,
		e.Pos, e.ID, stream, e.Ver, e.Type, e.Schema, e.At.Format("2006-01-02T15:04:05.000000Z"), e.Actor, e.Corr, data)
}

// answer mirrors answers to requests, as an import does.
func (c *center) answer(t testing.TB, site *eventstoretest.Site, result string, ids ...string) {
	t.Helper()
	m := eventstore.Mirrored{Origin: "center"}
	for _, id := range ids {
		for _, f := range []domain.Fact{domain.ResponseStarted{Responder: "sql", Attempt: 1, Worker: "w"},
			domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(result), ResultCount: 1, Responder: "sql"}} {
			e, line := c.event(t, domain.ResponseStream(id), f)
			m.Events, m.Facts, m.Lines = append(m.Events, e), append(m.Facts, f), append(m.Lines, line)
		}
	}
	if err := site.Store.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func cached(t testing.TB, c *recorder, id string) (responsecache.Entry, bool) {
	t.Helper()
	e, ok, err := c.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e, ok
}
func place(t testing.TB, site *eventstoretest.Site) (seq int64) {
	t.Helper()
	err := site.Pool.QueryRow(t.Context(), `SELECT coalesce(max(seq), 0) FROM reactor_offsets`).Scan(&seq)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func head(t testing.TB, site *eventstoretest.Site) int64 {
	t.Helper()
	h, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h.Seq
}
