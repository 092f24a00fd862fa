package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// What somebody chooses is kept: language and direction, colours, times. Pages
// are as accessible then, and keys do what their list says.
func TestChoicesAndKeys(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.RequestSite, domain.RoleUser)
	b.visit("requests")
	b.do(chromedp.Click(".tools details:first-child summary"), chromedp.SetValue(`[name="language"]`, "fa"), chromedp.SetValue(`[name="theme"]`, "dark"),
		chromedp.SetValue(`[name="times"]`, "local"), chromedp.Click(".tools form.choices button"), chromedp.WaitReady(`html[dir="rtl"][lang="fa"][data-theme="dark"]`))
	b.do(chromedp.WaitReady(`#list time[data-local]`))
	if where := result(b, chromedp.Location()); !strings.HasSuffix(where, "/console/requests") {
		t.Errorf("after choosing: %s", where)
	}
	for _, path := range []string{"", "requests", "ask/airports-in-box?example=0", w.examples(domain.RequestSite, domain.RoleUser)["request"], w.examples(domain.RequestSite, domain.RoleUser)["answer"], "keys"} {
		b.visit(path)
		b.accessible("dark, right to left: " + path)
	}
	b.do(chromedp.KeyEvent("?"), chromedp.WaitVisible("dialog[open]"))
	b.accessible("the list of keys")
	b.do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotPresent("dialog[open]"), chromedp.KeyEvent("g"), chromedp.KeyEvent("h"), chromedp.WaitVisible("#recent-requests"),
		chromedp.KeyEvent("\t"), chromedp.WaitVisible(".skip:focus"))
	b.clean("choices and keys")
}

// A choice leads back to the console and nowhere else.
func TestChoicesLeadNowhereElse(t *testing.T) {
	t.Parallel()
	v := open(t).visitor(t, domain.ResponseSite, "")
	for _, back := range []string{"https://elsewhere.example/console/", "//elsewhere.example/console/", "/elsewhere", `/console/\..\x`, "", "javascript:alert(1)"} {
		if status, where, _ := v.post("choices", url.Values{"language": {"xx"}, "back": {back}}); status != http.StatusSeeOther || where != "/console/" {
			t.Errorf("back to %q: %d, to %q", back, status, where)
		}
		if status, where, _ := v.post("sign-in", url.Values{"username": {"nobody"}, "next": {back}}); status != http.StatusUnauthorized || where != "" {
			t.Errorf("next %q: %d, to %q", back, status, where)
		}
	}
}
