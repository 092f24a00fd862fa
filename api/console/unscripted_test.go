package console_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// A browser without scripts does what one with them does: signing in, asking,
// reading the answer, choosing a language, being asked first.
func TestBrowserWithoutScripts(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.RequestSite, "")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit("ask/airport?example=0")
	a := w.account(domain.RoleUser)
	b.do(chromedp.SendKeys("#username", a.Username), chromedp.SendKeys("#password", a.Password), chromedp.Click("main form button"), chromedp.WaitVisible("form.ask"),
		chromedp.Click("form.ask > button"), chromedp.WaitVisible("[data-note]"), chromedp.WaitVisible("#request"))
	where := result(b, chromedp.Location())
	id, _, _ := strings.Cut(where[strings.LastIndex(where, "/")+1:], "?")
	for path := "requests/" + id + "/answer"; ; tick(t) {
		if b.visit(path); result(b, chromedp.Evaluate[bool](`document.querySelector("table.data") !== null`)) {
			break
		}
	}
	b.do(chromedp.Click(".tools details:first-child summary"), chromedp.SetValue(`[name="language"]`, "fa"),
		chromedp.Click(".tools form.choices button"), chromedp.WaitReady(`html[lang="fa"]`), chromedp.WaitReady("table.data"))
	b.visit("keys")
	b.do(chromedp.SendKeys("#name", "unscripted"), chromedp.Click(`input[value="requests:read"]`), chromedp.Click(`form[action$="keys"] button`), chromedp.WaitVisible("#key"),
		chromedp.Click(`//tr[contains(., "unscripted")]//button`), chromedp.WaitVisible(`input[name="sure"] ~ .actions button`))
	b.do(chromedp.Click("main form button"), chromedp.WaitVisible("[data-note]"))
	if text := result(b, chromedp.Text("main")); strings.Contains(text, "unscripted") {
		t.Error("the key is there still")
	}
	b.clean("without scripts")
}

// postFile sends a file as a form does.
func (v *visitor) postFile(path, field, name string, content []byte) (status int, body string) {
	v.t.Helper()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile(field, name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err != nil || m.Close() != nil {
		v.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+"/console/"+path, &form)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	status, _, body = v.send(r)
	return status, body
}

// Whose session has ended is told so where they are, loses nothing that they
// typed, and goes on when they have signed in beside it; what is sent without a
// session is not done, and leads back to its form.
func TestSessionEndsOnAPage(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.RequestSite, domain.RoleUser)
	b := w.tab(t, domain.RequestSite, "")
	signIn := func(tab *tab, expect string) {
		a := w.account(domain.RoleUser)
		tab.do(chromedp.SendKeys("#username", a.Username), chromedp.SendKeys("#password", a.Password), chromedp.Submit("#password"), chromedp.WaitVisible(expect))
	}
	b.visit("requests")
	signIn(b, "#list")
	b.do(chromedp.WaitReady(`html[data-live="yes"]`), chromedp.SendKeys("#name", "typed"))
	o := b.another()
	o.visit("")
	o.do(chromedp.Click(".tools details:last-child summary"), chromedp.Submit(`form[action$="sign-out"]`), chromedp.WaitVisible("[data-note]"))
	b.do(chromedp.WaitVisible(`[data-notice="ended"]`))
	if typed := result(b, chromedp.Value("#name")); typed != "typed" {
		t.Errorf("what was typed is %q", typed)
	}
	signIn(o, "main h1")
	b.do(chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new CustomEvent("look"))`), chromedp.WaitNotVisible(`[data-notice="ended"]`))
	b.forgive(http.StatusUnauthorized)
	b.clean("a session that ended")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/console/ask/airport", strings.NewReader("params=x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for referer, want := range map[string]string{v.base + "/console/ask/airport?example=0": "/console/sign-in?next=%2Fconsole%2Fask%2Fairport%3Fexample%3D0&note=not-sent",
		"https://elsewhere.example/console/ask": "/console/sign-in", "": "/console/sign-in"} {
		out := w.visitor(t, domain.RequestSite, "")
		send := r.Clone(t.Context())
		send.Header.Set("Referer", referer)
		if status, header, _ := out.send(send); status != http.StatusSeeOther || header.Get("Location") != want {
			t.Errorf("from %q: %d to %q", referer, status, header.Get("Location"))
		}
	}
}
