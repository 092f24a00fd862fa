package api_test

import (
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

type bad struct {
	name     string
	path     string
	body     string
	media    string // empty: application/json
	status   int
	code     string
	pointers []string
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

var badRequests = []bad{
	{name: "unknown field", body: `{"type":"airport","params":{"iata":"AMS"},"urgent":true}`, status: 422, code: "invalid-body", pointers: []string{"/urgent"}},
	{name: "another case", body: `{"Type":"airport","params":{"iata":"AMS"}}`, status: 422, code: "invalid-body", pointers: []string{"/Type"}},
	{name: "mass assignment", body: `{"type":"airport","params":{"iata":"AMS"},"user":"root"}`, status: 422, code: "invalid-body", pointers: []string{"/user"}},
	{name: "wrong type of a field", body: `{"type":7,"params":{"iata":"AMS"}}`, status: 422, code: "invalid-body", pointers: []string{"/type"}},
	{name: "priority is text", body: `{"type":"airport","params":{"iata":"AMS"},"priority":"9"}`, status: 422, code: "invalid-body", pointers: []string{"/priority"}},
	{name: "priority is broken", body: `{"type":"airport","params":{"iata":"AMS"},"priority":1.5}`, status: 422, code: "invalid-body", pointers: []string{"/priority"}},
	{name: "a list", body: `[]`, status: 422, code: "invalid-body", pointers: []string{""}},
	{name: "null", body: `null`, status: 422, code: "unknown-type", pointers: []string{"/type"}},
	{name: "nothing in it", body: `{}`, status: 422, code: "unknown-type", pointers: []string{"/type"}},
	{name: "unknown type", body: `{"type":"submarine","params":{}}`, status: 422, code: "unknown-type", pointers: []string{"/type"}},
	{name: "type is a path", body: `{"type":"../../etc","params":{}}`, status: 422, code: "unknown-type", pointers: []string{"/type"}},
	{name: "missing parameter", body: `{"type":"airport"}`, status: 422, code: "invalid-request", pointers: []string{"/params/iata"}},
	{name: "bad parameter", body: `{"type":"airport","params":{"iata":"amsterdam"}}`, status: 422, code: "invalid-request", pointers: []string{"/params/iata"}},
	{name: "parameter of another type", body: `{"type":"airport","params":{"iata":7}}`, status: 422, code: "invalid-request", pointers: []string{"/params/iata"}},
	{name: "unknown parameter", body: `{"type":"airport","params":{"iata":"AMS","icao":"EHAM"}}`, status: 422, code: "invalid-request", pointers: []string{"/params/icao"}},
	{name: "params is a list", body: `{"type":"airport","params":[]}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "params is null", body: `{"type":"airport","params":null}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "U+0000", body: `{"type":"airport","params":{"iata":"AMS","note":"a\u0000b"}}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "a huge number", body: `{"type":"airport","params":{"iata":"AMS","note":1e999999999}}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "nested deeply", body: `{"type":"airport","params":{"iata":"AMS","note":` + nested(100) + `}}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "large params", body: `{"type":"airport","params":{"iata":"AMS","note":"` + strings.Repeat("x", 65<<10) + `"}}`, status: 422, code: "invalid-request", pointers: []string{"/params"}},
	{name: "priority raised", body: `{"type":"airport","params":{"iata":"AMS"},"priority":9}`, status: 422, code: "invalid-request", pointers: []string{"/priority"}},
	{name: "priority of nothing", body: `{"type":"airport","params":{"iata":"AMS"},"priority":0}`, status: 422, code: "invalid-request", pointers: []string{"/priority"}},
	{name: "priority below", body: `{"type":"airport","params":{"iata":"AMS"},"priority":-1}`, status: 422, code: "invalid-request", pointers: []string{"/priority"}},
	{name: "long name", body: `{"type":"airport","params":{"iata":"AMS"},"name":"` + strings.Repeat("x", 201) + `"}`, status: 422, code: "invalid-request", pointers: []string{"/name"}},
	{name: "name with a line feed", body: `{"type":"airport","params":{"iata":"AMS"},"name":"a\nb"}`, status: 422, code: "invalid-request", pointers: []string{"/name"}},
	{name: "several at once", body: `{"type":"airport","params":{"iata":"x"},"priority":99}`, status: 422, code: "invalid-request", pointers: []string{"/params/iata", "/priority"}},
	{name: "name twice", body: `{"type":"airport","type":"hidden","params":{"iata":"AMS"}}`, status: 400, code: "malformed-json", pointers: []string{"/type"}},
	{name: "name twice in params", body: `{"type":"airport","params":{"iata":"AMS","iata":"LHR"}}`, status: 400, code: "malformed-json", pointers: []string{"/params/iata"}},
	{name: "not JSON", body: `type=airport`, status: 400, code: "malformed-json", pointers: []string{""}},
	{name: "cut off", body: `{"type":"airport","params":{"iata":"AM`, status: 400, code: "malformed-json", pointers: []string{"/params/iata"}},
	{name: "two values", body: `{"type":"airport","params":{"iata":"AMS"}}{}`, status: 400, code: "malformed-json", pointers: []string{""}},
	{name: "trailing text", body: `{"type":"airport","params":{"iata":"AMS"}} x`, status: 400, code: "malformed-json", pointers: []string{""}},
	{name: "not UTF-8", body: "{\"type\":\"airport\",\"params\":{\"iata\":\"\xff\"}}", status: 400, code: "malformed-json", pointers: []string{"/params/iata"}},
	{name: "lone surrogate", body: `{"type":"airport","params":{"iata":"\ud800"}}`, status: 400, code: "malformed-json", pointers: []string{"/params/iata"}},
	{name: "too large", body: `{"type":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, code: "body-too-large"},
	{name: "no body", media: "application/json", status: 400, code: "malformed-json", pointers: []string{""}},
	{name: "a form", body: `type=airport`, media: "application/x-www-form-urlencoded", status: 415, code: "media-type"},
	{name: "no media type", body: `{}`, media: "none", status: 415, code: "media-type"},
	{name: "another charset", body: `{}`, media: "application/json; charset=utf-16", status: 415, code: "media-type"},
}

var badOnCore = []bad{
	{name: "user without anything", path: "/users", body: `{}`, status: 422, code: "invalid-user", pointers: []string{"/username", "/email", "/profile", "/password"}},
	{name: "user of bad fields", path: "/users", body: `{"username":"No Name","email":"x","full_name":"a\u0007","role":"king","profile":"nobody","password":"short"}`,
		status: 422, code: "invalid-user", pointers: []string{"/username", "/email", "/full_name", "/role", "/profile", "/password"}},
	{name: "user with a credential", path: "/users", body: `{"username":"eve","credential":{"algorithm":"bcrypt","hash":"x"}}`,
		status: 422, code: "invalid-body", pointers: []string{"/credential"}},
	{name: "username taken", path: "/users", body: `{"username":"alice","email":"a2@example.org","profile":"wide","password":"long enough"}`, status: 409, code: "username-taken"},
	{name: "profile without a name", path: "/profiles", body: `{}`, status: 422, code: "invalid-profile", pointers: []string{"/name"}},
	{name: "profile of bad fields", path: "/profiles", body: `{"name":"p1","priority":11,"max_results":5000,"limits":{"minute":-1}}`,
		status: 422, code: "invalid-profile", pointers: []string{"/priority", "/max_results", "/limits"}},
	{name: "unknown limit", path: "/profiles", body: `{"name":"p1","limits":{"second":1}}`, status: 422, code: "invalid-body", pointers: []string{"/limits/second"}},
	{name: "profile exists", path: "/profiles", body: `{"name":"wide"}`, status: 409, code: "profile-exists"},
}

// Whatever is refused has written nothing.
func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	field.refuses(t, field.token("alice"), badRequests)
	core.refuses(t, core.token("root"), badOnCore)
}

func (s *site) refuses(t *testing.T, token string, cases []bad) {
	t.Helper()
	for _, b := range cases {
		t.Run(b.name, func(t *testing.T) {
			before := s.seq()
			path := b.path
			if path == "" {
				path = "/requests"
			}
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(b.body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			switch b.media {
			case "":
			case "none":
				r.Header.Del("Content-Type")
			default:
				r.Header.Set("Content-Type", b.media)
			}
			got := s.do(r)
			got.want(t, b.status, b.code)
			if !slices.Equal(got.pointers(), b.pointers) {
				t.Errorf("pointers %q, want %q: %s", got.pointers(), b.pointers, got.text)
			}
			if after := s.seq(); after != before {
				t.Errorf("the log went from %d to %d", before, after)
			}
		})
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/requests", strings.NewReader(`{}`))
	r.Header.Set("Authorization", "Bearer "+field.token("alice"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	field.do(r).want(t, 415, "media-type")
}

func TestWhatIsElsewhereOrNowhere(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	for _, c := range []struct {
		site         *site
		method, path string
		status       int
		code, says   string
	}{
		{field, "POST", "/users", 405, "wrong-site", "response site"},
		{field, "GET", "/users/x", 405, "wrong-site", "response site"},
		{field, "GET", "/profiles", 405, "wrong-site", "response site"},
		{core, "POST", "/requests", 405, "wrong-site", "request site"},
		{core, "GET", "/requests/x/response", 405, "wrong-site", "request site"},
		{field, "DELETE", "/requests", 405, "wrong-method", "GET, HEAD, POST"},
		{field, "PUT", "/auth/login", 405, "wrong-method", "POST"},
		{field, "GET", "/", 404, "no-such-path", ""},
		{field, "GET", "/requests/", 404, "no-such-path", ""},
		{field, "GET", "//requests", 404, "no-such-path", ""},
		{field, "GET", "/requests/../users", 404, "no-such-path", ""},
		{field, "GET", "/requests/not-an-id", 404, "not-found", ""},
	} {
		got := c.site.call(c.method, c.path, alice, "")
		got.want(t, c.status, c.code)
		if !strings.Contains(got.body["detail"].(string), c.says) {
			t.Errorf("%s %s says %q", c.method, c.path, got.body["detail"])
		}
		if _, ok := got.Header["Allow"]; ok != (c.status == 405) {
			t.Errorf("%s %s: Allow %v", c.method, c.path, got.Header["Allow"])
		}
	}
}

// Words are said as they are meant.
func TestProblemsSayWhatIsMeant(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	field := newField(t, core)
	alice := field.token("alice")
	for _, c := range []struct{ method, path, body, says string }{
		{"GET", "/requests?a=%zz", "", "the query cannot be read"},
		{"POST", "/requests", `{`, "Malformed JSON"},
		{"POST", "/requests", `{}`, "/type is required"},
		{"POST", "/requests", `{"type":"airport","params":{"iata":"AMS"},"name":"a\nb"}`, "control character"},
		{"POST", "/requests", `{"kind":"airport"}`, "/kind is not a known field; known are type, params, name, priority"},
		{"POST", "/requests?x=1", `{}`, "parameter x is not a known parameter"},
		{"POST", "/users", `{}`, "nothing was stored"},
		{"POST", "/requests", `{"type":"submarine"}`, "/type names no request type; nothing was stored"},
		{"POST", "/requests", `{"type":"airport","params":` + nested(20_000) + `}`, "the body is nested too deep"},
		{"POST", "/api-keys", `{"name":"a","scopes":["requests:read"],"expires_at":"tomorrow"}`, "/expires_at must be a time such as 2026"},
		{"PUT", "/auth/password", `{}`, "PUT /auth/password is served by the response site"},
		{"DELETE", "/profiles/free", "", "DELETE /profiles/{name} is served by the response site"},
		{"GET", "/work/x/claim", "", "/work/{id}/claim is served by the response site"},
	} {
		if got := field.call(c.method, c.path, alice, c.body); !strings.Contains(got.text, c.says) || got.StatusCode < 400 || len(got.text) > 4<<10 {
			t.Errorf("%s %s: %s, want %q", c.method, c.path, got.text, c.says)
		}
	}
	if got := core.call("GET", "/users", core.token("alice"), ""); !strings.Contains(got.text, `"this takes the role admin, and yours is user: ask somebody who has it"`) {
		t.Errorf("another role's: %s", got.text)
	}
	if got := core.call("POST", "/users", core.token("alice"), "{}"); !strings.Contains(got.text, "yours is user: ask somebody who has it; nothing was stored") {
		t.Errorf("another role's: %s", got.text)
	}
	if got := field.call("GET", "/users", alice, ""); strings.Contains(got.text, "stored") {
		t.Errorf("a read speaks of storing: %s", got.text)
	}
}

// announced is a body that never comes.
type announced struct{ asked int }

func (a *announced) Read(p []byte) (int, error) {
	a.asked = max(a.asked, len(p))
	return 0, io.EOF
}

func TestMemoryComesWithTheBody(t *testing.T) {
	t.Parallel()
	field := newField(t, newCore(t))
	body := &announced{}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/auth/login", body)
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = 1 << 20
	field.do(r).want(t, 400, "incomplete-body")
	if body.asked > 64<<10 {
		t.Errorf("%d bytes were set aside for a body of none", body.asked)
	}
}
