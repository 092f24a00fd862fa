package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/responders/responderstest"
	"sallyport/responders/sqlresponder"
)

const seaport = `{"name":"seaport","title":"A seaport","public":true,"max_results":10,"parameters":` + airportSchema + `}`

func TestARequestTypeFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root, bob := core.token("root"), core.token("bob")
	const path = "/request-types/seaport"
	made := core.call("POST", "/request-types", root, seaport)
	made.want(t, 201, "")
	if made.Header.Get("Location") != path || made.body["version"] != 1.0 || made.body["public"] != true {
		t.Errorf("made %v %s", made.Header, made.text)
	}
	core.call("POST", "/request-types", root, seaport).want(t, 409, "request-type-exists")
	core.call("GET", path, bob, "").want(t, 200, "")
	shown := core.call("GET", path, root, "")
	if shown.text != made.text || shown.Header.Get("ETag") != made.Header.Get("ETag") {
		t.Errorf("made %s %s, shown %s %s", made.Header.Get("ETag"), made.text, shown.Header.Get("ETag"), shown.text)
	}
	// What is shown can be changed and put back.
	changed := core.callIf(shown.Header.Get("ETag"), "PUT", path, root, strings.Replace(shown.text, "A seaport", "A harbour", 1))
	changed.want(t, 200, "")
	if changed.body["version"] != 2.0 || changed.body["title"] != "A harbour" {
		t.Errorf("changed %s", changed.text)
	}
	core.callIf(shown.Header.Get("ETag"), "PUT", path, root, seaport).want(t, 412, "precondition-failed")
	core.call("PUT", path, root, shown.text).want(t, 409, "changed-meanwhile") // it says version 1
	core.call("PUT", path, root, strings.Replace(seaport, `"seaport"`, `"other"`, 1)).want(t, 422, "invalid-request-type")
	core.call("PUT", path, root, `{"title":"x","parameters":{"type":"text"}}`).want(t, 422, "invalid-request-type")
	unshown := core.call("PUT", path, root, `{"title":"x","parameters":{"type":"object","examples":[]}}`)
	if unshown.want(t, 422, "invalid-request-type"); !slices.Equal(unshown.pointers(), []string{"/parameters/examples"}) {
		t.Errorf("without an example: %s", unshown.text)
	}
	seq := core.seq()
	if same := core.call("PUT", path, root, changed.text); same.StatusCode != 200 || same.Header.Get("ETag") != changed.Header.Get("ETag") || core.seq() != seq {
		t.Errorf("the same again: %d %v", same.StatusCode, same.Header)
	}

	core.call("DELETE", path, root, "").want(t, 204, "")
	core.call("DELETE", path, root, "").want(t, 404, "unknown-request-type")
	for _, token := range []string{root, bob} {
		core.call("GET", path, token, "").want(t, 404, "not-found")
	}
	if list := core.call("GET", "/request-types?retired=true", root, ""); !strings.Contains(list.text, `"retired":true`) || strings.Contains(list.text, "airport") {
		t.Errorf("retired are %s", list.text)
	}
	core.call("GET", "/request-types?retired=true", bob, "").want(t, 400, "invalid-query")
	back := core.call("POST", path+"/restore", root, "")
	back.want(t, 200, "")
	if back.body["version"] != 3.0 || back.body["title"] != "A harbour" {
		t.Errorf("brought back %s", back.text)
	}
	core.call("POST", path+"/restore", root, "").want(t, 200, "")
	core.call("POST", "/request-types/nothing/restore", root, "").want(t, 404, "unknown-request-type")
	versions := core.call("GET", path+"/versions?limit=2", root, "")
	versions.want(t, 200, "")
	if items := versions.body["items"].([]any); len(items) != 2 || items[0].(map[string]any)["version"] != 3.0 || versions.body["next_cursor"] == nil {
		t.Errorf("versions %s", versions.text)
	}
	core.call("GET", "/request-types/nothing/versions", root, "").want(t, 404, "not-found")
}

