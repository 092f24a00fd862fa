package api_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/api"
	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/internal/redisdev/redistest"
)

// metered is a core and a field where bob has limits, at the beginning of a
// month: for a while no window ends by itself.
func metered(t *testing.T, limits string, change ...func(*api.Config)) (core, field *site, bob string) {
	t.Helper()
	core = newCore(t)
	root := core.token("root")
	core.call("PUT", "/users/"+core.userID("bob")+"/limits", root, limits).want(t, 200, "")
	field = newField(t, core, change...)
	now := time.Now().UTC()
	field.clock.Store(int64(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 2, 0, time.UTC).Sub(now)))
	return core, field, field.token("bob")
}

func (s *site) ask(token string) reply {
	s.t.Helper()
	return s.call("POST", "/requests", token, `{"type":"airport","params":{"iata":"AMS"}}`)
}

func left(r reply) string { return r.Header.Get("X-RateLimit-Remaining-Minute") }

func TestLimitsThroughTheirStatuses(t *testing.T) {
	t.Parallel()
	_, field, bob := metered(t, `{"minute":10,"day":100}`)
	for n := 1; n <= 11; n++ {
		status, remaining := "OK", max(0, 10-n)
		switch {
		case n >= 10:
			status = "SOFT_BLOCK"
		case n >= 8:
			status = "WARNING"
		}
		got := field.ask(bob)
		got.want(t, 202, "")
		h := got.Header
		if h.Get("X-RateLimit-Status") != status || left(got) != fmt.Sprint(remaining) || h.Get("X-RateLimit-Remaining-Day") != fmt.Sprint(100-n) ||
			h.Get("X-RateLimit-Remaining-Hour") != "unlimited" || h.Get("X-RateLimit-Message") == "" || (h.Get("X-RateLimit-Grace-Period-Ends") != "") != (n >= 10) {
			t.Errorf("request %d: %v", n, h)
		}
		if h.Get("RateLimit-Policy") != `"minute";q=10;w=60, "day";q=100;w=86400` || !strings.HasPrefix(h.Get("RateLimit"), fmt.Sprintf(`"minute";r=%d;t=`, remaining)) {
			t.Errorf("request %d: %s; %s", n, h.Get("RateLimit-Policy"), h.Get("RateLimit"))
		}
	}
	refused := field.ask(bob)
	refused.want(t, 429, "rate-limit-exceeded")
	if h := refused.Header; h.Get("X-RateLimit-Status") != "EXCEEDED" || h.Get("Retry-After") == "" || len(h.Get("Retry-After")) > 2 {
		t.Errorf("refused: %v", h)
	}
	seen := field.call("GET", "/rate-limit", bob, "")
	seen.want(t, 200, "")
	minute := seen.body["windows"].(map[string]any)["minute"].(map[string]any)
	if seen.body["status"] != "EXCEEDED" || minute["used"] != 11.0 || minute["limit"] != 10.0 || minute["remaining"] != 0.0 || seen.body["grace_period_ends"] == nil {
		t.Errorf("%s", seen.text)
	}
	if hour := seen.body["windows"].(map[string]any)["hour"].(map[string]any); hour["limit"] != nil || hour["used"] != 11.0 {
		t.Errorf("%s", seen.text)
	}
	field.clock.Add(int64(time.Minute))
	field.ask(bob).want(t, 202, "")
}

// Whoever stores nothing has used nothing.
func TestOnlyWhatIsStoredCounts(t *testing.T) {
	t.Parallel()
	_, field, bob := metered(t, `{"minute":10}`)
	send := func(key, body string) reply {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/requests", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+bob)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		return field.do(r)
	}
	const body = `{"type":"airport","params":{"iata":"AMS"},"name":"mine"}`
	first := send("k1", body)
	first.want(t, 202, "")
	replay := send("k1", body)
	replay.want(t, 202, "")
	if left(first) != "9" || left(replay) != "9" || replay.Header.Get("Idempotent-Replay") != "true" {
		t.Errorf("first %s, again %s", left(first), left(replay))
	}
	send("", body).want(t, 409, "name-taken")
	send("", `{"type":"airport","params":{}}`).want(t, 422, "invalid-request")
	send("", `{"type":"hidden","params":{}}`).want(t, 403, "type-not-allowed")
	send("", `{"type":"none","params":{}}`).want(t, 422, "unknown-type")
	send("", `{`).want(t, 400, "malformed-json")
	send("k1", `{"type":"airport","params":{"iata":"FRA"}}`).want(t, 422, "idempotency-key-reused")
	field.call("GET", "/requests", bob, "").want(t, 200, "")
	if got := field.ask(bob); left(got) != "8" {
		t.Errorf("%s are left, want 8", left(got))
	}
	for range 9 {
		field.ask(bob).want(t, 202, "")
	}
	field.ask(bob).want(t, 429, "rate-limit-exceeded")
	// What was answered before is answered again, though the limit is used up.
	replay = send("k1", body)
	replay.want(t, 202, "")
	if replay.body["id"] != first.body["id"] || replay.Header.Get("Retry-After") != "" {
		t.Errorf("%v %s", replay.Header, replay.text)
	}
	send("k2", body).want(t, 429, "rate-limit-exceeded")
}

