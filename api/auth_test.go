package api_test

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/api"
	"sallyport/api/token"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	for _, s := range []*site{core, field} {
		r := s.call("POST", "/auth/login", "", `{"username":"alice","password":"`+secret+`"}`)
		r.want(t, 200, "")
		if r.body["token_type"] != "Bearer" || r.body["expires_in"] != 900.0 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("login: %v %s", r.Header, r.text)
		}
		me := s.call("GET", "/auth/me", r.body["access_token"].(string), "")
		me.want(t, 200, "")
		if me.body["username"] != "alice" || me.body["profile"] != "wide" || strings.Contains(me.text, "$2a$") {
			t.Errorf("me: %s", me.text)
		}
	}
	foreign := core.call("GET", "/auth/me", field.token("alice"), "")
	foreign.want(t, 401, "invalid-token")
	if got := foreign.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("the challenge is %q", got)
	}
	if got := core.call("GET", "/auth/me", "", "").Header.Get("WWW-Authenticate"); got != `Bearer realm="sallyport"` {
		t.Errorf("the challenge of nobody is %q", got)
	}
}

// Every login hashes exactly once, whoever it is for.
func TestUnknownUsersCostTheSame(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	for _, body := range []string{`{"username":"nobody","password":"whatever it is"}`, `{"username":"alice","password":"wrong"}`,
		`{"username":"` + strings.Repeat("x", 9999) + `","password":"` + strings.Repeat("y", 9999) + `"}`, `{"username":"","password":""}`, `{"username":"a\u0000b","password":"x"}`} {
		before := core.passwords.Done()
		got := core.call("POST", "/auth/login", "", body)
		got.want(t, 401, "invalid-credentials")
		if n := core.passwords.Done() - before; n > 1 || n < 1 && !strings.Contains(body, "yyy") {
			t.Errorf("login with %.40s hashed %d times, want once", body, n)
		}
		if got.Header.Get("WWW-Authenticate") == "" {
			t.Error("401 without a challenge")
		}
	}
}

// Nobody learns from the time of a refusal whether there is somebody: neither
// where hashes are quick, nor where they are slow. The bound is wide because
// machines are noisy; what it must tell apart differs by a factor of thirty.
func TestTheTimeOfARefusalTellsNothing(t *testing.T) {
	core := newCore(t) // whose hashes take a thirtieth of those made here
	median := func(name string) time.Duration {
		var took []time.Duration
		for i := range 9 {
			core.address = fmt.Sprintf("192.0.2.%d:1", i)
			began := time.Now()
			core.call("POST", "/auth/login", "", `{"username":"`+name+`","password":"wrong"}`).want(t, 401, "invalid-credentials")
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	known := median("alice")
	for _, name := range []string{"nobody", "alicf", "zzz", "0", strings.Repeat("x", 5000), "Alice", "a b"} {
		if unknown := median(name); unknown > 5*known || known > 5*unknown {
			t.Errorf("%.10s is refused in %v, somebody who is there in %v", name, unknown, known)
		}
	}
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	const wrong, right = `{"username":"alice","password":"wrong"}`, `{"username":"alice","password":"` + secret + `"}`
	for range 10 {
		core.call("POST", "/auth/login", "", wrong).want(t, 401, "invalid-credentials")
	}
	before := core.passwords.Done()
	for _, body := range []string{wrong, right} {
		got := core.call("POST", "/auth/login", "", body)
		got.want(t, 429, "too-many-failures")
		if got.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if core.passwords.Done() != before {
		t.Error("a throttled login was hashed all the same")
	}
	core.token("bob")
	core.address = "198.51.100.7:1"
	core.token("alice")
	core.address = "192.0.2.1:4712"
	core.clock.Add(int64(time.Minute))
	core.token("alice")
}

// Guesses side by side are told no more than guesses one by one.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.standStill()
	var mu sync.Mutex
	answers := map[int]int{}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			got := core.call("POST", "/auth/login", "", `{"username":"alice","password":"wrong"}`)
			mu.Lock()
			defer mu.Unlock()
			answers[got.StatusCode]++
		})
	}
	wg.Wait()
	if answers[401] != 10 || answers[429] != 30 {
		t.Errorf("answers by status: %v, want ten 401 and thirty 429", answers)
	}
}