func TestAProfileIsBroughtBack(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	const path = "/profiles/press"
	made := core.call("POST", "/profiles", root, `{"name":"press","priority":3}`)
	made.want(t, 201, "")
	tag := made.Header.Get("ETag")
	if shown := core.call("GET", path, root, ""); shown.Header.Get("ETag") != tag {
		t.Errorf("made as %s, shown as %s", tag, shown.Header.Get("ETag"))
	}
	core.callIf(tag, "PUT", path, root, `{"priority":4}`).want(t, 200, "")
	core.callIf(tag, "PUT", path, root, `{"priority":5}`).want(t, 412, "precondition-failed")
	core.callIf(tag, "DELETE", path, root, "").want(t, 412, "precondition-failed")
	core.call("DELETE", path, root, "").want(t, 204, "")
	core.call("GET", path, root, "").want(t, 404, "not-found")
	if list := core.call("GET", "/profiles?retired=true", root, ""); !strings.Contains(list.text, `"retired":true`) || strings.Contains(list.text, "narrow") {
		t.Errorf("retired are %s", list.text)
	}
	back := core.call("POST", path+"/restore", root, "")
	back.want(t, 200, "")
	if back.body["priority"] != 4.0 {
		t.Errorf("brought back %s", back.text)
	}
}

func TestSettingsCrossIfTheyArePublic(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	notice := core.call("PUT", "/settings/portal.notice", root, `{"value":{"text":"closed on Sunday"},"public":true}`)
	notice.want(t, 201, "")
	core.call("PUT", "/settings/contact", root, `{"value":"nobody","description":"whom to ask"}`).want(t, 201, "")
	field := newField(t, core)
	there := field.token("root")
	if list := field.call("GET", "/settings", there, ""); !strings.Contains(list.text, "closed on Sunday") || strings.Contains(list.text, "contact") {
		t.Errorf("field has %s", list.text)
	}
	field.call("GET", "/settings/portal.notice", there, "").want(t, 200, "")
	field.call("GET", "/settings/contact", there, "").want(t, 404, "not-found")
	for method, path := range map[string]string{"PUT": "/settings/contact", "DELETE": "/settings/portal.notice", "POST": "/request-types"} {
		got := field.call(method, path, there, `{}`)
		if got.want(t, 405, "wrong-site"); !strings.Contains(got.body["detail"].(string), "the response site") || got.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: %v %s", method, path, got.Header, got.text)
		}
	}

	before := core.seq()
	core.callIf(notice.Header.Get("ETag"), "PUT", "/settings/portal.notice", root, `{"value":1}`).want(t, 200, "") // public no more
	core.callIf(notice.Header.Get("ETag"), "DELETE", "/settings/portal.notice", root, "").want(t, 412, "precondition-failed")
	field.mirror(core, before)
	field.call("GET", "/settings/portal.notice", there, "").want(t, 404, "not-found")
	if list := core.call("GET", "/settings?limit=1", root, ""); list.body["next_cursor"] == nil ||
		!strings.Contains(core.call("GET", "/settings?limit=1&cursor="+list.body["next_cursor"].(string), root, "").text, "portal.notice") {
		t.Errorf("a page of settings: %s", list.text)
	}
	core.call("DELETE", "/settings/contact", root, "").want(t, 204, "")
	core.call("DELETE", "/settings/contact", root, "").want(t, 404, "unknown-setting")
	core.call("PUT", "/settings/contact", root, `{"key":"other","value":1}`).want(t, 422, "invalid-setting")
	core.call("PUT", "/settings/No%20Key", root, `{"value":1}`).want(t, 422, "invalid-setting")
	core.call("PUT", "/settings/contact", root, `{"value":"`+strings.Repeat("x", 17<<10)+`"}`).want(t, 422, "invalid-setting")
}

