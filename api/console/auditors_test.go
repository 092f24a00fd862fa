package console_test

import (
	"crypto/ed25519"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/bridge/evidence"
	"sallyport/domain"
)

// An auditor finds the event of a request, sees how the request stood then,
// verifies the logs while it shows how far that is, and takes evidence away that
// the check on the command line accepts.
func TestAuditorFindsVerifiesAndTakesAway(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.ids["answered/user"]
	b := w.tab(t, domain.ResponseSite, domain.RoleAuditor)
	b.visit("audit/events?stream=request-" + id)
	b.do(chromedp.Click("#list tbody th a"), chromedp.WaitVisible("#what"))
	if text := result(b, chromedp.Text("main")); !strings.Contains(text, "request.") || !strings.Contains(text, id) {
		t.Errorf("the event: %s", text)
	}
	b.visit("audit/past?stream=request-" + id)
	b.do(chromedp.WaitVisible("#then"))
	b.accessible("as of a moment")
	b.visit("audit/verify")
	b.do(chromedp.Click("form[data-progress] button"), chromedp.WaitVisible("main section .banner"))
	if found := result(b, chromedp.Text("main")); !strings.Contains(found, "All logs are whole") {
		t.Errorf("verified: %s", found)
	}
	if n := result(b, chromedp.Evaluate[int](`document.querySelectorAll("main tbody tr").length`)); n != 2 {
		t.Errorf("%d logs were verified", n)
	}
	b.accessible("verified")
	b.clean("verifying")

	v := w.visitor(t, domain.ResponseSite, domain.RoleAuditor)
	_, _, file := v.get("audit/evidence?id=" + id)
	both := func(key string) (ed25519.PublicKey, bool) {
		if known, ok := w.stack.Core.Bridge.Card().Trust()(key); ok {
			return known, true
		}
		return w.stack.Field.Bridge.Card().Trust()(key)
	}
	if shown, err := evidence.Check([]byte(file), both); err != nil || len(shown.Events) < 2 {
		t.Errorf("evidence of %+v, %v", shown.Events, err)
	}
	if status, _, body := v.get("audit/export?from=1&to=3"); status != http.StatusOK || len(body) < 100 {
		t.Errorf("a range: %d, %d bytes", status, len(body))
	}
	for path, want := range map[string]int{"audit/events/999999999": http.StatusNotFound, "audit/streams/user-nobody": http.StatusNotFound,
		"audit/evidence?id=x": http.StatusNotFound, "audit/events?after=x": http.StatusBadRequest, "audit/past?stream=user-nobody": http.StatusNotFound} {
		if status, _, _ := v.get(path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _, body := v.post("audit/verify", url.Values{}); status != http.StatusOK && status != http.StatusConflict || !strings.Contains(body, `class="banner`) {
		t.Errorf("without scripts: %d", status)
	}
}
