package api_test

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
)

// The page works where there is no way out, and under a policy that lets
// nothing inline run.
func TestTheDocumentation(t *testing.T) {
	t.Parallel()
	core := newSite(t, "core", domain.ResponseSite)
	page := core.call("GET", "/docs", "", "")
	page.want(t, 200, "")
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'self'; img-src 'self' data:;") || strings.Contains(policy, "unsafe") ||
		!strings.Contains(policy, "frame-ancestors 'none'") || page.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers %v", page.Header)
	}
	if regexp.MustCompile(`https?://|style=|<style|\son[a-z]+=|<script>`).MatchString(page.text) {
		t.Errorf("the page has something inline or from elsewhere: %s", page.text)
	}
	parts := regexp.MustCompile(`(?:src|href)="(docs/[^"]+)"`).FindAllStringSubmatch(page.text, -1)
	if len(parts) != 4 {
		t.Fatalf("the page loads %v", parts)
	}
	var kinds []string
	for _, p := range parts {
		got := core.call("GET", "/"+p[1], "", "")
		got.want(t, 200, "")
		kinds = append(kinds, got.Header.Get("Content-Type"))
		if len(got.text) < 200 {
			t.Errorf("%s has %d bytes", p[1], len(got.text))
		}
	}
	slices.Sort(kinds)
	if want := []string{"image/png", "text/css; charset=utf-8", "text/javascript; charset=utf-8", "text/javascript; charset=utf-8"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q", kinds)
	}
	core.call("GET", "/docs/index.html", "", "").want(t, 404, "not-found")
}

// Large parts go compressed to whoever takes that, and only once.
func TestTheDocumentationIsCompressed(t *testing.T) {
	t.Parallel()
	core := newSite(t, "core", domain.ResponseSite)
	plain := core.call("GET", "/docs/swagger-ui-bundle.js", "", "")
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/docs/swagger-ui-bundle.js", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	zipped := core.do(r)
	reader, err := gzip.NewReader(strings.NewReader(zipped.text))
	if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" || len(zipped.text)*2 > len(plain.text) {
		t.Fatalf("%v: %v, %d of %d bytes", err, zipped.Header, len(zipped.text), len(plain.text))
	}
	var text strings.Builder
	if _, err := io.Copy(&text, reader); err != nil || text.String() != plain.text {
		t.Errorf("%v: the two differ", err)
	}
	if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Error("both have one tag")
	}
	r.Header.Set("If-None-Match", zipped.Header.Get("ETag"))
	if got := core.do(r); got.StatusCode != 304 {
		t.Errorf("a second time: %d", got.StatusCode)
	}
}
