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
		{c.core, 2, "held no password", []string{"user", "create", "none", "--email", "none@example.org", "--password-file", file("none", "")}},
		{c.core, 0, "", newUser},
		{c.core, 16, "taken", newUser},
		{c.core, 2, "--tokens", []string{"keys", "rotate", "--stolen"}},
		{c.core, 2, "nothing to finish", []string{"keys", "rotate", "--tokens", "--finish"}},
		{c.core, 0, "", []string{"keys", "rotate", "--tokens"}}, // and everybody stays logged in
		{c.field, 16, "response site", imported},
		{c.core, 2, "--format", []string{"user", "import", password}},
		{c.core, 16, "nothing was stored", []string{"user", "import", old}}, // no role staff, no username Carol
		{c.core, 0, "passed over", append(slices.Clone(imported), "--dry-run")},
		{c.core, 0, "", imported},
		{c.core, 0, "", imported},
		{c.field, 16, "response site", []string{"user", "change", "wide", "--role", "auditor"}},
		{c.core, 2, "email", []string{"user", "change", "asker"}},
		{c.core, 16, "no user", []string{"user", "change", "nobody", "--full-name", "x"}},
		{c.core, 0, "", []string{"user", "change", "asker", "--full-name", "Asker A.", "--profile", "basic"}},
		{c.core, 16, "profile", []string{"user", "change", "asker", "--profile", "none"}},
		{c.core, 2, "grant", []string{"user", "access", "asker", "by-code", "--block", "--day", "3"}},
		{c.core, 0, "", []string{"user", "access", "asker", "by-code", "--grant", "--max-results", "2", "--day", "9", "--indices", "books-*,authors"}},
		{c.core, 16, "no request type", []string{"user", "access", "asker", "nothing", "--block"}},
		{c.core, 2, "clear", []string{"user", "limits", "asker", "--clear", "--minute", "3"}},
		{c.core, 16, "must be", []string{"user", "limits", "asker", "--priority", "11"}},
		{c.core, 0, "", []string{"user", "limits", "asker", "--hour", "77", "--priority", "2"}},
		{c.core, 16, "8 to 128", []string{"user", "password", "asker", "--password-file", file("weak", "x\n")}},
		{c.core, 0, "", []string{"user", "password", "asker", "--password-file", file("other", "another horse battery\n")}},
		{c.core, 16, "active already", []string{"user", "activate", "asker"}},
		{c.core, 0, "", []string{"user", "deactivate", "asker", "--reason", "left"}},
		{c.core, 16, "not active already", []string{"user", "deactivate", "asker"}},
		{c.core, 0, "", []string{"user", "activate", "asker"}},
		{c.core, 0, "is made", []string{"profile", "create", file("press.json", `{"name":"press","limits":{"day":5}}`)}},
		{c.core, 16, "exists", []string{"profile", "create", dir + "/press.json"}},
		{c.core, 0, "so already", []string{"profile", "change", dir + "/press.json"}},
		{c.core, 0, "is changed", []string{"profile", "change", file("press2.json", `{"name":"press","limits":{"day":6}}`)}},
		{c.core, 16, "users have", []string{"profile", "retire", "basic"}},
		{c.core, 0, "is retired", []string{"profile", "retire", "press"}},
		{c.core, 16, "no profile", []string{"profile", "show", "press"}},
		{c.field, 16, "response site", []string{"profile", "retire", "basic"}},
	} {
		r := call(t, append([]string{"-C", step.at.config}, step.args...)...)
		if r.code != step.code || !strings.Contains(r.stderr, step.says) || strings.Contains(r.stdout+r.stderr, "horse") {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", step.args, r.code, step.code, step.says, r.stdout, r.stderr)
		}
	}
	asker := must[shownUser](t, "-C", c.core.config, "user", "show", "asker")
	right := func(r shownRight) bool {
		return r.RequestType == "by-code" && r.Allowed && r.Rule == domain.RuleGrantedToUser && r.MaxResults == 2 && r.Limits.Day == 9 && slices.Equal(r.Indices, []string{"books-*", "authors"})
	}
	if asker.FullName != "Asker A." || asker.Profile != "basic" || asker.Limits.Hour != 77 || asker.Limits.Minute != 30 || asker.Priority != 2 || !asker.Active || !slices.ContainsFunc(asker.RequestTypes, right) {
		t.Errorf("shown as %+v", asker)
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
