package console_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"sallyport/api/console"
	"sallyport/domain"
)

//go:embed testdata/axe-core-4.14.1.min.js
var axe string

var (
	sites = []domain.Role{domain.RequestSite, domain.ResponseSite}
	roles = []domain.UserRole{domain.RoleUser, domain.RoleAnalyst, domain.RoleOperator, domain.RoleAuditor, domain.RoleAdmin}
)

// examples fill in the parameters of pages for somebody of a role, by their keys.
func (w *world) examples(site domain.Role, role domain.UserRole) map[string]string {
	answered := "requests/" + w.ids["answered/"+string(role)]
	all := map[string]string{"ask-type": "ask/airports-in-country?example=1", "request": answered, "answer": answered + "/answer"}
	maps.Copy(all, w.managedExamples())
	maps.Copy(all, w.examplesOfOperators(site))
	return all
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// example is the address of a page below the console for somebody of a role.
func (w *world) example(t *testing.T, p console.PageRow, site domain.Role, role domain.UserRole) string {
	t.Helper()
	if !parameter.MatchString(p.Path) {
		return p.Path
	}
	path, ok := w.examples(site, role)[p.Key]
	if !ok {
		t.Fatalf("the page %s has no example", p.Key)
	}
	return path
}

// tab is a tab of the browser in which somebody is signed in. What it may not do
// is an error of the test.
type tab struct {
	context.Context
	t    *testing.T
	base string

	mu    sync.Mutex
	amiss []string
}

func (w *world) tab(t *testing.T, site domain.Role, role domain.UserRole) *tab {
	t.Helper()
	w.turns <- struct{}{}
	t.Cleanup(func() { <-w.turns })
	b := &tab{t: t, base: w.end(site).URL}
	ctx, end := chromedp.NewContext(w.browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(end)
	// The tab lives as long as the context that opens it, so that is not the one
	// with a time limit.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // on a machine that is busy with all else
	t.Cleanup(cancel)
	b.Context = ctx
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	if role != "" {
		yes := true
		call(b, network.SetCookie, network.SetCookieParams{Name: "__Host-sallyport", Value: w.visitor(t, site, role).cookie(), URL: b.base,
			Path: "/", Secure: &yes, HTTPOnly: &yes, SameSite: network.CookieSameSiteStrict})
	}
	return b
}

// call sends a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// hear notes what no page may do.
func (b *tab) hear(event any) {
	wrong := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		wrong = "an exception: " + string(text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			wrong = "the console: " + string(text)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			wrong = "the log: " + e.Entry.Text + " " + e.Entry.URL
		}
	case *network.EventRequestWillBeSent:
		if at := e.Request.URL; !strings.HasPrefix(at, b.base+"/") && !strings.HasPrefix(at, "data:") {
			wrong = "a request to another origin: " + at
		}
	}
	if wrong != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.amiss = append(b.amiss, wrong)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		where, _ := chromedp.Run(b, chromedp.Location())
		b.t.Fatalf("%s: %v", where, err)
	}
}

// result runs an action that gives something.
func result[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	r, err := chromedp.Run(b, action)
	if err != nil {
		where, _ := chromedp.Run(b, chromedp.Location())
		b.t.Fatalf("%s: %v", where, err)
	}
	return r
}

// visit opens a page and waits until it is there.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+"/console/"+path), chromedp.WaitReady("main h1"))
	if broken := result(b, chromedp.Evaluate[string](`document.body.innerText.match(/.*%!.*/)?.[0] ?? ""`)); broken != "" {
		b.t.Errorf("%s says %q", path, broken)
	}
}

// forgive takes it that pages were answered with a status: the browser logs it.
func (b *tab) forgive(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.amiss = slices.DeleteFunc(b.amiss, func(wrong string) bool { return strings.Contains(wrong, fmt.Sprintf("a status of %d", status)) })
}

// clean fails the test if something happened that no page may do.
func (b *tab) clean(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wrong := range b.amiss {
		b.t.Errorf("%s: %s", where, wrong)
	}
	b.amiss = nil
}

