package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/apikey"
)

// issue makes a key of a user with the given scopes.
func (s *site) issue(token, scopes string) (id, key string) {
	s.t.Helper()
	r := s.call("POST", "/api-keys", token, `{"name":"job","scopes":[`+scopes+`]}`)
	r.want(s.t, 201, "")
	return r.body["id"].(string), r.body["key"].(string)
}

// withKey calls with a key in its own header.
func (s *site) withKey(method, path, key, body string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-API-Key", key)
	return s.do(r)
}

const both = `"requests:read","requests:write"`

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	for _, s := range []*site{core, field} {
		alice := s.token("alice")
		made := s.call("POST", "/api-keys", alice, `{"name":"nightly","scopes":["requests:read","requests:write"],"expires_at":"2099-01-01T00:00:00Z"}`)
		made.want(t, 422, "invalid-key") // beyond five years
		made = s.call("POST", "/api-keys", alice, `{"name":"nightly","scopes":[`+both+`],"expires_at":"`+s.now().Add(time.Hour).Format(time.RFC3339)+`"}`)
		made.want(t, 201, "")
		key, id := made.body["key"].(string), made.body["id"].(string)
		if made.Header.Get("Location") != "/api-keys/"+id || made.Header.Get("X-Log-Position") == "" || made.body["last_used_at"] != nil || !strings.HasPrefix(key, made.body["prefix"].(string)) {
			t.Errorf("made %v %s", made.Header, made.text)
		}
		for _, got := range []reply{s.withKey("GET", "/auth/me", key, ""), s.call("GET", "/auth/me", key, "")} {
			if got.want(t, 200, ""); got.body["username"] != "alice" {
				t.Errorf("a key of alice is %s", got.text)
			}
		}
		list := s.call("GET", "/api-keys", alice, "")
		item := list.body["items"].([]any)[0].(map[string]any)
		if item["id"] != id || item["last_used_at"] == nil || item["expires_at"] == nil || strings.Contains(list.text, key[12:]) {
			t.Errorf("listed %s", list.text)
		}
		if others := s.call("GET", "/api-keys", s.token("bob"), ""); len(others.body["items"].([]any)) != 0 {
			t.Errorf("bob sees %s", others.text)
		}
		s.call("DELETE", "/api-keys/"+id, s.token("bob"), "").want(t, 404, "not-found")
		s.call("DELETE", "/api-keys/"+id, s.token("root"), "").want(t, 404, "not-found")
		s.call("DELETE", "/api-keys/"+id, alice, "").want(t, 204, "")
		s.withKey("GET", "/auth/me", key, "").want(t, 401, "invalid-api-key")
		s.call("GET", "/auth/me", key, "").want(t, 401, "invalid-api-key")
		s.call("DELETE", "/api-keys/"+id, alice, "").want(t, 204, "")
		if list := s.call("GET", "/api-keys", alice, ""); len(list.body["items"].([]any)) != 0 {
			t.Errorf("listed %s", list.text)
		}
		issued, records := recorded[domain.APIKeyIssued](s)
		if len(issued) != 1 || issued[0].User != core.idOf("alice") || strings.Contains(string(records[0].Line), key[12:]) || strings.Contains(s.logged.String(), key[12:]) {
			t.Errorf("recorded %+v", issued)
		}
		if revoked, _ := recorded[domain.APIKeyRevoked](s); len(revoked) != 1 {
			t.Errorf("%d revocations were recorded", len(revoked))
		}
	}
}

// A key of one site is none on the other.
func TestAPIKeysStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	_, key := core.issue(core.token("alice"), both)
	newField(t, core).withKey("GET", "/auth/me", key, "").want(t, 401, "invalid-api-key")
}

func TestScopesOfAPIKeys(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	const body = `{"type":"airport","params":{"iata":"AMS"}}`
	_, reads := field.issue(field.token("alice"), `"requests:read"`)
	field.withKey("GET", "/requests", reads, "").want(t, 200, "")
	field.withKey("POST", "/requests", reads, body).want(t, 403, "scope-missing")
	_, writes := field.issue(field.token("alice"), `"requests:write"`)
	field.withKey("POST", "/requests", writes, body).want(t, 202, "")
	field.withKey("GET", "/requests", writes, "").want(t, 403, "scope-missing")

	root := core.token("root")
	_, all := core.issue(root, `"admin","audit",`+both)
	core.withKey("GET", "/users", all, "").want(t, 200, "")
	_, few := core.issue(root, both)
	core.withKey("GET", "/users", few, "").want(t, 403, "scope-missing")
	// With a key nobody makes keys, or anything else that outlives it.
	core.withKey("POST", "/api-keys", all, `{"name":"more","scopes":["admin"]}`).want(t, 403, "login-required-in-person")
	core.withKey("GET", "/api-keys", all, "").want(t, 403, "login-required-in-person")
	for _, scopes := range []string{`"admin"`, `"audit"`, `"requests:read","requests:read"`, `"all"`, ``} {
		core.call("POST", "/api-keys", core.token("alice"), `{"name":"x","scopes":[`+scopes+`]}`).want(t, 422, "invalid-key")
	}
	for _, name := range []string{"", strings.Repeat("x", 101), "a\nb"} {
		name, _ := json.Marshal(name)
		core.call("POST", "/api-keys", root, `{"name":`+string(name)+`,"scopes":["admin"]}`).want(t, 422, "invalid-key")
	}
}