func TestNoUsersYet(t *testing.T) {
	t.Parallel()
	field := newSite(t, "field", domain.RequestSite)
	const body = `{"username":"alice","password":"` + secret + `"}`
	got := field.call("POST", "/auth/login", "", body)
	got.want(t, 503, "no-users-yet")
	if got.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	field.mirror(newCore(t), 0)
	field.call("POST", "/auth/login", "", body).want(t, 200, "")
}

func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	refresh := func(token string) reply {
		return core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+token+`"}`)
	}
	_, first := core.login("alice")
	next := refresh(first)
	next.want(t, 200, "")
	second, access := next.body["refresh_token"].(string), next.body["access_token"].(string)
	if second == first {
		t.Fatal("the refresh token was not rotated")
	}
	refresh(first).want(t, 200, "") // its answer may have been lost
	core.clock.Add(int64(11 * time.Second))
	refresh(first).want(t, 401, "invalid-refresh-token")
	refresh(second).want(t, 401, "invalid-refresh-token")
	core.call("GET", "/auth/me", access, "").want(t, 401, "invalid-token")
	for _, none := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 1<<16)} {
		refresh(none).want(t, 401, "invalid-refresh-token")
	}

	_, old := core.login("alice")
	core.clock.Add(int64(7*24*time.Hour + time.Second))
	refresh(old).want(t, 401, "invalid-refresh-token")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	access, refresh := core.login("alice")
	other := core.token("alice")
	for range 2 {
		core.call("POST", "/auth/logout", "", `{"refresh_token":"`+refresh+`"}`).want(t, 204, "")
	}
	core.call("GET", "/auth/me", access, "").want(t, 401, "invalid-token")
	core.call("GET", "/auth/me", other, "").want(t, 200, "")
	core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 401, "invalid-refresh-token")
}

func TestLoginSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	for body, want := range map[string][]string{`{}`: {"/username", "/password"}, `null`: {"/username", "/password"},
		`{"username":null,"password":"x"}`: {"/username"}, `{"username":"alice"}`: {"/password"}} {
		got := core.call("POST", "/auth/login", "", body)
		got.want(t, 422, "invalid-body")
		if !slices.Equal(got.pointers(), want) {
			t.Errorf("%s: %v, want %v", body, got.pointers(), want)
		}
	}
}

// another is a second process of the same site: on the same database, with
// the same key, and no memory of what this one did.
func (s *site) another() *site {
	s.t.Helper()
	other := &site{t: s.t, store: s.store, db: s.db, commands: s.commands, passwords: s.passwords, key: s.key, logged: s.logged, address: s.address}
	return s.with(other, other.now)
}

// with makes other a process of the same site with a clock of its own.
func (s *site) with(other *site, now func() time.Time) *site {
	s.t.Helper()
	c := s.config
	c.Now = now
	var err error
	if other.api, err = api.New(c); err != nil {
		s.t.Fatal(err)
	}
	other.handler = other.api
	return other
}

// withDirectoryOfItsOwn is another process that shares nothing but the database.
func (s *site) withDirectoryOfItsOwn() *site {
	s.t.Helper()
	directory := projections.NewDirectory(s.db.Pool, slog.New(slog.DiscardHandler))
	background(s.t, directory.Run)
	s.config.Directory = directory
	return s.another()
}

// A session that was closed is closed for every process of its site, also
// for one that starts only then.
func TestClosedSessionsAreClosedEverywhere(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	replica := core.another()
	end := map[string]func() string{
		"logout": func() string {
			access, refresh := core.login("alice")
			replica.call("GET", "/auth/me", access, "").want(t, 200, "")
			core.call("POST", "/auth/logout", "", `{"refresh_token":"`+refresh+`"}`).want(t, 204, "")
			return access
		},
		"reuse": func() string {
			access, refresh := core.login("alice")
			replica.call("GET", "/auth/me", access, "").want(t, 200, "")
			core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 200, "")
			core.clock.Add(int64(11 * time.Second))
			core.call("POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`).want(t, 401, "invalid-refresh-token")
			return access
		},
	}
	other := core.token("alice")
	for _, name := range []string{"logout", "reuse"} { // in this order: the latter moves the clock on
		t.Run(name, func(t *testing.T) {
			token := end[name]()
			core.call("GET", "/auth/me", token, "").want(t, 401, "invalid-token")
			core.another().call("GET", "/auth/me", token, "").want(t, 401, "invalid-token")
			replica.clock.Add(int64(time.Second))
			replica.call("GET", "/auth/me", token, "").want(t, 401, "invalid-token")
			replica.call("GET", "/auth/me", other, "").want(t, 200, "")
		})
	}
}

