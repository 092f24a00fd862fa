package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// aName is one that a bundle may have, from either site.
const aName = "sp1_core-field_00000000_0000000007.jsonl.zst"

func (w *world) examplesOfOperators(site domain.Role) map[string]string {
	peer := map[domain.Role]string{domain.RequestSite: w.stack.Core.Name, domain.ResponseSite: w.stack.Field.Name}[site]
	return map[string]string{"link": "links/" + peer, "bundle": "bundles/" + w.ids["bundle"], "refused": "quarantine/" + w.ids["refused/"+string(site)],
		"event": "audit/events/3", "stream": "audit/streams/request-" + w.ids["answered/user"], "task": "work/" + w.ids["task"]}
}

// fillForOperators makes what they look at: a bundle that has crossed, and a
// file that was refused on each site.
func (w *world) fillForOperators(ctx context.Context) error {
	for _, site := range sites {
		token, err := w.token(ctx, site, domain.RoleOperator)
		if err != nil {
			return err
		}
		var found struct{ Items []struct{ ID string } }
		if site == domain.RequestSite {
			if err := w.api(ctx, site, http.MethodGet, "/admin/bundles?direction=out&limit=1&state=acknowledged", token, "", &found); err != nil {
				return err
			}
			if len(found.Items) == 0 {
				return errors.New("no bundle has crossed, though an answer has come back")
			}
			w.ids["bundle"] = found.Items[0].ID
		}
		for _, call := range []struct{ method, path, body string }{{http.MethodPut, "/admin/inbox/" + aName, "no bundle"}, {http.MethodPost, "/admin/bundles/import", ""}} {
			if err := w.api(ctx, site, call.method, call.path, token, call.body, nil); err != nil {
				return err
			}
		}
		if err := w.api(ctx, site, http.MethodGet, "/admin/quarantine?limit=1", token, "", &found); err != nil {
			return err
		}
		if len(found.Items) == 0 {
			return errors.New("what is no bundle was not refused")
		}
		w.ids["refused/"+string(site)] = found.Items[0].ID
	}
	return w.fillForAnalysts(ctx)
}

// An operator uploads two files that were carried by hand, one of them damaged;
// finds that one in quarantine with the reason; and releases it with a reason.
func TestOperatorTakesInAndReleases(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, _, whole := w.visitor(t, domain.ResponseSite, domain.RoleOperator).get("bundles/" + w.ids["bundle"] + "/file")
	if len(whole) < 100 {
		t.Fatalf("the file has %d bytes", len(whole))
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, strings.Replace(aName, "core-field", "field-core", 1)), filepath.Join(dir, strings.Replace(aName, "7", "8", 1))
	for path, text := range map[string]string{good: whole, bad: whole[:len(whole)-9]} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := w.tab(t, domain.ResponseSite, domain.RoleOperator)
	b.visit("exchange")
	b.do(chromedp.Evaluate[chromedp.Void](`new MutationObserver(() => { window.progress = true; }).observe(document.querySelector(".progress"), { attributes: true })`),
		chromedp.SetUploadFiles("#files", []string{good, bad}), chromedp.Click(`form[action$="upload"] button`), chromedp.WaitVisible("#uploaded"))
	if !result(b, chromedp.Evaluate[bool](`window.progress && document.activeElement.contains(document.querySelector("#uploaded"))`)) {
		t.Error("it does not show how far it is, or the focus is not at what came of it")
	}
	if n := result(b, chromedp.Evaluate[int](`document.querySelectorAll(".chip.upload-stored").length`)); n != 2 {
		t.Errorf("%d files were stored", n)
	}
	b.accessible("exchange, uploaded")
	b.still()
	b.do(chromedp.Submit(`form[action$="exchange/import"] button`), chromedp.WaitVisible("#imported"))
	b.visit("quarantine")
	row := `//a[contains(., "` + filepath.Base(bad) + `")]`
	b.do(chromedp.WaitVisible(row), chromedp.Click(row), chromedp.WaitVisible("#release-reason"))
	b.do(chromedp.SendKeys("#release-reason", "the medium was bad, look again"), chromedp.Submit("#release-reason"), chromedp.WaitVisible("[data-note]"), chromedp.WaitReady("#what"))
	if left := result(b, chromedp.Evaluate[bool](`document.querySelector("#release-reason") !== null`)); left {
		t.Error("it can be decided about twice")
	}
	// Back leads to the page as it is now, and sends nothing again.
	b.do(chromedp.Evaluate[chromedp.Void](`history.back()`), chromedp.WaitNotPresent("[data-note]"), chromedp.WaitReady("#what"))
	if left := result(b, chromedp.Evaluate[bool](`location.search !== "" || document.querySelector("#release-reason") !== null`)); left {
		t.Error("back leads to a form that was sent")
	}
	b.clean("taking in and releasing")
}

// An operator stops a link with a reason, is asked first, and resumes it.
func TestOperatorStopsAndResumes(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.ResponseSite, domain.RoleOperator)
	t.Cleanup(func() { // whatever happens: other tests wait for what crosses
		if token, err := w.token(context.WithoutCancel(t.Context()), domain.ResponseSite, domain.RoleOperator); err == nil {
			_ = w.api(context.WithoutCancel(t.Context()), domain.ResponseSite, http.MethodPost, "/admin/links/field/resume", token, `{"reason":"the test is over"}`, nil)
		}
	})
	b.visit("links/field")
	b.do(chromedp.SendKeys("#reason", "a try"), chromedp.Click(`form[action$="stop"] button`), chromedp.Click("#sure [value=yes]"), chromedp.WaitVisible(`form[action$="resume"]`),
		chromedp.SendKeys("#reason", "it is over"), chromedp.Click(`form[action$="resume"] button`), chromedp.Click("#sure [value=yes]"), chromedp.WaitVisible(`form[action$="stop"]`))
	b.clean("stopping and resuming")
}

// What operators send without scripts is done, or refused beside its field.
func TestOperatorsForms(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.RequestSite, domain.RoleOperator)
	if status, _, body := v.post("links/core/stop", url.Values{"sure": {"yes"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, `id="reason-wrong"`) {
		t.Errorf("stopped without a reason: %d", status)
	}
	if status, _, _ := v.get("links/nowhere"); status != http.StatusNotFound {
		t.Errorf("a link that is not: %d", status)
	}
	for _, verb := range []string{"export", "import"} {
		if status, _, body := v.post("exchange/"+verb, nil); status != http.StatusOK || !strings.Contains(body, `id="`+verb+`ed"`) {
			t.Errorf("%s: %d", verb, status)
		}
	}
	if status, where, _ := v.post("schedules/clean-bundles/run", nil); status != http.StatusSeeOther || !strings.HasSuffix(where, "note=schedule-asked") {
		t.Errorf("a job that is asked for: %d, %s", status, where)
	}
}
