package api_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/domain"
)

func (s *site) userID(name string) string {
	s.t.Helper()
	u, err := s.config.Reader.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.ID
}

// callIf is call with an If-Match.
func (s *site) callIf(tag, method, path, token, body string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("If-Match", tag)
	return s.do(r)
}

func TestPatchUser(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	path := "/users/" + core.userID("bob")
	before := core.call("GET", path, root, "")
	before.want(t, 200, "")
	patch := func(body string) reply { t.Helper(); return core.call("PATCH", path, root, body) }

	got := patch(`{"email":"robert@example.org","full_name":"Robert","role":"auditor","profile":"wide"}`)
	got.want(t, 200, "")
	if b := got.body; b["email"] != "robert@example.org" || b["full_name"] != "Robert" || b["role"] != "auditor" || b["profile"] != "wide" || b["active"] != true || b["priority"] != 8.0 {
		t.Errorf("%s", got.text)
	}
	if got.Header.Get("X-Log-Position") == "" || got.Header.Get("ETag") == before.Header.Get("ETag") {
		t.Errorf("headers %v", got.Header)
	}
	if again := core.call("GET", path, root, ""); again.text != got.text || again.Header.Get("ETag") != got.Header.Get("ETag") {
		t.Errorf("shown as\n%s %s, changed to\n%s %s", again.text, again.Header.Get("ETag"), got.text, got.Header.Get("ETag"))
	}
	seq := core.seq()
	for _, same := range []string{`{}`, `{"email":null,"active":true}`, `{"role":"auditor"}`} {
		patch(same).want(t, 200, "")
	}
	if now := core.seq(); now != seq {
		t.Errorf("what is so already was stored: seq %d after %d", now, seq)
	}
	for body, code := range map[string]string{`{"role":"root"}`: "invalid-user", `{"profile":"none"}`: "invalid-user", `{"email":"x"}`: "invalid-user",
		`{"username":"eve"}`: "invalid-body", `{"id":"x"}`: "invalid-body", `{"limits":{"minute":1}}`: "invalid-body", `{"credential":{}}`: "invalid-body", `{"active":"no"}`: "invalid-body"} {
		patch(body).want(t, 422, code)
	}
	patch(`{"email":"ROOT@example.org"}`).want(t, 200, "") // addUser reserves no address
	core.call("POST", "/users", root, `{"username":"carol","email":"carol@example.org","profile":"wide","password":"long enough"}`).want(t, 201, "")
	patch(`{"email":"CAROL@example.org"}`).want(t, 409, "email-taken")
	core.call("PATCH", "/users/00000000-0000-7000-8000-000000000000", root, `{}`).want(t, 404, "not-found")
	core.call("PATCH", path, core.token("alice"), `{"role":"admin"}`).want(t, 403, "role-not-allowed")
}

func TestDeactivation(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root, bob := core.token("root"), core.token("bob")
	path := "/users/" + core.userID("bob")
	core.call("PATCH", path, root, `{"active":false,"reason":"left the house"}`).want(t, 200, "")
	core.call("GET", "/auth/me", bob, "").want(t, 401, "invalid-token")
	core.call("PATCH", path, root, `{"active":false}`).want(t, 200, "")
	core.call("PATCH", path, root, `{"active":true}`).want(t, 200, "")
	core.token("bob")
	self := "/users/" + core.userID("root")
	core.call("PATCH", self, root, `{"active":false}`).want(t, 409, "last-admin")
	core.call("PATCH", self, root, `{"role":"user"}`).want(t, 409, "last-admin")
	core.call("PATCH", path, root, `{"role":"admin"}`).want(t, 200, "")
	core.call("PATCH", self, root, `{"role":"user"}`).want(t, 200, "")
	core.call("GET", "/users", root, "").want(t, 403, "role-not-allowed") // on the next call
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	path := "/users/" + core.userID("bob")
	tag := core.call("GET", path, root, "").Header.Get("ETag")
	next := core.callIf(tag, "PATCH", path, root, `{"full_name":"one"}`)
	next.want(t, 200, "")
	for _, stale := range []string{tag, `"x"`, `W/` + next.Header.Get("ETag"), strings.Trim(tag, `"`), ""} {
		core.callIf(stale, "PATCH", path, root, `{"full_name":"two"}`).want(t, 412, "precondition-failed")
	}
	core.callIf("*", "PATCH", path, root, `{"full_name":"three"}`).want(t, 200, "")
	core.callIf(tag, "PUT", path+"/limits", root, `{"minute":1}`).want(t, 412, "precondition-failed")
	core.callIf(tag, "DELETE", path+"/limits", root, "").want(t, 412, "precondition-failed")
	core.callIf(tag, "PUT", path+"/access/hidden", root, `{}`).want(t, 412, "precondition-failed")
	if got := core.call("GET", path, root, ""); got.body["full_name"] != "three" {
		t.Errorf("%s", got.text)
	}
}

