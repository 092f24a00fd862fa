package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
	"sallyport/internal/dev"
)

// world is what all tests of the package share: both sites with a courier
// between them, and one browser.
type world struct {
	stack   *dev.Stack
	browser context.Context
	ids     map[string]string // what examples are made of
	turns   chan struct{}     // a few tabs at a time: the machine has other work
	seen    sync.Map          // pages that axe-core has looked at, by site
}

var (
	screenshots = flag.String("screenshots", "", "the folder to write pictures of every page to")
	pictured    = flag.String("pages", "", "a regular expression of the keys of pages: pictures are of these alone")
)

var theWorld struct {
	once  sync.Once
	world *world
	err   error
	end   []func()
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for i := len(theWorld.end) - 1; i >= 0; i-- {
		theWorld.end[i]()
	}
	os.Exit(code)
}

// open returns the world, which the first test that asks makes.
func open(t *testing.T) *world {
	t.Helper()
	theWorld.once.Do(func() { theWorld.world, theWorld.err = newWorld() })
	if theWorld.err != nil {
		t.Fatal(theWorld.err)
	}
	return theWorld.world
}

func newWorld() (*world, error) {
	dir, err := os.MkdirTemp("", "console")
	if err != nil {
		return nil, err
	}
	theWorld.end = append(theWorld.end, func() { _ = os.RemoveAll(dir) })
	w := &world{ids: map[string]string{}, turns: make(chan struct{}, 3)}
	if err := w.startBrowser(); err != nil {
		return nil, err
	}
	return w, w.startSites(filepath.Join(dir, "dev"))
}

// startBrowser starts one Chromium without a screen.
func (w *world) startBrowser() error {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("lang", "en"), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,BackForwardCache")) // chromedp does not notice a page that comes out of it
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	theWorld.end = append(theWorld.end, end)
	browser, stop := chromedp.NewContext(allocator)
	theWorld.end = append(theWorld.end, stop)
	if err := chromedp.Do(browser); err != nil {
		return fmt.Errorf("start Chromium: %w: install it (Debian: apt-get install chromium), as scripts/setup-test.sh does for root", err)
	}
	w.browser = browser
	return nil
}

func (w *world) startSites(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	stack, err := dev.Start(ctx, dev.Config{Data: dir, CarryEvery: 200 * time.Millisecond, ExportEvery: 300 * time.Millisecond, ScanEvery: 150 * time.Millisecond,
		Say: func(string, ...any) {}, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if stack != nil {
		theWorld.end = append(theWorld.end, func() { _ = stack.Stop(context.Background()) })
	}
	if err != nil {
		cancel()
		return err
	}
	w.stack = stack
	ran := make(chan error, 1)
	go func() { ran <- stack.Run(ctx) }()
	theWorld.end = append(theWorld.end, func() { cancel(); <-ran })
	if _, err := stack.WaitReady(ctx); err != nil {
		return err
	}
	return w.fill(ctx)
}

// fill makes what examples show.
func (w *world) fill(ctx context.Context) error {
	for _, role := range roles {
		token, err := w.token(ctx, domain.RequestSite, role)
		if err != nil {
			return err
		}
		var made struct{ ID string }
		if err := w.api(ctx, domain.RequestSite, http.MethodPost, "/requests", token, `{"type":"airports-in-country","params":{"country":"IS"},"name":"iceland"}`, &made); err != nil {
			return err
		}
		w.ids["answered/"+string(role)] = made.ID
		if err := w.api(ctx, domain.RequestSite, http.MethodGet, "/requests/"+made.ID+"/response", token, "", nil); err != nil {
			return err
		}
	}
	if err := w.fillManaged(ctx); err != nil {
		return err
	}
	return w.fillForOperators(ctx)
}

func (w *world) end(site domain.Role) *dev.End {
	if site == domain.RequestSite {
		return w.stack.Field
	}
	return w.stack.Core
}

// account is the first one of a role.
func (w *world) account(role domain.UserRole) dev.Account {
	for _, a := range w.stack.Accounts {
		if a.Role == role {
			return a
		}
	}
	panic("there is no account of the role " + role)
}

func (w *world) token(ctx context.Context, site domain.Role, role domain.UserRole) (string, error) {
	a := w.account(role)
	var got struct {
		Token string `json:"access_token"`
	}
	err := w.api(ctx, site, http.MethodPost, "/auth/login", "", fmt.Sprintf(`{"username":%q,"password":%q}`, a.Username, a.Password), &got)
	return got.Token, err
}

// api calls a site's API as any client would: it waits for what takes time, and
// comes again when the site is too busy.
func (w *world) api(ctx context.Context, site domain.Role, method, path, token, body string, into any) error {
	for range 20 {
		again, err := w.apiOnce(ctx, site, method, path, token, body, into)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("%s %s: the site stays too busy", method, path)
}

func (w *world) apiOnce(ctx context.Context, site domain.Role, method, path, token, body string, into any) (busy bool, err error) {
	r, err := http.NewRequestWithContext(ctx, method, w.end(site).URL+path, strings.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Prefer", "wait=30")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return false, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return res.StatusCode == http.StatusServiceUnavailable, fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	if into == nil {
		return false, nil
	}
	return false, json.Unmarshal(text, into)
}

// visitor is somebody with the cookies of a browser but without one.
type visitor struct {
	t    *testing.T
	http *http.Client
	base string
}

// visitor signs somebody of a role in; without a role nobody is.
func (w *world) visitor(t *testing.T, site domain.Role, role domain.UserRole) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, base: w.end(site).URL, http: &http.Client{Jar: secureJar{jar}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if role != "" {
		a := w.account(role)
		if status, where, _ := v.post("sign-in", url.Values{"username": {a.Username}, "password": {a.Password}}); status != http.StatusSeeOther {
			t.Fatalf("sign in as %s: %d %s", a.Username, status, where)
		}
	}
	return v
}

// secureJar lets Go's jar do what browsers do on loopback: it takes HTTP there
// for as good as TLS.
type secureJar struct{ *cookiejar.Jar }

func (j secureJar) SetCookies(u *url.URL, c []*http.Cookie) { j.Jar.SetCookies(asTLS(u), c) }
func (j secureJar) Cookies(u *url.URL) []*http.Cookie       { return j.Jar.Cookies(asTLS(u)) }

func asTLS(u *url.URL) *url.URL { c := *u; c.Scheme = "https"; return &c }

// cookie is the one that holds the session.
func (v *visitor) cookie() string {
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.http.Jar.Cookies(u) {
		if c.Name == "__Host-sallyport" {
			return c.Value
		}
	}
	return ""
}

func (v *visitor) get(path string) (status int, where, body string) {
	v.t.Helper()
	return v.do(http.MethodGet, path, nil)
}

func (v *visitor) post(path string, form url.Values) (status int, where, body string) {
	v.t.Helper()
	return v.do(http.MethodPost, path, form)
}

func (v *visitor) do(method, path string, form url.Values) (status int, where, body string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+"/console/"+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	status, header, body := v.send(r)
	return status, header.Get("Location"), body
}

func (v *visitor) send(r *http.Request) (status int, header http.Header, body string) {
	v.t.Helper()
	res, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// tick is how long to wait before looking again at what the other network does.
func tick(t *testing.T) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal("the test is over")
	case <-time.After(100 * time.Millisecond):
	}
}
