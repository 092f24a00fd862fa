package console_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
)

var loaded = regexp.MustCompile(`(?:src|href)="(/console/assets/[^"]+)"`)

// fetch reads a path as a browser does that comes for the first time.
func (w *world) fetch(t *testing.T, path string) (status int, header http.Header, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.stack.Field.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Accept", "text/html")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

// The first page with all that it loads is small, and what it loads is kept; so
// is the one with the most scripts.
func TestFirstPageIsSmall(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, header, body := w.fetch(t, "/console/sign-in")
	if header.Get("Content-Encoding") != "gzip" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page: %v", header)
	}
	total := len(body)
	_, _, plain := w.visitor(t, domain.RequestSite, domain.RoleAdmin).get("dashboard")
	total += len(plain) // though it is compressed too
	assets := map[string]bool{}
	for _, found := range loaded.FindAllStringSubmatch(plain, -1) {
		assets[found[1]] = true
	}
	if len(assets) < 4 {
		t.Fatalf("the page loads %v", assets)
	}
	for path := range assets {
		status, header, body := w.fetch(t, path)
		if status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") || header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, status, header)
		}
		total += len(body)
	}
	if total >= 100_000 {
		t.Errorf("the first page weighs %d bytes", total)
	}
}

// A browser that comes to the front door is led to the console; a program is not.
func TestFrontDoor(t *testing.T) {
	t.Parallel()
	w := open(t)
	if status, header, _ := w.fetch(t, "/"); status != http.StatusSeeOther || header.Get("Location") != "/console/" {
		t.Errorf("a browser: %d %v", status, header)
	}
	if err := w.api(t.Context(), domain.RequestSite, http.MethodGet, "/", "", "", nil); err == nil || !strings.Contains(err.Error(), "no-such-path") {
		t.Errorf("a program: %v", err)
	}
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store", "X-Frame-Options": "DENY"} {
		if status, header, _ := w.fetch(t, "/console/nowhere"); status != http.StatusNotFound || !strings.HasPrefix(header.Get(name), want) {
			t.Errorf("%d, %s: %q", status, name, header.Get(name))
		}
	}
}

// What changes something is refused when another origin's page sends it.
func TestOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.RequestSite, domain.RoleUser)
	for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/console/sign-out", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, value)
		res, err := v.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", header, res.StatusCode)
		}
	}
	if status, _, _ := v.get(""); status != http.StatusOK {
		t.Errorf("signed out by another origin: %d", status)
	}
}

// A session ends with its sign-out, here and in the API, and no cookie brings it
// back; a cookie that was tampered with is none.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.ResponseSite, domain.RoleAuditor)
	old := v.cookie()
	u, err := url.Parse(v.base)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(value string) {
		v.http.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-sallyport", Value: value, Path: "/", Secure: true}})
	}
	restore(old[:len(old)-2] + "xx")
	if status, where, _ := v.get(""); status != http.StatusSeeOther || !strings.HasPrefix(where, "/console/sign-in") {
		t.Errorf("a cookie that was tampered with: %d %s", status, where)
	}
	restore(old)
	if status, _, _ := v.get(""); status != http.StatusOK {
		t.Fatalf("the cookie: %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/console/sign-in", strings.NewReader(url.Values{"username": {w.account(domain.RoleAuditor).Username},
		"password": {w.account(domain.RoleAuditor).Password}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, header, _ := w.visitor(t, domain.ResponseSite, "").send(r)
	if c, attributes, _ := strings.Cut(header.Get("Set-Cookie"), "; "); !strings.HasPrefix(c, "__Host-sallyport=") || attributes != "Path=/; HttpOnly; Secure; SameSite=Strict" {
		t.Errorf("the cookie has %q", attributes)
	}
	stream := v.listen()
	if status, where, _ := v.post("sign-out", nil); status != http.StatusSeeOther || where != "/console/sign-in?note=signed-out" || v.cookie() != "" {
		t.Errorf("signed out: %d %s", status, where)
	}
	select {
	case <-stream:
	case <-time.After(20 * time.Second):
		t.Error("the stream goes on after signing out")
	}
	restore(old)
	if status, where, _ := v.get(""); status != http.StatusSeeOther || !strings.HasPrefix(where, "/console/sign-in") {
		t.Errorf("the cookie of before: %d %s", status, where)
	}
}

// listen opens a stream of changes and tells when it has ended.
func (v *visitor) listen() <-chan string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+"/console/live", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	res, err := v.http.Do(r) //nolint:bodyclose // below, when it has ended
	if err != nil || res.StatusCode != http.StatusOK {
		v.t.Fatalf("the stream: %v, %v", res, err)
	}
	ended := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(res.Body) // how it ends is what is waited for
		_ = res.Body.Close()
		ended <- string(text)
	}()
	return ended
}
