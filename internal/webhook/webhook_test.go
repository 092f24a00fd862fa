package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/webhook"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/schema/schematest"
)

// got is a delivery as its receiver saw it.
type got struct {
	id     string
	header http.Header
	body   []byte
}

// receiver is a user's server. It answers what its test says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(n int) int // the n-th delivery's status, from 1
	heard  []got
	calls  chan got
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer, calls: make(chan got, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.heard = append(r.heard, got{q.Header.Get(standard.HeaderWebhookID), q.Header, body})
		n, last := len(r.heard), r.heard[len(r.heard)-1]
		r.mu.Unlock()
		if status := r.answer(n); status == http.StatusFound {
			http.Redirect(w, q, "/elsewhere", status)
		} else {
			w.WriteHeader(status)
		}
		r.calls <- last
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t *testing.T) got {
	t.Helper()
	select {
	case g := <-r.calls:
		return g
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was delivered")
		return got{}
	}
}

// world is a request site that delivers.
type world struct {
	*eventstoretest.Site
	hooks   *webhook.Webhooks
	reader  *projections.Reader
	poison  *reactor.Poison
	pos     int64 // of the peer's log
	backoff []time.Duration
}

func newWorld(t *testing.T, backoff []time.Duration, allow ...netip.Prefix) *world {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: projections.Inline()})
	w := &world{Site: site, reader: projections.NewReader(site.Pool), poison: reactor.NewPoison(site.Pool), backoff: backoff}
	c := w.config(allow...)
	var err error
	w.hooks, err = webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := reactor.New(reactor.Config{Pool: site.Pool, Log: site.Store, Logger: c.Logger, Handlers: []reactor.Handler{w.hooks.Announce()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{r.Run, func(ctx context.Context) error { return w.hooks.Run(ctx, nil) }} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

func (w *world) config(allow ...netip.Prefix) webhook.Config {
	return webhook.Config{Log: w.Store, Pool: w.Pool, Reader: w.reader, Key: webhook.NewKey([]byte(strings.Repeat("k", 32))),
		Allow: allow, Logger: slog.New(slog.DiscardHandler), Backoff: w.backoff}
}

var here = netip.MustParsePrefix("127.0.0.0/8")

func (w *world) register(t *testing.T, url string, events ...domain.Notice) (projections.Webhook, string) {
	t.Helper()
	h, secret, err := w.hooks.Register(t.Context(), "user-ann", "corr", domain.RegisterWebhook{User: "ann", URL: url, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return h, secret
}

// answer submits a request of ann and lets its outcome arrive.
func (w *world) answer(t *testing.T, f domain.Fact) (request string) {
	t.Helper()
	id := uuid.NewString()
	_, err := w.Store.Append(t.Context(), eventstore.Append{Actor: "user-ann", Writes: []eventstore.Write{{Stream: domain.RequestStream(id),
		Facts: []domain.Fact{domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{}`), Name: "tomorrow", Priority: 5, User: "ann"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := domain.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	w.pos++
	e := domain.Event{Pos: w.pos, ID: uuid.NewString(), Stream: domain.ResponseStream(id), Ver: 1, Type: f.EventType(), Schema: schematest.Present(f.EventType()),
		At: time.Date(2026, 11, 24, 9, 26, 2, 0, time.UTC), Actor: "site:center", Corr: "c", Data: data}
	line := fmt.Appendf(nil, `{"pos":%d,"id":%q,"stream":%q,"ver":1,"type":%q,"schema":%d,"at":"2026-11-24T09:26:02.000000Z","actor":"site:center","corr":"c","cause":"","data":%s}`,
		e.Pos, e.ID, e.Stream, e.Type, e.Schema, data)
	if err := w.Store.Mirror(t.Context(), eventstore.Mirrored{Origin: "center", Events: []domain.Event{e}, Facts: []domain.Fact{f}, Lines: [][]byte{line}}); err != nil {
		t.Fatal(err)
	}
	return id
}

var (
	answered = domain.ResponseRecorded{Status: domain.StatusAnswered, Result: []byte(`["the answer itself"]`), ResultCount: 1, Responder: domain.ResponderSQL}
	failed   = domain.ResponseFailed{Code: "timeout", Error: "slow", Attempts: 1}
)

func (w *world) webhook(t *testing.T) projections.Webhook {
	t.Helper()
	all, err := w.reader.Webhooks(t.Context(), "ann")
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !yes(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func ok(int) int { return http.StatusNoContent }

// A message is one that the standard's own library verifies, and holds no answer.
func TestAMessage(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, nil, here), newReceiver(t, ok)
	_, secret := w.register(t, r.URL+"/hook?token=x")
	request := w.answer(t, answered)
	g := r.next(t)
	verifier, err := standard.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(g.body, g.header); err != nil {
		t.Error(err)
	}
	if err := verifier.Verify(append(g.body, ' '), g.header); err == nil {
		t.Error("a changed message is verified")
	}
	want := `{"type":"request.answered","timestamp":"2026-11-24T09:26:02.000000Z","data":{"request_id":"` + request + `","request_type":"airport",` +
		`"request_name":"tomorrow","status":"answered","result_count":1,"error_code":null,"response":"/requests/` + request + `/response"}}`
	if string(g.body) != want || g.header.Get("Content-Type") != "application/json" {
		t.Errorf("got  %s\nwant %s", g.body, want)
	}
	eventually(t, "the delivery is noted", func() bool { return w.webhook(t).DeliveredAt != nil })
}

func TestOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, nil, here), newReceiver(t, ok)
	w.register(t, r.URL, domain.NoticeFailed)
	w.answer(t, answered)
	request := w.answer(t, failed)
	var m struct {
		Type string `json:"type"`
		Data struct {
			RequestID string `json:"request_id"`
			ErrorCode string `json:"error_code"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.next(t).body, &m); err != nil || m.Type != "request.failed" || m.Data.RequestID != request || m.Data.ErrorCode != "timeout" {
		t.Errorf("%+v, %v", m, err)
	}
}

// What fails is sent again, under the same id.
func TestAFailedDeliveryIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []time.Duration{time.Millisecond, time.Millisecond}, here)
	r := newReceiver(t, func(n int) int { return []int{500, http.StatusFound, 200}[n-1] })
	w.register(t, r.URL)
	w.answer(t, answered)
	first, second, third := r.next(t), r.next(t), r.next(t)
	if first.id == "" || first.id != second.id || second.id != third.id || string(first.body) != string(third.body) {
		t.Errorf("ids %s, %s, %s", first.id, second.id, third.id)
	}
	eventually(t, "the failure is shown", func() bool {
		h := w.webhook(t)
		return h.DeliveredAt != nil && h.FailedAt != nil && h.Error == "its server answered 302"
	})
}

// What is given up can be put back; a webhook that fails for long is switched off.
func TestAWebhookThatIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []time.Duration{time.Millisecond}, here)
	healthy := false
	r := newReceiver(t, nil)
	r.answer = func(int) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		if healthy {
			return 200
		}
		return 503
	}
	h, _ := w.register(t, r.URL)
	w.answer(t, answered)
	var waiting []reactor.Poisoned
	eventually(t, "it waits for a person", func() bool {
		var err error
		if waiting, err = w.poison.List(t.Context(), 0, 10); err != nil {
			t.Fatal(err)
		}
		return len(waiting) == 1
	})
	if p := waiting[0]; p.Target != h.ID || p.Reason != "its server answered 503" || p.Reactor != "webhooks" {
		t.Errorf("%+v", p)
	}
	r.mu.Lock()
	healthy = true
	r.mu.Unlock()
	if err := w.poison.Requeue(t.Context(), waiting[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it arrived", func() bool { return w.webhook(t).DeliveredAt != nil })
	r.mu.Lock()
	healthy = false
	r.mu.Unlock()
	for range 5 {
		w.answer(t, answered)
	}
	eventually(t, "it is off", func() bool { return w.webhook(t).State == projections.WebhookOff })
	if h := w.webhook(t); h.Reason != "its server answered 503" {
		t.Errorf("it is off because %q", h.Reason)
	}
}

func TestGoneMeansOff(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, nil, here), newReceiver(t, func(int) int { return http.StatusGone })
	w.register(t, r.URL)
	w.answer(t, answered)
	eventually(t, "it is off", func() bool { return w.webhook(t).State == projections.WebhookOff })
}

func TestARemovedWebhookHearsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []time.Duration{time.Hour}, here)
	gone, stays := newReceiver(t, ok), newReceiver(t, ok)
	h, _ := w.register(t, gone.URL)
	w.register(t, stays.URL)
	var refused *domain.Error
	if _, err := w.hooks.Remove(t.Context(), "user-bob", "", "bob", h.ID); !errors.As(err, &refused) || refused.Kind != domain.NotFound {
		t.Errorf("another's webhook: %v", err)
	}
	if _, err := w.hooks.Remove(t.Context(), "user-ann", "", "ann", h.ID); err != nil {
		t.Fatal(err)
	}
	w.answer(t, answered)
	stays.next(t)
	if len(gone.calls) > 0 {
		t.Error("it was told")
	}
	if all, err := w.reader.Webhooks(t.Context(), "ann"); err != nil || len(all) != 1 {
		t.Errorf("listed %+v, %v", all, err)
	}
}

// No address of this machine or of a private network is called, however it is
// written, and whatever a name resolves to.
func TestPrivateAddressesAreNotCalled(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t, []time.Duration{time.Millisecond}), newReceiver(t, ok)
	for _, host := range []string{"127.0.0.1", "127.1.2.3:80", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[fe80::1]", "[fd00::1]", "0.0.0.0", "100.64.0.1", "[64:ff9b::a00:1]", "localhost", "hook.localhost:80", "127.1", "2130706433", "0x7f.1"} {
		_, _, err := w.hooks.Register(t.Context(), "user-ann", "", domain.RegisterWebhook{User: "ann", URL: "http://" + host + "/hook"})
		var refused *domain.Error
		if !errors.As(err, &refused) || refused.Code != "invalid-webhook" || refused.Fields[0].Pointer != "/url" {
			t.Errorf("%s: %v", host, err)
		}
	}
	// What a name resolves to shows when it is called: this one was taken while
	// its network was allowed.
	lenient, err := webhook.New(w.config(here))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := lenient.Register(t.Context(), "user-ann", "", domain.RegisterWebhook{User: "ann", URL: strings.Replace(r.URL, "127.0.0.1", "localhost", 1)}); err != nil {
		t.Fatal(err)
	}
	w.answer(t, answered)
	eventually(t, "it waits for a person", func() bool {
		all, err := w.poison.List(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && strings.Contains(all[0].Reason, "not public")
	})
	if len(r.calls) > 0 {
		t.Error("it was called")
	}
}

func TestSecretsDifferAndTheKeyShowsItselfToNobody(t *testing.T) {
	t.Parallel()
	one, other := webhook.NewKey([]byte(strings.Repeat("a", 32))), webhook.NewKey([]byte(strings.Repeat("b", 32)))
	seen := map[string]bool{}
	for _, k := range []webhook.Key{one, other} {
		for _, id := range []string{"1", "2"} {
			s, err := k.Secret(id)
			if again, _ := k.Secret(id); err != nil || again != s || seen[s] || !strings.HasPrefix(s, "whsec_") {
				t.Errorf("%q, %v", s, err)
			}
			seen[s] = true
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", one, one, one, one); strings.Contains(text, "aaa") {
		t.Errorf("it shows: %s", text)
	}
}