func TestWhoMayUseAType(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	names := func(path string) string {
		r := core.call("GET", path, root, "")
		r.want(t, 200, "")
		var out []string
		for _, item := range r.body["items"].([]any) {
			u := item.(map[string]any)
			out = append(out, fmt.Sprint(u["username"], " ", u["rule"]))
		}
		return strings.Join(out, ", ")
	}
	if got := names("/request-types/hidden/users"); got != "alice listed-by-profile, root listed-by-profile" {
		t.Errorf("before: %s", got)
	}
	grant := fmt.Sprintf(`{"users":["%s","%s"],"max_results":5}`, strings.ToUpper(core.userID("bob")), core.userID("root"))
	done := core.call("POST", "/request-types/hidden/access", root, grant)
	done.want(t, 200, "")
	if b := done.body; b["changed"] != 2.0 || b["to_position"].(float64)-b["from_position"].(float64) != 1 || done.Header.Get("X-Log-Position") != fmt.Sprint(b["to_position"]) {
		t.Errorf("granted: %s", done.text)
	}
	if got := names("/request-types/hidden/users"); got != "alice listed-by-profile, bob granted-to-user, root granted-to-user" {
		t.Errorf("granted: %s", got)
	}
	core.call("POST", "/request-types/hidden/access", root, strings.Replace(grant, `"max_results":5`, `"access":"cleared"`, 1)).want(t, 200, "")
	core.call("POST", "/request-types/hidden/access", root, strings.Replace(grant, `"max_results":5`, `"access":"blocked"`, 1)).want(t, 200, "")
	if got := names("/request-types/hidden/users?limit=1"); got != "alice listed-by-profile" {
		t.Errorf("blocked: %s", got)
	}
	for body, pointers := range map[string]string{`{"users":[]}`: "/users", `{"users":["x"]}`: "/users/0", `{"users":["x"],"access":"given"}`: "/access",
		`{"users":["x"],"access":"cleared","max_results":1}`: "", `{"users":["x"],"access":"blocked","limits":{"day":1}}`: ""} {
		got := core.call("POST", "/request-types/hidden/access", root, body)
		if got.want(t, 422, "invalid-access"); strings.Join(got.pointers(), " ") != pointers {
			t.Errorf("%s: %v", body, got.pointers())
		}
	}
	core.call("POST", "/request-types/nothing/access", root, grant).want(t, 404, "not-found")
	core.call("GET", "/request-types/nothing/users", root, "").want(t, 404, "not-found")
}

func TestUsersAreSearched(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	for query, want := range map[string]int{"?q=AL": 1, "?q=example.org": 3, "?role=admin": 1, "?profile=wide&role=user": 1, "?active=false": 0, "?active=true": 3, "?q=%25": 0, "?q=": 3} {
		got := core.call("GET", "/users"+query, root, "")
		if got.want(t, 200, ""); len(got.body["items"].([]any)) != want {
			t.Errorf("%s: %s", query, got.text)
		}
	}
	for _, query := range []string{"?role=king", "?active=1", "?q=" + strings.Repeat("x", 101), "?search=x"} {
		core.call("GET", "/users"+query, root, "").want(t, 400, "invalid-query")
	}
}