// accessible fails the test for what axe-core finds serious or critical.
func (b *tab) accessible(where string) {
	b.t.Helper()
	type finding struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	b.do(chromedp.Evaluate[chromedp.Void](axe))
	found := result(b, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`, chromedp.EvalAwaitPromise))
	var all []finding
	if err := json.Unmarshal([]byte(found), &all); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range all {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s (%s): %s", where, v.ID, v.Impact, v.Help)
			for _, n := range v.Nodes {
				b.t.Log(n.HTML, n.FailureSummary)
			}
		}
	}
}

// still fails the test if something moves for whoever wants nothing to.
func (b *tab) still() {
	b.t.Helper()
	const moving = `[...document.querySelectorAll("*")].filter(e => { const s = getComputedStyle(e);
		return s.animationName !== "none" || s.transitionDuration.split(",").some(d => parseFloat(d) > 0); }).length`
	if n := result(b, chromedp.Evaluate[int](moving)); n == 0 {
		b.t.Error("nothing moves anyway: look for what does")
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
	if n := result(b, chromedp.Evaluate[int](moving)); n > 0 {
		b.t.Errorf("%d elements move though nothing should", n)
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
}

// narrow fails the test if the page is wider than a small telephone.
func (b *tab) narrow(where string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(320, 800))
	if width := result(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); width > 320 {
		b.t.Errorf("%s is %d px wide where there are 320", where, width)
	}
	b.do(chromedp.ResetViewport())
}

// Every page opens for each role that it is for, without anything that no page
// may do, and is refused to the others with a page that says why.
func TestEveryPageForEveryRole(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, site := range sites {
		for _, role := range roles {
			t.Run(string(site)+"/"+string(role), func(t *testing.T) {
				t.Parallel()
				b, other := w.tab(t, site, role), w.visitor(t, site, role)
				for _, p := range console.AllPages() {
					switch {
					case p.Open, p.File:
					case p.Admits(site, role):
						path := w.example(t, p, site, role)
						b.visit(path)
						// A page is looked at once for all who are offered the same by it.
						offered := result(b, chromedp.Evaluate[string](`[...new Set([...document.querySelectorAll("main :is(form, button, h2, .tile)")].map((e) => e.tagName + (e.name || e.className)))].sort().join()`))
						if _, seen := w.seen.LoadOrStore(string(site)+p.Key+offered, true); !seen {
							b.accessible(path)
							b.narrow(path)
						}
						b.clean(path)
					default:
						status, _, body := other.get(parameter.ReplaceAllString(p.Path, "x"))
						if status != http.StatusForbidden && status != http.StatusNotFound || !strings.Contains(body, "<h1>") {
							t.Errorf("%s is answered with %d", p.Path, status)
						}
					}
				}
			})
		}
	}
}

// Who is not signed in sees what is open, and is led to the sign-in page from
// all else, and back.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	w := open(t)
	nobody := w.visitor(t, domain.RequestSite, "")
	for _, p := range console.AllPages() {
		path := parameter.ReplaceAllString(p.Path, "x")
		status, where, _ := nobody.get(path)
		if p.Open != (status == http.StatusOK) || !p.Open && !strings.HasPrefix(where, "/console/sign-in") {
			t.Errorf("%s: %d, to %s", path, status, where)
		}
		for _, act := range p.Acts {
			if status, where, _ := nobody.post(parameter.ReplaceAllString(act, "x"), nil); !p.Open && (status != http.StatusSeeOther || where != "/console/sign-in") {
				t.Errorf("POST %s: %d, to %s", act, status, where)
			}
		}
	}
	b := w.tab(t, domain.RequestSite, "")
	b.visit("requests?status=answered")
	b.accessible("sign-in")
	a := w.account(domain.RoleUser)
	b.do(chromedp.SendKeys("#username", a.Username), chromedp.SendKeys("#password", "wrong"), chromedp.Submit("#password"), chromedp.WaitVisible(`[role="alert"]`))
	b.forgive(http.StatusUnauthorized)
	b.accessible("sign-in, refused")
	b.do(chromedp.SendKeys("#password", a.Password), chromedp.Submit("#password"), chromedp.WaitVisible("#list"))
	where := result(b, chromedp.Location())
	if !strings.HasSuffix(where, "/console/requests?status=answered") {
		t.Errorf("after signing in: %s", where)
	}
	b.visit("")
	b.do(chromedp.Click(".tools details:last-child summary"), chromedp.Submit(`form[action$="sign-out"]`), chromedp.WaitVisible("[data-note]"))
	b.clean("signing in and out")
}

// look is one way to look at a page.
type look struct {
	name          string
	width, height int64
	language      string
	theme         string
}

var looks = []look{
	{"desktop", 1280, 900, "en", "light"}, {"narrow", 320, 800, "en", "light"}, {"dark", 1280, 900, "en", "dark"},
	{"rtl", 1280, 900, "fa", "light"}, {"wall", 2560, 1440, "en", "dark"},
}

// TestScreenshots writes pictures of every page, when told where to.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("make screenshots writes them")
	}
	w, onlyPages := open(t), regexp.MustCompile(*pictured)
	seen := map[string]bool{}
	for _, site := range sites {
		for _, role := range roles {
			t.Run(string(site)+"/"+string(role), func(t *testing.T) {
				b := w.tab(t, site, role)
				for _, p := range console.AllPages() {
					key := fmt.Sprintf("%s-%s", site, p.Key)
					if p.Open || p.File || seen[key] || !onlyPages.MatchString(p.Key) || !p.Admits(site, role) {
						continue
					}
					seen[key] = true
					for _, l := range looks {
						b.as(l)
						b.visit(w.example(t, p, site, role))
						b.picture(filepath.Join(*screenshots, l.name, key+".png"), l)
					}
				}
			})
		}
	}
}

// as has the tab look at pages in this way.
func (b *tab) as(l look) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(l.width, l.height))
	for name, value := range map[string]string{"sallyport-language": l.language, "sallyport-theme": l.theme} {
		call(b, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: b.base, Path: "/console/"})
	}
}

// picture writes what the whole page looks like: the viewport grows to it, since
// what is captured beyond a viewport is shifted where pages run right to left.
func (b *tab) picture(path string, l look) {
	b.t.Helper()
	call(b, emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: true})
	height := result(b, chromedp.Evaluate[int64](`document.documentElement.scrollHeight`))
	b.do(chromedp.EmulateViewport(l.width, max(height, l.height)))
	image := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // pictures are for everybody
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, image, 0o644); err != nil { //nolint:gosec // as above
		b.t.Fatal(err)
	}
}

// A page that is open shows what happens on the other network, without being
// loaded again.
func TestPagesMoveByThemselves(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.RequestSite, domain.RoleUser)
	b.visit("requests?name=moving")
	b.do(chromedp.WaitVisible("#list .empty"), chromedp.WaitReady(`html[data-live="yes"]`),
		chromedp.Evaluate[chromedp.Void](`window.sameDocument = true`))
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api(t.Context(), domain.RequestSite, http.MethodPost, "/requests", token, `{"type":"airport","params":{"iata":"AMS"},"name":"moving"}`, nil); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.WaitVisible("#list .chip.answered"))
	if !result(b, chromedp.Evaluate[bool](`window.sameDocument === true`)) {
		t.Error("the page was loaded again")
	}
	b.clean("a page that moves")
}