// A batch counts its requests, all or none of them.
func TestABatchCountsItsRequests(t *testing.T) {
	t.Parallel()
	_, field, bob := metered(t, `{"minute":10}`)
	batch := func(n int, key string) reply {
		t.Helper()
		items := strings.TrimSuffix(strings.Repeat(`{"type":"airport","params":{"iata":"AMS"}},`, n), ",")
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/requests/batch", strings.NewReader(`{"items":[`+items+`]}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+bob)
		r.Header.Set("Idempotency-Key", key)
		return field.do(r)
	}
	first := batch(8, "k1")
	first.want(t, 202, "")
	if left(first) != "2" || first.Header.Get("X-RateLimit-Status") != "WARNING" {
		t.Errorf("%v", first.Header)
	}
	if again := batch(8, "k1"); left(again) != "2" || again.StatusCode != 202 {
		t.Errorf("a repeated batch: %d %v", again.StatusCode, again.Header)
	}
	refused := batch(4, "k2")
	refused.want(t, 429, "rate-limit-exceeded")
	if left(refused) != "2" || refused.Header.Get("X-RateLimit-Status") != "EXCEEDED" || !strings.Contains(refused.text, "more than is left") {
		t.Errorf("%v %s", refused.Header, refused.text)
	}
	if never := batch(12, "k3"); !strings.Contains(never.text, "submit fewer at once") {
		t.Errorf("%s", never.text)
	}
	batch(3, "k4").want(t, 202, "")
	field.ask(bob).want(t, 429, "rate-limit-exceeded")
	if again := batch(8, "k1"); again.StatusCode != 202 || len(again.body["items"].([]any)) != 8 {
		t.Errorf("a repeated batch beyond the limit: %s", again.text)
	}
}

// A limit acts as soon as its event is here, on what was counted before.
func TestLimitsActWhenTheyArrive(t *testing.T) {
	t.Parallel()
	core, field, bob := metered(t, `{"minute":3}`)
	root := core.token("root")
	for range 3 {
		field.ask(bob).want(t, 202, "")
	}
	field.ask(bob).want(t, 429, "rate-limit-exceeded")
	before := core.seq()
	core.call("DELETE", "/users/"+core.userID("bob")+"/limits", root, "").want(t, 204, "")
	core.call("PUT", "/profiles/narrow", root, `{"limits":{"minute":20},"type_limits":{"airport":{"limits":{"month":4}}}}`).want(t, 200, "")
	field.ask(bob).want(t, 429, "rate-limit-exceeded")
	field.mirror(core, before)
	got := field.ask(bob)
	got.want(t, 202, "")
	if !strings.Contains(got.Header.Get("RateLimit-Policy"), `"airport/month";q=4;w=`) || left(got) != "16" {
		t.Errorf("%v", got.Header)
	}
	seen := field.call("GET", "/rate-limit", bob, "")
	if month := seen.body["types"].(map[string]any)["airport"].(map[string]any)["month"].(map[string]any); month["used"] != 1.0 || month["remaining"] != 3.0 {
		t.Errorf("%s", seen.text)
	}
	before = core.seq()
	core.call("PUT", "/users/"+core.userID("bob")+"/access/airport", root, `{"limits":{"day":1}}`).want(t, 200, "")
	field.mirror(core, before)
	field.ask(bob).want(t, 202, "")
	got = field.ask(bob) // the user's own limit of the type is used up, and 10 % of it is nothing
	got.want(t, 429, "rate-limit-exceeded")
	if !strings.Contains(got.body["detail"].(string), "of the type airport") {
		t.Errorf("%s", got.text)
	}
}