func TestAdminSetsPassword(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	path := "/users/" + core.userID("bob") + "/password"
	core.call("PUT", path, root, `{"password":"another long one"}`).want(t, 204, "")
	core.call("POST", "/auth/login", "", `{"username":"bob","password":"`+secret+`"}`).want(t, 401, "invalid-credentials")
	core.call("POST", "/auth/login", "", `{"username":"bob","password":"another long one"}`).want(t, 200, "")
	core.call("PUT", path, root, `{"password":"short"}`).want(t, 422, "invalid-password")
	core.call("PUT", path, core.token("alice"), `{"password":"another long one"}`).want(t, 403, "role-not-allowed")
	core.call("PUT", "/users/00000000-0000-7000-8000-000000000000/password", root, `{"password":"another long one"}`).want(t, 404, "not-found")
}

func TestLimitsOfAUser(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	path := "/users/" + core.userID("alice")
	got := core.call("PUT", path+"/limits", root, `{"minute":0,"day":7,"priority":3}`)
	got.want(t, 200, "")
	if fmt.Sprint(got.body["limits"]) != "map[day:7 hour:0 minute:0 month:0]" || got.body["priority"] != 3.0 || fmt.Sprint(got.body["limits_overridden"]) != "map[day:7 minute:0 priority:3]" {
		t.Errorf("%s", got.text)
	}
	for _, bad := range []string{`{}`, `{"minute":-1}`, `{"priority":0}`, `{"priority":11}`, `{"month":1000000001}`} {
		core.call("PUT", path+"/limits", root, bad).want(t, 422, "invalid-limits")
	}
	for range 2 {
		core.call("DELETE", path+"/limits", root, "").want(t, 204, "")
	}
	if got := core.call("GET", path, root, ""); got.body["priority"] != 8.0 || fmt.Sprint(got.body["limits_overridden"]) != "map[]" {
		t.Errorf("%s", got.text)
	}
}

// right finds what the rights of a user say of a request type.
func right(t *testing.T, rights reply, name string) map[string]any {
	t.Helper()
	for _, one := range rights.body["request_types"].([]any) {
		if m := one.(map[string]any); m["request_type"] == name {
			return m
		}
	}
	t.Fatalf("%s is not among %s", name, rights.text)
	return nil
}

// What an administrator says of single types holds on the request site too,
// for the list and for what is submitted.
func TestAccessActsOnBothSites(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	root := core.token("root")
	path := "/users/" + core.userID("bob")
	access := func(method, name, body string, status int) reply {
		t.Helper()
		got := core.call(method, path+"/access/"+name, root, body)
		got.want(t, status, "")
		return got
	}
	var crossed int64
	check := func(what, name string, allowed bool, rule domain.Rule) {
		t.Helper()
		from := core.seq()
		field.mirror(core, crossed)
		crossed = from
		rights := core.call("GET", path+"/rights", root, "")
		rights.want(t, 200, "")
		if got := right(t, rights, name); got["allowed"] != allowed || got["rule"] != string(rule) || got["why"] == "" {
			t.Errorf("%s: %v, want %v by %s", what, got, allowed, rule)
		}
		bob := field.token("bob")
		list := field.call("GET", "/request-types", bob, "")
		if listed := strings.Contains(list.text, `"name":"`+name+`"`); listed != allowed {
			t.Errorf("%s: listed is %v", what, listed)
		}
		status, code := 202, ""
		if !allowed {
			status, code = 403, "type-not-allowed"
		}
		field.call("POST", "/requests", bob, `{"type":"`+name+`","params":{"iata":"AMS"}}`).want(t, status, code)
	}
	crossed = core.seq()
	check("nothing said of hidden", "hidden", false, domain.RuleNotPublic)
	check("nothing said of airport", "airport", true, domain.RulePublic)
	got := access("PUT", "hidden", `{"access":"granted","max_results":7,"limits":{"day":5},"indices":["books-*"]}`, 200)
	if got.body["allowed"] != true || got.body["max_results"] != 7.0 || fmt.Sprint(got.body["limits"]) != "map[day:5 hour:0 minute:0 month:0]" || fmt.Sprint(got.body["indices"]) != "[books-*]" {
		t.Errorf("%s", got.text)
	}
	check("granted", "hidden", true, domain.RuleGrantedToUser)
	access("PUT", "airport", `{"access":"blocked"}`, 200)
	check("blocked", "airport", false, domain.RuleBlockedForUser)
	core.call("PUT", "/profiles/narrow", root, `{"blocked_request_types":["hidden"]}`).want(t, 200, "")
	check("blocked by the profile", "hidden", false, domain.RuleBlockedByProfile)
	access("DELETE", "airport", "", 204)
	access("DELETE", "airport", "", 204)
	check("cleared", "airport", true, domain.RulePublic)
	core.call("PUT", "/profiles/narrow", root, `{"allowed_request_types":["hidden"]}`).want(t, 200, "")
	check("granted and listed", "hidden", true, domain.RuleGrantedToUser)
	check("not listed", "airport", false, domain.RuleNotListed)
	access("DELETE", "hidden", "", 204)
	check("listed", "hidden", true, domain.RuleListedByProfile)
	access("PUT", "airport", "", 200) // no body: a grant
	check("granted, not listed", "airport", true, domain.RuleGrantedToUser)

	for body, code := range map[string]string{`{"access":"maybe"}`: "invalid-access", `{"access":"blocked","max_results":1}`: "invalid-access", `{"max_results":1001}`: "invalid-access", `{"indices":["_all"]}`: "invalid-access", `{"access":"blocked","indices":["books"]}`: "invalid-access",
		`{"limits":{"hour":-1}}`: "invalid-access", `{"type":"airport"}`: "invalid-body"} {
		core.call("PUT", path+"/access/airport", root, body).want(t, 422, code)
	}
	core.call("PUT", path+"/access/nothing", root, `{}`).want(t, 404, "unknown-request-type")
}

