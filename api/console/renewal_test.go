package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/api/console"
	"sallyport/domain"
)

// later is a console before a site's API, at another time and with what the
// test wants to be different.
func (w *world) later(t *testing.T, after time.Duration, change func(*console.Config)) (*httptest.Server, *console.Console) {
	t.Helper()
	site, err := url.Parse(w.stack.Field.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := console.Config{API: httputil.NewSingleHostReverseProxy(site), Site: "field", Role: domain.RequestSite, Secret: []byte("of this test"),
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(after) }}
	change(&c)
	k, err := console.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(k)
	t.Cleanup(s.Close)
	t.Cleanup(k.Drain)
	return s, k
}

// Tokens that are about to end are renewed on the way. Many calls at once with
// the same cookie, and one that comes late, go on with the same new ones: the
// session does not end for having been renewed twice.
func TestRenewal(t *testing.T) {
	t.Parallel()
	w := open(t)
	var ahead sync.Map // the clock goes ahead once somebody has signed in
	var renewed atomic.Int32
	s, _ := w.later(t, 0, func(c *console.Config) {
		site := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/auth/refresh" {
				renewed.Add(1)
			}
			site.ServeHTTP(w, r)
		})
		c.Now = func() time.Time {
			if _, yes := ahead.Load("ahead"); yes {
				return time.Now().Add(14*time.Minute + 30*time.Second)
			}
			return time.Now()
		}
	})
	v := w.at(t, s, domain.RoleUser)
	old := v.cookie()
	if status, _, _ := v.get("account"); status != http.StatusOK || v.cookie() != old {
		t.Fatalf("%d; the tokens were renewed too early: %v", status, v.cookie() != old)
	}
	ahead.Store("ahead", true)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if status, made := call1(t, s.URL, old); status != http.StatusOK || made == "" || made == old {
				t.Errorf("one of many calls: %d, renewed %v", status, made != "")
			}
		})
	}
	group.Wait()
	if status, _ := call1(t, s.URL, old); status != http.StatusOK {
		t.Errorf("one that comes late: %d", status)
	}
	if n := renewed.Load(); n != 1 {
		t.Errorf("the tokens were renewed %d times", n)
	}
	if status, _ := call1(t, s.URL, "of nobody"); status != http.StatusSeeOther {
		t.Errorf("a cookie that is none: %d", status)
	}
}

// call1 opens a page with a cookie of its own, and gives the one that comes back.
func call1(t *testing.T, base, cookie string) (status int, made string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/console/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-sallyport", Value: cookie}) //nolint:gosec // what a browser sends has no attributes
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "__Host-sallyport" {
			made = c.Value
		}
	}
	return res.StatusCode, made
}

// A site that takes nothing says so on every page, and why.
func TestReadOnlySite(t *testing.T) {
	t.Parallel()
	w := open(t)
	s, _ := w.later(t, 0, func(c *console.Config) {
		c.ReadOnly = func(context.Context) string { return "restored from <a backup>" }
	})
	res, err := http.Get(s.URL + "/console/sign-in") //nolint:noctx // the server ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(body), "read-only") || !strings.Contains(string(body), "restored from &lt;a backup&gt;") {
		t.Errorf("%v: %s", err, body)
	}
}

// What falls over is a page that says so, and tells nothing of why.
func TestPageThatFalls(t *testing.T) {
	t.Parallel()
	w := open(t)
	s, _ := w.later(t, 0, func(c *console.Config) {
		c.API = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the inside") })
	})
	v := w.visitor(t, domain.RequestSite, "")
	v.base = s.URL
	if status, _, body := v.post("sign-in", url.Values{"username": {"a"}}); status != http.StatusInternalServerError ||
		!strings.Contains(body, "Something went wrong here") || strings.Contains(body, "the inside") {
		t.Errorf("%d %s", status, body)
	}
}