func TestAdministratorsSeeAndReset(t *testing.T) {
	t.Parallel()
	core, field, bob := metered(t, `{"minute":3,"day":20}`)
	root, id := field.token("root"), core.userID("bob")
	for range 3 {
		field.ask(bob).want(t, 202, "")
	}
	field.ask(bob).want(t, 429, "rate-limit-exceeded")
	path := "/admin/rate-limits/" + id
	seen := field.call("GET", path+"?window=minute", root, "")
	seen.want(t, 200, "")
	if windows := seen.body["windows"].(map[string]any); len(windows) != 1 || windows["minute"].(map[string]any)["used"] != 3.0 {
		t.Errorf("%s", seen.text)
	}
	reset := field.call("DELETE", path+"?window=minute", root, "")
	reset.want(t, 200, "")
	windows := reset.body["windows"].(map[string]any)
	if windows["minute"].(map[string]any)["used"] != 0.0 || windows["day"].(map[string]any)["used"] != 3.0 {
		t.Errorf("%s", reset.text)
	}
	field.ask(bob).want(t, 202, "")
	if all := field.call("DELETE", path, root, ""); all.body["windows"].(map[string]any)["day"].(map[string]any)["used"] != 0.0 {
		t.Errorf("%s", all.text)
	}
	if acted := field.audited("admin.acted"); len(acted) != 2 || !strings.Contains(acted[0], `"rate-limits.reset"`) || !strings.Contains(acted[0], domain.UserStream(id)+" minute") {
		t.Errorf("the audit trail holds %v", acted)
	}
	for _, bad := range []string{"?window=week", "?window=", "?windows=day", "?window=day&window=hour"} {
		field.call("DELETE", path+bad, root, "").want(t, 400, "invalid-query")
	}
	field.call("GET", "/admin/rate-limits/"+someID, root, "").want(t, 404, "not-found")
	field.call("GET", "/admin/rate-limits/x", root, "").want(t, 404, "not-found")
	field.call("GET", path, bob, "").want(t, 403, "role-not-allowed")
	field.call("DELETE", path, bob, "").want(t, 403, "role-not-allowed")
	core.call("GET", path, core.token("root"), "").want(t, 405, "wrong-site")
	for _, part := range []string{"bob", "BO"} {
		found := field.call("GET", "/admin/users?q="+part, root, "")
		found.want(t, 200, "")
		if items := found.body["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != id {
			t.Errorf("by %q: %s", part, found.text)
		}
	}
	list := field.call("GET", "/admin/rate-limits", root, "")
	list.want(t, 200, "")
	if n := len(list.body["items"].([]any)); n != 2 {
		t.Errorf("%s", list.text)
	}
}

// audited are the data of a site's own events of one type.
func (s *site) audited(eventType string) (all []string) {
	s.t.Helper()
	records, err := s.store.Read(s.t.Context(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range records {
		if r.Type == eventType {
			all = append(all, string(r.Data))
		}
	}
	return all
}

// Two processes count in one Redis; without it each goes on from what it knows
// and says so.
func TestLimitsInRedis(t *testing.T) {
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
	_, field, bob := metered(t, `{"hour":10}`, func(c *api.Config) { c.RateLimits = ratelimit.NewRedis(client) })
	twin, err := api.New(field.config)
	if err != nil {
		t.Fatal(err)
	}
	hour := func(r reply) string { return r.Header.Get("X-RateLimit-Remaining-Hour") }
	first := field.ask(bob)
	if first.Header.Get("X-RateLimit-Backend") != "" || hour(first) != "9" {
		t.Errorf("%v", first.Header)
	}
	field.handler = twin.Handler
	if second := field.ask(bob); hour(second) != "8" {
		t.Errorf("%v", second.Header)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	alone := field.ask(bob)
	alone.want(t, 202, "")
	if alone.Header.Get("X-RateLimit-Backend") != "memory" || hour(alone) != "7" {
		t.Errorf("without Redis: %v", alone.Header)
	}
	if seen := field.call("GET", "/rate-limit", bob, ""); seen.body["counted_in"] != "memory" {
		t.Errorf("%s", seen.text)
	}
	metrics := field.call("GET", "/metrics", "", "").text
	if !strings.Contains(metrics, `sallyport_rate_limit_decisions_total{backend="memory",status="OK"} 1`) || !strings.Contains(metrics, "sallyport_rate_limit_redis_failures_total 1") {
		t.Errorf("the metrics say nothing of it: %s", metrics)
	}
}
