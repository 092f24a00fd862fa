package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
)

// definitions makes core able to answer a new question, by commands alone.
func (c *crossing) definitions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return writeFile(t, dir, name, []byte(text)) }
	requestType := file("type.json", `{"name":"by-code","title":"By code","public":true,"max_results":3,
		"parameters":{"type":"object","properties":{"iata":{"type":"string","maxLength":3}},"required":["iata"],"additionalProperties":false,"examples":[{"iata":"AMS"}]}}`)
	responder := func(source, statement string) string {
		return file(source+".json", fmt.Sprintf(`{"kind":"sql","source":%q,"statement":%q}`, source, statement))
	}
	good := responder("airports", "select iata, name from airports where iata = @iata::text")
	password := file("password", "correct horse battery staple\n")
	const bcrypt = "$2b$12$abcdefghijklmnopqrstuuDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"
	old := file("users.csv", "id,username,email,hashed_password,role,is_active\n1,Carol,carol@example.org,"+bcrypt+",staff,t\n2,dan,dan@example.org,"+bcrypt+",,f\n")
	imported := []string{"user", "import", old, "--lower-case", "--role", "staff=analyst"}
	newUser := []string{"user", "create", "asker", "--email", "asker@example.org", "--password-file", password}

	for _, step := range []struct {
		at   site
		code int
		says string
		args []string
	}{
		{c.field, 16, "response site", []string{"requesttype", "create", requestType}},
		{c.field, 16, "response site", []string{"requesttype", "responder", "by-code", good}},
		{c.field, 16, "response site", newUser},
		{c.core, 2, "colour", []string{"requesttype", "create", file("odd.json", `{"name":"odd","colour":"red"}`)}},
		{c.core, 2, "no such file", []string{"requesttype", "create", dir + "/nothing.json"}},
		{c.core, 16, "by-code", []string{"requesttype", "responder", "by-code", good}}, // not defined yet
		{c.core, 0, "responder by-code", []string{"requesttype", "create", requestType}},
		{c.core, 16, "exists", []string{"requesttype", "create", requestType}},
		{c.core, 16, "responders.sources", []string{"requesttype", "responder", "by-code", responder("nowhere", "select 1")}},
		{c.core, 16, "nothing was stored", []string{"requesttype", "responder", "by-code", file("bad.json", `{"kind":"sql","source":"airports","statement":"select x from no_such_table"}`)}},
		{c.core, 16, "does not have", []string{"requesttype", "responder", "by-code", file("name.json", `{"kind":"sql","source":"airports","statement":"select @icao::text as c"}`)}},
		{c.core, 0, "airports", []string{"requesttype", "responder", "by-code", good}},
		{c.core, 16, "", []string{"user", "create", "weak", "--email", "weak@example.org", "--password-file", file("weak", "x\n")}},
		{c.core, 0, "", newUser},
		{c.core, 16, "taken", newUser},
		{c.field, 16, "response site", imported},
		{c.core, 2, "--format", []string{"user", "import", password}},
		{c.core, 16, "nothing was stored", []string{"user", "import", old}}, // no role staff, no username Carol
		{c.core, 0, "passed over", append(slices.Clone(imported), "--dry-run")},
		{c.core, 0, "", imported},
		{c.core, 0, "", imported},
	} {
		r := call(t, append([]string{"-C", step.at.config}, step.args...)...)
		if r.code != step.code || !strings.Contains(r.stderr, step.says) || strings.Contains(r.stdout+r.stderr, "horse") {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", step.args, r.code, step.code, step.says, r.stdout, r.stderr)
		}
	}
	types := must[[]domain.RequestTypeDefined](t, "-C", c.core.config, "requesttype", "list")
	if !slices.ContainsFunc(types, func(d domain.RequestTypeDefined) bool { return d.Name == "by-code" && d.MaxResults == 3 }) {
		t.Errorf("request types %+v", types)
	}
	users := must[[]listedUser](t, "-C", c.core.config, "user", "list")
	if !slices.ContainsFunc(users, func(u listedUser) bool { return u.Username == "asker" && u.Role == domain.RoleUser && u.Active }) {
		t.Errorf("users %+v", users)
	}
	if !slices.ContainsFunc(users, func(u listedUser) bool { return u.Username == "carol" && u.Role == domain.RoleAnalyst && u.Active }) ||
		!slices.ContainsFunc(users, func(u listedUser) bool { return u.Username == "dan" && !u.Active }) {
		t.Errorf("imported users %+v", users)
	}
	if all := must[[]domain.ProfileDefined](t, "-C", c.core.config, "profile", "list"); len(all) < 4 {
		t.Errorf("profiles %+v", all)
	}
}
