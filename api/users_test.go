package api_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/domain"
)

// A user made on one side logs in on the other with the same password.
func TestAUserMadeHereLogsInThere(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	profile := core.call("POST", "/profiles", root, `{"name":"basic","display_name":"Basic","limits":{"minute":30,"hour":500}}`)
	profile.want(t, 201, "")
	if profile.body["priority"] != 5.0 || profile.Header.Get("Location") != "/profiles/basic" {
		t.Errorf("profile %v %s", profile.Header, profile.text)
	}
	made := core.call("POST", "/users", root,
		`{"username":"carol","email":"carol@example.org","full_name":"Carol Ü","profile":"basic","password":"a long password"}`)
	made.want(t, 201, "")
	if made.Header.Get("X-Log-Position") == "" || made.body["role"] != "user" || strings.Contains(made.text, "argon2id") {
		t.Errorf("made %v %s", made.Header, made.text)
	}
	got := core.call("GET", made.Header.Get("Location"), root, "")
	got.want(t, 200, "")
	if got.text != made.text {
		t.Errorf("made %s\ngot  %s", made.text, got.text)
	}
	if limits, _ := got.body["limits"].(map[string]any); limits["hour"] != 500.0 {
		t.Errorf("limits %v", limits)
	}
	core.call("POST", "/users", root, `{"username":"dave","email":"CAROL@example.org","profile":"basic","password":"a long password"}`).
		want(t, 409, "email-taken")

	field := newField(t, core)
	login := field.call("POST", "/auth/login", "", `{"username":"carol","password":"a long password"}`)
	login.want(t, 200, "")
	field.call("POST", "/requests", login.body["access_token"].(string), `{"type":"airport","params":{"iata":"AMS"}}`).want(t, 202, "")
}