// withSource gives core a database of airports to answer from.
func (s *site) withSource(t *testing.T) (owner string) {
	t.Helper()
	reader, owner := responderstest.Source(t, `CREATE TABLE airports (iata text, name text);
		INSERT INTO airports VALUES ('AMS', 'Schiphol'), ('AMS', 'Schiphol, too'), ('FRA', 'Frankfurt');
		GRANT SELECT ON airports TO `+responderstest.Reader)
	var err error
	s.sources, err = sqlresponder.Open(t.Context(), sqlresponder.Config{URLs: map[string]string{"airports": reader}, MaxConns: 2, Logger: s.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sources.Close)
	return owner
}

const byCode = `{"kind":"sql","source":"airports","statement":"select iata, name from airports where iata = @iata::text order by name"}`

func TestResponders(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.withSource(t)
	root := core.token("root")
	const path = "/request-types/airport/responder"
	core.call("GET", path, root, "").want(t, 404, "not-found")
	core.call("DELETE", path, root, "").want(t, 404, "no-responder")
	if got := core.call("GET", "/admin/sources", root, ""); got.StatusCode != 200 || !strings.Contains(got.text, `[{"kind":"sql","name":"airports"}]`) {
		t.Errorf("the sources: %d %s", got.StatusCode, got.text)
	}
	seq := core.seq()
	for body, code := range map[string]string{
		`{}`:                                 "invalid-responder",
		`{"kind":"ftp"}`:                     "invalid-responder",
		`{"kind":"sql","source":"airports"}`: "invalid-responder",
		strings.Replace(byCode, "airports", "nowhere", 1):                                                      "unknown-source",
		strings.Replace(byCode, "from airports", "from nothing", 1):                                            "invalid-responder",
		strings.Replace(byCode, "@iata", "@icao", 1):                                                           "invalid-responder",
		strings.Replace(byCode, "select iata, name from airports where iata = @iata::text", "drop table x", 1): "invalid-responder",
		`{"kind":"sql","source":"airports","statement":"select '\u0000'"}`:                                     "invalid-responder",
		`{"kind":"sql","source":"airports","statement":"select 1","url":"postgres://x"}`:                       "invalid-body",
		`{"kind":"http","source":"airports","call":{"path":"/","headers":{"Authorization":"x"}}}`:              "invalid-responder",
	} {
		core.call("PUT", path, root, body).want(t, 422, code)
	}
	core.call("PUT", "/request-types/nothing/responder", root, byCode).want(t, 404, "not-found")
	if got := core.call("GET", "/request-types/nothing/responder", root, ""); got.StatusCode != 404 || !strings.Contains(got.text, "says how one is answered") {
		t.Errorf("nothing answers it: %s", got.text)
	}
	if now := core.seq(); now != seq {
		t.Errorf("what was refused was stored: seq %d after %d", now, seq)
	}
	put := core.call("PUT", path, root, byCode)
	put.want(t, 200, "")
	shown := core.call("GET", path, root, "")
	if put.body["timeout_ms"] != 10000.0 || shown.text != put.text || shown.Header.Get("ETag") != put.Header.Get("ETag") {
		t.Errorf("put %s, shown %s", put.text, shown.text)
	}
	core.callIf(put.Header.Get("ETag"), "PUT", path, root, strings.Replace(byCode, "order by name", "", 1)).want(t, 200, "")
	core.callIf(put.Header.Get("ETag"), "PUT", path, root, byCode).want(t, 412, "precondition-failed")
	core.callIf(put.Header.Get("ETag"), "DELETE", path, root, "").want(t, 412, "precondition-failed")
	core.call("DELETE", path, root, "").want(t, 204, "")
	core.call("GET", path, root, "").want(t, 404, "not-found")
	field := newField(t, core)
	field.call("GET", path, field.token("root"), "").want(t, 405, "wrong-site")
	if records, err := field.store.ReadStream(t.Context(), "responderconfig-airport"); err != nil || len(records) != 0 {
		t.Errorf("how it is answered has crossed: %v, %v", records, err)
	}
	core.sources.Close()
	core.call("PUT", path, root, byCode).want(t, 503, "source-unavailable")
}

// What is tried out is answered as a request would be, and leaves nothing but
// the record that it was tried.
func TestTryOut(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.withSource(t)
	root := core.token("root")
	const path = "/request-types/airport/try"
	try := func(body string) (status, told string) {
		t.Helper()
		got := core.call("POST", path, root, body)
		got.want(t, 200, "")
		if failed, _ := got.body["error"].(map[string]any); failed != nil {
			return "failed", fmt.Sprint(failed["code"], " ", failed["cause"])
		}
		return fmt.Sprint(got.body["status"]), fmt.Sprint(got.body["result_count"], " of ", got.body["max_results"], " ", got.body["truncated"])
	}
	if status, told := try(""); status != "failed" || !strings.HasPrefix(told, "no_responder") {
		t.Errorf("nothing answers yet: %s %s", status, told)
	}
	core.call("PUT", "/request-types/airport/responder", root, byCode).want(t, 200, "")
	bob := core.userID("bob")
	core.call("PUT", "/users/"+bob+"/access/airport", root, `{"max_results":1}`).want(t, 200, "")
	core.call("PUT", "/users/"+core.userID("alice")+"/access/airport", root, `{"access":"blocked"}`).want(t, 200, "")
	seq := core.seq()
	for _, c := range []struct{ body, status, told string }{
		{``, "answered", "2 of 1000 false"}, // the schema's example
		{`{"params":{"iata":"FRA"}}`, "answered", "1 of 1000 false"},
		{`{"user_id":"` + bob + `"}`, "answered", "1 of 1 true"},
		{`{"user_id":"` + core.userID("alice") + `"}`, "failed", "not_allowed "},
		{`{"params":{"iata":"frankfurt"}}`, "failed", "invalid_params "},
		{`{"responder":{"kind":"sql","source":"airports","statement":"select * from airports"}}`, "answered", "3 of 1000 false"},
		{`{"responder":{"kind":"manual","task":{}}}`, "failed", "manual "},
		{`{"responder":{"kind":"sql","source":"airports","statement":"select repeat('9', 200)::numeric as n from airports"}}`, "failed",
			"bad_answer not a JSON number, or too long, or its exponent is too large, near byte 541"},
		{`{"responder":{"kind":"manual","task":{}},"params":{"iata":"frankfurt"}}`, "failed", "invalid_params "},
		{`{"definition":{"title":"x","max_results":2,"parameters":{"type":"object","examples":[{}]}},"params":{},
			"responder":{"kind":"sql","source":"airports","statement":"select 1 as n from airports"}}`, "answered", "2 of 2 true"},
	} {
		if status, told := try(c.body); status != c.status || told != c.told {
			t.Errorf("%s: %s %s, want %s %s", c.body, status, told, c.status, c.told)
		}
	}
	if status, told := try(`{"responder":{"kind":"sql","source":"airports","statement":"select no_such_column from airports"}}`); status != "failed" ||
		!strings.Contains(told, "no_such_column") {
		t.Errorf("an administrator is not told why: %s %s", status, told)
	}
	if now := core.seq(); now != seq+11 {
		t.Errorf("seq %d after %d: each try is one record", now, seq)
	}
	for body, want := range map[string]string{
		`{"user_id":"00000000-0000-7000-8000-000000000000"}`:                 "invalid-question /user_id",
		`{"definition":{"title":"x","parameters":{}}}`:                       "invalid-request-type /definition/parameters",
		`{"definition":{"name":"y","title":"x"}}`:                            "invalid-request-type /definition/name",
		`{"responder":{"kind":"ftp"}}`:                                       "invalid-responder /responder/kind",
		`{"responder":{"kind":"sql","source":"x-y","statement":"select 1"}}`: "unknown-source /responder/source",
		`{"definition":{"title":"x","parameters":{"type":"object"}}}`:        "invalid-request-type /definition/parameters/examples",
	} {
		got := core.call("POST", path, root, body)
		if told := got.code() + " " + strings.Join(got.pointers(), " "); got.StatusCode != 422 || told != want {
			t.Errorf("%s: %d %s, want %s", body, got.StatusCode, told, want)
		}
	}
	core.call("POST", "/request-types/nothing/try", root, `{}`).want(t, 404, "not-found")
	core.call("POST", "/request-types/soon/try", root, `{"params":{},"definition":{"title":"Soon","parameters":{"type":"object","examples":[{}]}},
		"responder":{"kind":"sql","source":"airports","statement":"select 1 as n"}}`).want(t, 200, "")
	if _, err := core.config.Reader.RequestType(t.Context(), "soon"); err == nil {
		t.Error("a draft was stored")
	}
}