func TestRightsSayWhoSaidIt(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	path := "/users/" + core.userID("alice")
	core.call("PUT", path+"/limits", root, `{"hour":5}`).want(t, 200, "")
	got := core.call("GET", path+"/rights", root, "")
	got.want(t, 200, "")
	if fmt.Sprint(got.body["limits"]) != "map[day:map[from:profile value:0] hour:map[from:user value:5] minute:map[from:profile value:1e+06] month:map[from:profile value:0]]" ||
		fmt.Sprint(got.body["priority"]) != "map[from:profile value:8]" {
		t.Errorf("%s", got.text)
	}
	if calls := fmt.Sprint(got.body["calls"]); !strings.Contains(calls, "/requests ") || strings.Contains(calls, "/users") {
		t.Errorf("a user may call %s", calls)
	}
	core.call("PATCH", path, root, `{"active":false}`).want(t, 200, "")
	got = core.call("GET", path+"/rights", root, "")
	if right(t, got, "airport")["rule"] != string(domain.RuleInactive) || len(got.body["calls"].([]any)) != 0 {
		t.Errorf("of one who is not active: %s", got.text)
	}
}

func TestProfilesByPutAndDelete(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	put := func(name, body string) reply { t.Helper(); return core.call("PUT", "/profiles/"+name, root, body) }
	created := put("press", `{"name":"press","limits":{"minute":3}}`)
	created.want(t, 201, "")
	if created.Header.Get("Location") != "/profiles/press" || created.body["priority"] != 5.0 {
		t.Errorf("%v %s", created.Header, created.text)
	}
	put("press", `{"limits":{"minute":3}}`).want(t, 200, "")
	put("press", `{"limits":{"minute":4}}`).want(t, 200, "")
	if got := core.call("GET", "/profiles/press", root, ""); fmt.Sprint(got.body["limits"]) != "map[day:0 hour:0 minute:4 month:0]" {
		t.Errorf("%s", got.text)
	}
	put("press", `{"name":"other"}`).want(t, 422, "invalid-profile")
	put("press", `{"priority":11}`).want(t, 422, "invalid-profile")
	put("-", `{}`).want(t, 422, "invalid-profile")
	core.call("DELETE", "/profiles/narrow", root, "").want(t, 409, "profile-in-use")
	core.call("DELETE", "/profiles/press", root, "").want(t, 204, "")
	core.call("DELETE", "/profiles/press", root, "").want(t, 404, "unknown-profile")
	core.call("GET", "/profiles/press", root, "").want(t, 404, "not-found")
	core.call("POST", "/profiles", root, `{"name":"press"}`).want(t, 201, "")
	core.call("DELETE", "/profiles/press", core.token("alice"), "").want(t, 403, "role-not-allowed")
}
