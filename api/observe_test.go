package api_test

import (
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/domain"
)

// Each call leaves one line, without anything that could be a secret.
func TestTheAccessLog(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	field.logged.Reset()
	made := field.call("POST", "/requests", alice, `{"type":"airport","params":{"iata":"AMS"}}`)
	field.call("GET", "/requests/"+made.body["id"].(string)+"?password=hunter2", alice, "").want(t, 400, "invalid-query")
	field.call("GET", "/no/such/path/hunter2", alice, "").want(t, 404, "no-such-path")
	field.call("GET", "/health", "", "").want(t, 200, "")
	nosy := httptest.NewRequestWithContext(t.Context(), "GET", "/admin/stats", nil)
	nosy.Header.Set("Authorization", "Bearer "+alice)
	nosy.Header.Set("User-Agent", "nosy/1 "+strings.Repeat("x", 300))
	field.do(nosy).want(t, 403, "role-not-allowed")
	lines := strings.Split(strings.TrimSpace(field.logged.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), field.logged)
	}
	for i, want := range []string{
		`msg=call method=POST route=/requests status=202 bytes=[1-9][0-9]* took=[^ ]+ user=[0-9a-f-]{36} trace_id=` + made.Header.Get("X-Request-Id") + ` remote=192.0.2.1:4711$`,
		`method=GET route=/requests/\{id\} status=400 `, `route=none status=404 `,
		`route=/admin/stats status=403 .* remote=192.0.2.1:4711 user_agent="nosy/1 x{193}"$`,
	} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
	if logged := field.logged.String(); strings.Contains(logged, "hunter2") || strings.Contains(logged, alice) {
		t.Errorf("a secret was logged:\n%s", logged)
	}
}

func TestMetricsOfCalls(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.call("GET", "/users/"+"01a20351-498a-7e70-a315-478c02f0c07c", core.token("root"), "").want(t, 404, "not-found")
	core.call("GET", "/nowhere/1", "", "").want(t, 404, "no-such-path")
	core.call("BREW", "/nowhere/2", "", "").want(t, 404, "no-such-path")
	got := core.call("GET", "/metrics", "", "")
	got.want(t, 200, "")
	for _, want := range []string{
		`sallyport_http_request_duration_seconds_count{method="GET",route="/users/{id}",status="4xx"} 1`,
		`sallyport_http_request_duration_seconds_count{method="GET",route="none",status="4xx"} 1`,
		`sallyport_http_request_duration_seconds_count{method="other",route="none",status="4xx"} 1`,
		`sallyport_http_requests_in_flight 1`,
	} {
		if !strings.Contains(got.text, want+"\n") {
			t.Errorf("no %s in\n%s", want, got.text)
		}
	}
	if strings.Contains(got.text, "nowhere") {
		t.Errorf("a path that somebody made up is a series:\n%s", got.text)
	}
}

// Every answer tells a browser to do nothing with it.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	core := newSite(t, "core", domain.ResponseSite)
	for _, path := range []string{"/health", "/users", "/nowhere", "/docs", "/openapi.json"} {
		h := core.call("GET", path, "", "").Header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if policy := h.Get("Content-Security-Policy"); path != "/docs" && policy != "default-src 'none'; frame-ancestors 'none'" {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		if h.Get("Permissions-Policy") == "" || h.Get("X-Request-Id") == "" || h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// Pages of other origins may call only if they are listed.
func TestCORS(t *testing.T) {
	t.Parallel()
	const portal = "https://portal.example"
	closed := newSite(t, "closed", domain.ResponseSite)
	open := newSite(t, "open", domain.ResponseSite, func(c *api.Config) { c.AllowedOrigins = []string{portal} })
	for _, c := range []struct {
		site             *site
		method, from     string
		asks, header     string
		status           int
		allowed, methods string
	}{
		{site: closed, method: "GET", from: portal, status: 200},
		{site: closed, method: "OPTIONS", from: portal, asks: "POST", status: 405},
		{site: open, method: "GET", from: portal, status: 200, allowed: portal},
		{site: open, method: "GET", from: "https://evil.example", status: 200},
		{site: open, method: "GET", from: "null", status: 200},
		{site: open, method: "GET", from: "https://portal.example.evil.example", status: 200},
		{site: open, method: "GET", status: 200},
		{site: open, method: "OPTIONS", from: portal, asks: "PATCH", header: "authorization,content-type", status: 204, allowed: portal, methods: "PATCH"},
		{site: open, method: "OPTIONS", from: portal, asks: "PATCH", header: "x-evil", status: 204},
		{site: open, method: "OPTIONS", from: portal, asks: "BREW", status: 204},
		{site: open, method: "OPTIONS", from: "https://evil.example", asks: "POST", status: 204},
		{site: open, method: "OPTIONS", from: portal, status: 405, allowed: portal},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/health", nil)
		for name, value := range map[string]string{"Origin": c.from, "Access-Control-Request-Method": c.asks, "Access-Control-Request-Headers": c.header} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		got := c.site.do(r)
		if got.StatusCode != c.status || got.Header.Get("Access-Control-Allow-Origin") != c.allowed ||
			got.Header.Get("Access-Control-Allow-Methods") != c.methods || got.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%+v: %d %v", c, got.StatusCode, got.Header)
		}
		if got.Header.Get("X-Request-Id") == "" || got.Header.Get("X-Content-Type-Options") == "" {
			t.Errorf("%+v lacks the headers of all", c)
		}
	}
}

// A proxy is believed only if it is trusted, and then only as far back as the
// proxies reach.
func TestWhoCalls(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	believing := newSite(t, "core", domain.ResponseSite, func(c *api.Config) { c.TrustedProxies = trusted })
	believingNobody := newSite(t, "core", domain.ResponseSite)
	for _, c := range []struct {
		trust    []netip.Prefix
		from     string
		said     []string
		recorded string
	}{
		{from: "192.0.2.1:4711", said: []string{"198.51.100.7"}, recorded: "192.0.2.1:4711"},
		{trust: trusted, from: "203.0.113.9:1", said: []string{"198.51.100.7"}, recorded: "203.0.113.9:1"},
		{trust: trusted, from: "192.0.2.1:4711", recorded: "192.0.2.1:4711"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"198.51.100.7"}, recorded: "198.51.100.7:0"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"10.0.0.1, 198.51.100.7, 192.0.2.9"}, recorded: "198.51.100.7:0"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"10.0.0.1", "198.51.100.7"}, recorded: "198.51.100.7:0"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"evil, 192.0.2.8"}, recorded: "192.0.2.8:0"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"not an address"}, recorded: "192.0.2.1:4711"},
		{trust: trusted, from: "192.0.2.1:4711", said: []string{"::ffff:198.51.100.7"}, recorded: "198.51.100.7:0"},
		{trust: trusted, from: "[2001:db8::1]:99", said: []string{"2001:db9::5"}, recorded: "[2001:db9::5]:0"},
		{trust: trusted, from: "@", said: []string{"198.51.100.7"}, recorded: "@"},
	} {
		s := believing
		if c.trust == nil {
			s = believingNobody
		}
		s.address = c.from
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/docs", nil)
		for _, line := range c.said {
			r.Header.Add("X-Forwarded-For", line)
		}
		s.logged.Reset()
		s.do(r)
		if line := strings.TrimSpace(s.logged.String()); !strings.HasSuffix(line, " remote="+c.recorded) {
			t.Errorf("from %s, said %q: %s, want %s", c.from, c.said, line, c.recorded)
		}
	}
}
