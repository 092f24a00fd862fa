package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// another opens one more tab of the same browser: whoever is signed in is
// signed in there too.
func (b *tab) another() *tab {
	b.t.Helper()
	o := &tab{t: b.t, base: b.base}
	ctx, end := chromedp.NewContext(b.Context, chromedp.WithListener(o.hear))
	b.t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatalf("open a tab: %v", err)
	}
	o.Context = ctx
	return o
}

// ask asks something as the first user does.
func (w *world) ask(t *testing.T, body string) (id string) {
	t.Helper()
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	if err := w.api(t.Context(), domain.RequestSite, http.MethodPost, "/requests", token, body, &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// What somebody unfolded, selected, typed or has the focus on stays when what is
// around it moves, be it the newest row, above which all others come; of two tabs
// one listens, and both move. They follow what is rare: a page has fifty events,
// and other tests make more.
func TestRefreshKeepsWhatSomebodyDoes(t *testing.T) {
	t.Parallel()
	w := open(t)
	const followed = "audit/events?follow=1&type=request.submitted"
	b := w.tab(t, domain.RequestSite, domain.RoleAuditor)
	b.visit(followed)
	b.do(chromedp.WaitReady(`html[data-live="yes"]`), chromedp.Evaluate[chromedp.Void](`{
		const row = document.querySelector("#list tbody tr");
		window.kept = row.querySelector("th").textContent;
		row.querySelector("details").open = true;
		row.querySelector("summary").focus();
		getSelection().selectAllChildren(row.querySelector("pre"));
		window.selected = getSelection().toString();
	}`))
	o := b.another()
	o.visit(followed)
	id := w.ask(t, `{"type":"airport","params":{"iata":"OSL"}}`)
	row := `#list a[href$="request-` + id + `"]`
	b.do(chromedp.WaitVisible(row))
	o.do(chromedp.WaitVisible(row))
	kept := result(b, chromedp.Evaluate[bool](`(() => {
		const open = document.querySelectorAll("#list details[open]");
		return open.length === 1 && open[0].closest("tr").querySelector("th").textContent === window.kept &&
			document.activeElement === open[0].querySelector("summary") && window.selected !== "" && getSelection().toString() === window.selected;
	})()`))
	if !kept {
		t.Error("what was unfolded, selected or had the focus is so no more")
	}
	if n := result(o, chromedp.Evaluate[int](`performance.getEntriesByType("resource").filter((r) => r.name.endsWith("/live")).length`)); n != 0 {
		t.Errorf("the second tab listens too: %d times", n)
	}
	b.clean("a page that is followed")
	o.clean("another one")
}

// heldUp does something and holds up what the tab loads by it from an address
// like a pattern, until it is let go.
func (b *tab) heldUp(pattern string, stage fetch.RequestStage, do chromedp.Action[chromedp.Void]) (letGo func()) {
	b.t.Helper()
	call(b, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
	call(b, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: pattern, RequestStage: stage}}})
	held := result(b, chromedp.WaitEvent(fetch.RequestPaused, nil, do))
	return func() {
		b.t.Helper()
		call(b, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: held.RequestID})
		call(b, fetch.Disable, cdp.Empty{})
	}
}

// begin opens a page without waiting until it is there.
func (b *tab) begin(path string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, page.Navigate, page.NavigateParams{URL: b.base + "/console/" + path})
		return chromedp.Void{}, err
	}
}

// What is stored while a page is on its way is shown by it, though nobody told
// it: the one tab that listens did not listen yet, or told it when another tab
// could not hear it.
func TestPageMissesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	token, err := w.token(t.Context(), domain.ResponseSite, domain.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key string) (shown chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := w.api(t.Context(), domain.ResponseSite, http.MethodPut, "/settings/"+key, token, `{"value":1}`, nil); err != nil {
			t.Fatal(err)
		}
		return chromedp.WaitVisible(`//bdi[text()="` + key + `"]`)
	}
	b := w.tab(t, domain.ResponseSite, domain.RoleAdmin)
	letGo := b.heldUp("*/console/live*", fetch.RequestStageRequest, b.begin("settings"))
	shown := set("missed.before-the-stream")
	letGo()
	b.do(shown)

	o := b.another()
	letGo = o.heldUp("*/assets/live*", fetch.RequestStageRequest, o.begin("settings"))
	shown = set("missed.by-the-second-tab")
	b.do(shown)
	letGo()
	o.do(shown)
	b.clean("a page that listens late")
	o.clean("a page that hears late")
}

// What is stored while another choice of a list is on its way is shown by it:
// what the page was told is of the list that was there before.
func TestFilteredListMissesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.ResponseSite, domain.RoleAdmin)
	b.visit("users?q=late-come")
	b.do(chromedp.WaitReady(`html[data-live="yes"]`))
	letGo := b.heldUp("*q=late-comer*", fetch.RequestStageResponse, chromedp.Evaluate[chromedp.Void](`{
		const q = document.querySelector("#q");
		q.value = "late-comer";
		q.dispatchEvent(new Event("input", { bubbles: true }));
	}`))
	w.somebody(t, "late-comer")
	const comer = `//bdi[text()="late-comer"]`
	b.do(chromedp.WaitVisible(comer))
	letGo()
	b.do(chromedp.Poll[chromedp.Void](`location.search.includes("q=late-comer")`), chromedp.WaitVisible(comer))
	b.clean("a list that is filtered late")
}

// What cannot be undone asks first: by a dialog, or without scripts by a page.
func TestDangerAsksFirst(t *testing.T) {
	t.Parallel()
	w := open(t)
	for site, paths := range map[domain.Role][]string{
		domain.RequestSite:  {"links/core/stop", "links/core/resume", "keys/x/revoke", "queue/1/cancel", "poison/1/drop", "rate-limits/x/reset", "cache/clear", "quarantine/x/reject"},
		domain.ResponseSite: {"types/airport/retire", "types/airport/responder/disable", "profiles/free/retire", "settings/x/remove"},
	} {
		v := w.visitor(t, site, domain.RoleAdmin)
		for _, path := range paths {
			status, _, body := v.post(path, url.Values{"reason": {`"of <mine>`}})
			if status != http.StatusOK || !strings.Contains(body, `<input type="hidden" name="reason" value="&#34;of &lt;mine&gt;">`) || !strings.Contains(body, `action="/console/`+path+`"`) {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
	v := w.visitor(t, domain.RequestSite, domain.RoleUser)
	issue := func(name string) {
		if status, _, body := v.post("keys", url.Values{"name": {name}, "scopes": {"requests:read"}}); status != http.StatusOK || !strings.Contains(body, `id="key"`) {
			t.Fatalf("a key: %d", status)
		}
	}
	issue("asked about")
	b := w.tab(t, domain.RequestSite, domain.RoleUser)
	b.visit("keys")
	button := `//tr[contains(., "asked about")]//button`
	b.do(chromedp.Click(button), chromedp.WaitVisible("#sure"))
	if text := result(b, chromedp.Text("#sure")); !strings.Contains(text, "Revoke the key asked about?") {
		t.Errorf("the question: %s", text)
	}
	b.accessible("a question")
	b.do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible("#sure"))
	if !result(b, chromedp.Evaluate[bool](`document.activeElement.matches("form[action$=revoke] button")`)) {
		t.Error("the focus did not come back")
	}
	b.do(chromedp.Click(button), chromedp.Click("#sure [value=yes]"), chromedp.WaitVisible("[data-note]"))
	if text := result(b, chromedp.Text("main")); strings.Contains(text, "asked about") {
		t.Error("the key is there still")
	}
	b.clean("asking first")
}