// A key is worth what its owner is, today.
func TestAPIKeysFollowTheirOwner(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	_, key := core.issue(core.token("root"), `"admin"`)
	core.withKey("GET", "/users", key, "").want(t, 200, "")
	users, records := recorded[domain.UserRegistered](core)
	for i, u := range users {
		if u.Username == "root" {
			u.Role = domain.RoleUser
			core.append(eventstore.Write{Stream: records[i].Stream, Expected: eventstore.Any, Facts: []domain.Fact{u}})
		}
	}
	core.withKey("GET", "/users", key, "").want(t, 403, "role-not-allowed")
	core.withKey("GET", "/request-types", key, "").want(t, 403, "scope-missing")
}

func TestAPIKeysExpire(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	made := core.call("POST", "/api-keys", core.token("alice"), `{"name":"x","scopes":[`+both+`],"expires_at":"`+core.now().Add(time.Minute).Format(time.RFC3339)+`"}`)
	key := made.body["key"].(string)
	core.withKey("GET", "/auth/me", key, "").want(t, 200, "")
	core.clock.Add(int64(time.Minute))
	core.withKey("GET", "/auth/me", key, "").want(t, 401, "invalid-api-key")
	core.call("POST", "/api-keys", core.token("alice"), `{"name":"x","scopes":[`+both+`],"expires_at":"2020-01-01T00:00:00Z"}`).want(t, 422, "invalid-key")
}

// A revoked key is refused by the process that revoked it at once, and by
// others within a second.
func TestARevokedAPIKeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	replica := core.withDirectoryOfItsOwn()
	alice := core.token("alice")
	id, key := core.issue(alice, both)
	replica.withKey("GET", "/auth/me", key, "").want(t, 200, "")
	core.call("DELETE", "/api-keys/"+id, alice, "").want(t, 204, "")
	core.withKey("GET", "/auth/me", key, "").want(t, 401, "invalid-api-key")
	deadline := time.Now().Add(time.Second)
	for replica.withKey("GET", "/auth/me", key, "").StatusCode != 401 {
		if time.Now().After(deadline) {
			t.Fatal("another process still takes the key after a second")
		}
	}
}

// A busy key costs no trip to the database.
func TestABusyAPIKeyIsInMemory(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	_, key := core.issue(core.token("alice"), both)
	core.warmKey(key)
}

// warmKey calls until a call is answered without the database.
func (s *site) warmKey(key string) {
	for t := s.t; t.Context().Err() == nil; {
		before := s.db.Pool.Stat().AcquireCount()
		s.withKey("GET", "/auth/me", key, "").want(t, 200, "")
		if s.db.Pool.Stat().AcquireCount() == before {
			return
		}
	}
}

func TestGuessingAPIKeysIsSlowedDown(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.standStill()
	_, good := core.issue(core.token("alice"), both)
	core.warmKey(good)
	core.withKey("GET", "/auth/me", good[:len(good)-1]+"!", "").want(t, 401, "invalid-api-key")
	answers := map[int]int{}
	for range 120 {
		answers[core.withKey("GET", "/auth/me", apikey.New().Reveal(), "").StatusCode]++
	}
	if answers[401] != 99 || answers[429] != 21 {
		t.Errorf("answers by status: %v", answers)
	}
	core.withKey("GET", "/auth/me", good, "").want(t, 200, "") // whoever has one goes on
	if refused, _ := recorded[domain.LoginRefused](core); len(refused) != 1 || refused[0].Reason != domain.RefusedAPIKey {
		t.Errorf("recorded %+v", refused)
	}
}

func TestTwoCredentialsAreNone(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	alice := core.token("alice")
	_, key := core.issue(alice, both)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/auth/me", nil)
	r.Header.Set("X-API-Key", key)
	r.Header.Set("Authorization", "Bearer "+alice)
	core.do(r).want(t, 401, "login-required")
}

func TestAUserHasNotTooManyAPIKeys(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	alice := core.token("alice")
	for range domain.MaxAPIKeys {
		core.issue(alice, both)
	}
	core.call("POST", "/api-keys", alice, `{"name":"x","scopes":[`+both+`]}`).want(t, 409, "too-many-api-keys")
	page := core.call("GET", "/api-keys?limit=30", alice, "")
	rest := core.call("GET", "/api-keys?limit=30&cursor="+page.body["next_cursor"].(string), alice, "")
	if n := len(page.body["items"].([]any)) + len(rest.body["items"].([]any)); n != domain.MaxAPIKeys || rest.body["next_cursor"] != nil {
		t.Errorf("%d keys are listed", n)
	}
}
