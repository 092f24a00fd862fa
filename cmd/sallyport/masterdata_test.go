package main

import (
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
)

// masterData changes, retires and tries out what definitions made, and sees
// what of it arrives on the other site.
func (c *crossing) masterData(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return writeFile(t, dir, name, []byte(text)) }
	const schema = `{"type":"object","properties":{"iata":{"type":"string","maxLength":3},"why":{"type":"string"}},"required":["iata","why"],
		"additionalProperties":false,"examples":[{"iata":"FRA","why":"to see"}]}`
	changed := file("changed.json", `{"name":"by-code","title":"By its code","public":true,"version":1,"max_results":3,"parameters":`+schema+`}`)
	named := file("named.json", `{"kind":"sql","source":"airports","statement":"select name from airports where iata = @iata::text"}`)
	wrong := file("wrong.json", `{"kind":"sql","source":"airports","statement":"select nothing from airports"}`)
	draft := file("draft.json", `{"title":"Soon","parameters":`+schema+`}`)
	onField := func(version int) bool {
		types := must[[]domain.RequestTypeDefined](t, "-C", c.field.config, "requesttype", "list")
		return slices.ContainsFunc(types, func(d domain.RequestTypeDefined) bool { return d.Name == "by-code" && d.Version == version })
	}
	c.aged = append(c.aged, keep(t, c.keptIn(), c.carry(t, c.core, c.field))...)
	eventually(t, "the first version on field", func() bool { return onField(1) })
	asked := c.wide.submit(t, "by-code", `{"iata":"FRA"}`)
	asked.want(t, 202) // and is under way while the type changes
	for _, step := range []struct {
		at   site
		code int
		says string
		args []string
	}{
		{c.core, 0, "version is 2", []string{"requesttype", "change", changed}},
		{c.core, 16, "has version 2 by now", []string{"requesttype", "change", changed}},
		{c.core, 0, "By its code", []string{"requesttype", "show", "by-code"}},
		{c.core, 0, "By its code", []string{"requesttype", "versions", "by-code"}},
		{c.core, 16, "no request-type", []string{"requesttype", "versions", "nothing"}},
		{c.core, 0, "Frankfurt", []string{"requesttype", "try", "by-code"}},
		{c.core, 0, "0 results", []string{"requesttype", "try", "by-code", "--params", `{"iata":"---","why":"x"}`, "--as", "asker", "--responder", named}},
		{c.core, 1, `column "nothing" does not exist`, []string{"requesttype", "try", "by-code", "--responder", wrong}},
		{c.core, 1, "not_allowed", []string{"requesttype", "try", "by-code", "--as", "narrow"}},
		{c.core, 0, "Frankfurt", []string{"requesttype", "try", "soon", "--definition", draft, "--responder", named}},
		{c.core, 16, "no request type", []string{"requesttype", "try", "soon"}},
		{c.core, 0, "select iata", []string{"requesttype", "responder", "show", "by-code"}},
		{c.core, 0, "from the source airports", []string{"requesttype", "responder", "by-code", named}},
		{c.core, 0, "so already", []string{"requesttype", "responder", "by-code", named}},
		{c.core, 0, "granted to this user", []string{"requesttype", "users", "by-code"}},
		{c.core, 16, "no user", []string{"requesttype", "access", "by-code", "--grant", "narrow", "nobody"}},
		{c.core, 2, "grant", []string{"requesttype", "access", "by-code", "narrow"}},
		{c.core, 0, "changed", []string{"requesttype", "access", "by-code", "--grant", "--max-results", "1", "narrow", "wide"}},
		{c.core, 0, "is made", []string{"setting", "set", "contact", `"the night shift"`, "--description", "whom to ask"}},
		{c.core, 0, "so already", []string{"setting", "change", "contact", `"the night shift"`, "--description", "whom to ask"}},
		{c.core, 16, "JSON", []string{"setting", "set", "contact", `the night shift`}},
		{c.core, 16, "no setting", []string{"setting", "show", "nothing"}},
		{c.core, 0, "night shift", []string{"setting", "show", "contact"}},
		{c.core, 0, "is made", []string{"setting", "set", "spare", "1"}},
		{c.core, 0, "is removed", []string{"setting", "remove", "spare"}},
		{c.core, 0, "is back", []string{"profile", "restore", "press"}},
		{c.core, 0, "so already", []string{"profile", "restore", "press"}},
		{c.core, 0, "is retired", []string{"profile", "retire", "press"}},
		{c.core, 0, "press", []string{"profile", "list", "--retired"}},
		{c.core, 0, "is defined", []string{"requesttype", "change", file("old.json", `{"name":"old","title":"Old","parameters":`+schema+`}`)}},
		{c.core, 0, "is retired", []string{"requesttype", "retire", "old"}},
		{c.core, 0, "old", []string{"requesttype", "list", "--retired"}},
		{c.core, 0, "is back", []string{"requesttype", "restore", "old"}},
		{c.core, 0, "is retired", []string{"requesttype", "retire", "old"}},
		{c.core, 16, "nothing is configured", []string{"requesttype", "responder", "disable", "old"}},
		{c.core, 0, "asker", []string{"user", "list", "--search", "ASKER A", "--role", "user", "--profile", "basic"}},
		{c.core, 0, "the setting notice is made, and the request sites get it", []string{"setting", "set", "notice", `{"text":"closed on Sunday"}`, "--public"}},
		{c.field, 16, "response site", []string{"requesttype", "change", changed}},
		{c.field, 16, "response site", []string{"requesttype", "retire", "airport"}},
		{c.field, 16, "response site", []string{"requesttype", "restore", "airport"}},
		{c.field, 16, "response site", []string{"requesttype", "responder", "show", "airport"}},
		{c.field, 16, "response site", []string{"requesttype", "responder", "disable", "airport"}},
		{c.field, 16, "response site", []string{"requesttype", "try", "airport"}},
		{c.field, 16, "response site", []string{"requesttype", "access", "airport", "--block", "wide"}},
		{c.field, 16, "response site", []string{"setting", "set", "notice", "1"}},
		{c.field, 16, "response site", []string{"setting", "remove", "notice"}},
		{c.field, 16, "response site", []string{"profile", "restore", "basic"}},
	} {
		r := call(t, append([]string{"-C", step.at.config}, step.args...)...)
		if r.code != step.code || !strings.Contains(r.stdout+r.stderr, step.says) {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", step.args, r.code, step.code, step.says, r.stdout, r.stderr)
		}
	}
	c.aged = append(c.aged, keep(t, c.keptIn(), c.carry(t, c.core, c.field))...)
	// They were changed last: what the core wrote by itself before that may have
	// been applied alone.
	eventually(t, "the settings on field", func() bool {
		return len(must[[]shownSetting](t, "-C", c.field.config, "setting", "list")) > 0
	})
	if all := must[[]shownSetting](t, "-C", c.field.config, "setting", "list"); len(all) != 1 || all[0].Key != "notice" {
		t.Errorf("settings on field: %+v", all)
	}
	types := must[[]domain.RequestTypeDefined](t, "-C", c.field.config, "requesttype", "list")
	if !onField(2) || slices.ContainsFunc(types, func(d domain.RequestTypeDefined) bool { return d.Name == "old" }) {
		t.Errorf("request types on field: %+v", types)
	}
	c.narrow.submit(t, "by-code", `{"iata":"FRA","why":"to know"}`).want(t, 202)
	c.narrow.submit(t, "by-code", `{"iata":"FRA"}`).wantProblem(t, 422, "invalid-request")
	c.narrow.submit(t, "old", `{"iata":"FRA"}`).wantProblem(t, 422, "unknown-type")
	users := must[[]entitled](t, "-C", c.core.config, "requesttype", "users", "by-code")
	if !slices.ContainsFunc(users, func(u entitled) bool { return u.Username == "narrow" && u.MaxResults == 1 }) {
		t.Errorf("who may use by-code: %+v", users)
	}
	c.plain = append(c.plain, keep(t, c.keptIn(), c.carry(t, c.field, c.core))...)
	var answered reply
	eventually(t, "the answer to what the first version asked", func() bool {
		c.aged = append(c.aged, keep(t, c.keptIn(), c.carry(t, c.core, c.field))...)
		answered = c.wide.get(t, "/requests/"+asked.text(t, "id")+"/response")
		return answered.status != 202
	})
	if answered.text(t, "status") != "answered" || !strings.Contains(string(answered.body), "Frankfurt") {
		t.Errorf("asked by the first version: %s", answered.body)
	}
}