func TestListsOfAdministrators(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	first := core.call("GET", "/users?limit=2", root, "")
	first.want(t, 200, "")
	rest := core.call("GET", "/users?limit=2&cursor="+first.body["next_cursor"].(string), root, "")
	rest.want(t, 200, "")
	if n := len(first.body["items"].([]any)) + len(rest.body["items"].([]any)); n != 3 || rest.body["next_cursor"] != nil {
		t.Errorf("%d users, %s", n, rest.text)
	}
	if profiles := core.call("GET", "/profiles", root, ""); len(profiles.body["items"].([]any)) != 2 {
		t.Errorf("profiles %s", profiles.text)
	}
	for _, path := range []string{"/profiles", "/request-types"} {
		first := core.call("GET", path+"?limit=1", root, "")
		first.want(t, 200, "")
		cursor := first.body["next_cursor"].(string)
		rest := core.call("GET", path+"?limit=1&cursor="+cursor, root, "")
		rest.want(t, 200, "")
		if name := func(r reply) any { return r.body["items"].([]any)[0].(map[string]any)["name"] }; rest.body["next_cursor"] != nil ||
			name(first) == name(rest) || len(rest.body["items"].([]any)) != 1 {
			t.Errorf("%s: %s then %s", path, first.text, rest.text)
		}
		core.call("GET", path+"?cursor=%21", root, "").want(t, 400, "invalid-query")
		core.call("GET", path+"?offset=1", root, "").want(t, 400, "invalid-query")
	}
	core.call("GET", "/profiles/wide", root, "").want(t, 200, "")
	core.call("GET", "/profiles/none", root, "").want(t, 404, "not-found")
	core.call("GET", "/profiles/No%20Such", root, "").want(t, 404, "not-found")
	core.call("GET", "/users/01a20351-498a-7e70-a315-478c02f0c07c", root, "").want(t, 404, "not-found")
	if types := core.call("GET", "/request-types", root, ""); len(types.body["items"].([]any)) != 2 {
		t.Errorf("types %s", types.text)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	if got := core.call("GET", "/health", "", ""); got.body["status"] != "ok" || got.body["role"] != string(domain.ResponseSite) {
		t.Errorf("health %s", got.text)
	}
	got := core.call("GET", "/health/ready", "", "")
	if got.StatusCode != 200 || got.body["status"] != "ready" {
		t.Errorf("ready: %d %s", got.StatusCode, got.text)
	}
	if _, err := core.db.Owner.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
	if got := core.call("GET", "/health/ready", "", ""); got.StatusCode != 503 || got.body["status"] != "down" {
		t.Errorf("with a migration pending: %d %s", got.StatusCode, got.text)
	}
}

// What is wrong with one part is said with its name.
func TestReadiness(t *testing.T) {
	t.Parallel()
	room, broken := api.Room{Free: 1 << 40, Total: 1 << 41, Low: 1 << 28, Full: 1 << 24}, false
	core := newSite(t, "core", domain.ResponseSite, func(c *api.Config) {
		c.Disk = func() (api.Room, error) {
			if broken {
				return api.Room{}, errors.New("no disk")
			}
			return room, nil
		}
	})
	for _, c := range []struct {
		free   uint64
		broken bool
		status int
		says   string
	}{{1 << 40, false, 200, `"disk":"ok"`}, {1 << 27, false, 200, `"disk":"128 MiB are free: make room"`},
		{1 << 20, false, 503, `"disk":"is full"`}, {1 << 40, true, 503, `"disk":"cannot be read"`}} {
		room.Free, broken = c.free, c.broken
		got := core.call("GET", "/health/ready", "", "")
		if got.StatusCode != c.status || !strings.Contains(got.text, c.says) {
			t.Errorf("%+v: %d %s", c, got.StatusCode, got.text)
		}
	}
	broken = false
	core.api.Drain()
	if got := core.call("GET", "/health/ready", "", ""); got.StatusCode != 503 || !strings.Contains(got.text, `"process":"is stopping"`) {
		t.Errorf("stopping: %d %s", got.StatusCode, got.text)
	}
}

func TestHealthInDetail(t *testing.T) {
	t.Parallel()
	core, field := linked(t)
	root := field.token("root")
	got := field.call("GET", "/health/detailed", root, "")
	got.want(t, 200, "")
	links, _ := got.body["links"].([]any)
	database, _ := got.body["postgresql"].(map[string]any)
	if len(links) != 1 || database["migrations_pending"] != 0.0 || database["version"] == "" || got.body["site"] != "field" ||
		got.body["redis"] != nil || got.body["status"] != "ready" || got.body["reactors"] == nil {
		t.Errorf("detailed: %s", got.text)
	}
	core.call("GET", "/health/detailed", core.token("olga"), "").want(t, 403, "role-not-allowed")
	core.call("GET", "/health/detailed", "", "").want(t, 401, "login-required")
}

// warm calls until a call is answered without the database.
func (s *site) warm(token string) {
	for t := s.t; t.Context().Err() == nil; {
		before := s.db.Pool.Stat().AcquireCount()
		s.call("GET", "/auth/me", token, "").want(t, 200, "")
		if s.db.Pool.Stat().AcquireCount() == before {
			return
		}
	}
}

// Without its database a site says so, and that nothing was lost.
func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	const body = `{"type":"airport","params":{"iata":"AMS"}}`
	id := field.call("POST", "/requests", alice, body).body["id"].(string)
	answer(core, field, id, domain.ResponseFailed{Code: "timeout", Error: "too long", Attempts: 1})
	field.call("GET", "/requests/"+id+"/response", alice, "").want(t, 200, "")
	field.warm(alice)
	for _, sql := range []string{
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 0', current_database()); END $$`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`} {
		if _, err := field.db.Owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range []reply{field.call("POST", "/requests", alice, body), field.call("GET", "/requests", alice, ""),
		field.call("POST", "/auth/login", "", `{"username":"alice","password":"x"}`)} {
		got.want(t, 503, "database-unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	if got := field.call("GET", "/health/ready", "", ""); got.StatusCode != 503 {
		t.Errorf("ready: %d %s", got.StatusCode, got.text)
	}
	if got := field.call("GET", "/requests/"+id+"/response", alice, ""); got.StatusCode != 200 || got.Header.Get("X-Cache") != "hit" {
		t.Errorf("a cached answer: %d %s", got.StatusCode, got.text)
	}
	if strings.Contains(field.logged.String(), "level=ERROR") {
		t.Errorf("logged as unforeseen: %s", field.logged)
	}
}

func TestCallIDs(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	for given, kept := range map[string]bool{"a-b_C.9": true, "": false, "a b": false, "a\"b": false, "ü": false, strings.Repeat("x", 65): false} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/health", nil)
		r.Header.Set("X-Request-Id", given)
		if got := core.do(r).Header.Get("X-Request-Id"); got == "" || (got == given) != kept {
			t.Errorf("X-Request-Id %q came back as %q", given, got)
		}
	}
}

// A site that lost events still shows what it holds, and takes nothing more.
func TestAReadOnlySite(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	token := core.token("root")
	if made, err := core.store.MakeReadOnly(t.Context(), "it was restored from an old backup"); err != nil || !made {
		t.Fatal(made, err)
	}
	got := core.call("POST", "/users", token, `{"username":"late","email":"late@example.org","profile":"wide","password":"a long password"}`)
	if got.want(t, 503, "read-only-site"); !strings.Contains(got.text, "restored from an old backup") || !strings.Contains(got.text, "nothing was stored") {
		t.Errorf("refused with %s", got.text)
	}
	core.call("GET", "/users", token, "").want(t, 200, "")
	ready := core.call("GET", "/health/ready", "", "")
	if ready.StatusCode != 200 || ready.body["status"] != "degraded" || !strings.Contains(ready.text, "restored from an old backup") {
		t.Errorf("ready: %d %s", ready.StatusCode, ready.text)
	}
}