// What one process ends the others hear of: for this one no time passes, so
// that it would not look by itself.
func TestClosedSessionsAreHeardOf(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	frozen := time.Now().Add(time.Minute)
	replica := core.with(core.another(), func() time.Time { return frozen })
	replica.api.HearOfRights()
	other := core.token("alice")
	for range 3 {
		access, refresh := core.login("alice")
		replica.call("GET", "/auth/me", access, "").want(t, 200, "")
		core.call("POST", "/auth/logout", "", `{"refresh_token":"`+refresh+`"}`).want(t, 204, "")
		for began := time.Now(); replica.call("GET", "/auth/me", access, "").StatusCode != 401; {
			if time.Since(began) > 20*time.Second {
				t.Fatal("the session goes on elsewhere")
			}
		}
		replica.call("GET", "/auth/me", other, "").want(t, 200, "")
	}
}

// Every endpoint that is not open wants a token, and those of administrators
// an administrator's.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	const id = "/01a20351-498a-7e70-a315-478c02f0c07c"
	calls := []struct {
		site      *site
		method    string
		path      string
		adminOnly bool
	}{
		{field, "POST", "/requests", false}, {field, "GET", "/requests", false}, {field, "GET", "/requests" + id, false},
		{field, "GET", "/requests" + id + "/response", false}, {field, "GET", "/request-types", false},
		{field, "GET", "/request-types/airport", false}, {field, "GET", "/auth/me", false},
		{core, "GET", "/request-types", false}, {core, "GET", "/auth/me", false},
		{core, "POST", "/users", true}, {core, "GET", "/users", true}, {core, "GET", "/users" + id, true},
		{core, "POST", "/profiles", true}, {core, "GET", "/profiles", true}, {core, "GET", "/profiles/wide", true},
	}
	user, admin := map[*site]string{core: core.token("alice"), field: field.token("alice")}, map[*site]string{core: core.token("root"), field: field.token("root")}
	for _, c := range calls {
		c.site.call(c.method, c.path, "", "").want(t, 401, "login-required")
		c.site.call(c.method, c.path, "x.y.z", "").want(t, 401, "invalid-token")
		got := c.site.call(c.method, c.path, user[c.site], "")
		if refused := got.code() == "role-not-allowed" && got.StatusCode == 403; refused != c.adminOnly {
			t.Errorf("a user's %s %s: %d %s", c.method, c.path, got.StatusCode, got.code())
		}
		if got := c.site.call(c.method, c.path, admin[c.site], ""); got.StatusCode == 401 || got.StatusCode == 403 {
			t.Errorf("an administrator's %s %s: %d %s", c.method, c.path, got.StatusCode, got.code())
		}
	}
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	forge := func(key ed25519.PrivateKey, user string) string {
		a, err := token.New(token.Config{Site: "core", Signing: key})
		if err != nil {
			t.Fatal(err)
		}
		text, err := a.Issue(user, "")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := core.token("alice")
	core.call("GET", "/auth/me", forge(other, "x"), "").want(t, 401, "invalid-token")
	core.call("GET", "/auth/me", forge(core.key, "nobody"), "").want(t, 401, "invalid-token")
	core.call("GET", "/auth/me", good+"x", "").want(t, 401, "invalid-token")
	core.call("GET", "/auth/me", strings.Repeat(".", 1<<20), "").want(t, 401, "invalid-token")
	core.clock.Add(int64(16 * time.Minute))
	core.call("GET", "/auth/me", good, "").want(t, 401, "invalid-token")
	for _, header := range []string{"", "Basic YWxpY2U6eA==", good, "Bearer", "Bearer  " + good} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/auth/me", nil)
		r.Header.Set("Authorization", header)
		if got := core.do(r); got.StatusCode != 401 {
			t.Errorf("Authorization %.20q: %d", header, got.StatusCode)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/auth/me?access_token="+good, nil)
	core.do(r).want(t, 401, "login-required")
}

// What changes about a user acts on the next call, whatever the token says.
func TestRolesActOnTheNextCall(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	core.call("GET", "/users", root, "").want(t, 200, "")
	records, err := core.store.Read(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if u, ok := r.Fact.(domain.UserRegistered); ok && u.Username == "root" {
			u.Role = domain.RoleUser
			core.append(eventstore.Write{Stream: r.Stream, Expected: eventstore.Any, Facts: []domain.Fact{u}})
		}
	}
	core.call("GET", "/users", root, "").want(t, 403, "role-not-allowed")
}
