package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sallyport/api/spectest"
	"sallyport/domain"
	"sallyport/eventstore"
)

// place is a site with a token of one user of each role, and of somebody who
// was deactivated after the login. Nobody has an empty one.
type place struct {
	*site
	spec   *spectest.Spec
	tokens map[string]string
}

// places are both sites with the same users.
func places(t testing.TB) []*place {
	t.Helper()
	core := newCore(t)
	for name, role := range map[string]domain.UserRole{"olga": domain.RoleOperator, "anna": domain.RoleAnalyst, "udo": domain.RoleAuditor, "dora": domain.RoleAdmin} {
		core.addUser(name, "wide", role)
	}
	field := newField(t, core)
	var out []*place
	for _, s := range []*site{core, field} {
		p := &place{site: s, spec: spectest.Of(t, s.handler), tokens: map[string]string{"nobody": "", "forger": "eyJhbGciOiJub25lIn0.e30."}}
		for role, name := range map[string]string{"admin": "root", "user": "alice", "operator": "olga", "analyst": "anna", "auditor": "udo", "deactivated": "dora", "stranger": "bob"} {
			p.tokens[role] = s.token(name)
		}
		out = append(out, p)
	}
	dora, err := core.config.Reader.UserByName(t.Context(), "dora")
	if err != nil {
		t.Fatal(err)
	}
	before := core.seq()
	core.append(eventstore.Write{Stream: domain.UserStream(dora.ID), Expected: eventstore.Any, Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}})
	field.mirror(core, before)
	return out
}

// pathOf fills the variables of a path with what looks right and is not there.
func pathOf(template string) string {
	return strings.NewReplacer("{id}", someID, "{user_id}", someID, "{name}", "no-such-name", "{type}", "no-such-type", "{peer}", "nowhere",
		"{filename}", "x.jsonl.zst", "{file}", "start.js", "{seq}", "1000000000", "{key}", "no-such-key", "{stream}", "user-"+someID).Replace(template)
}

// send calls an operation with a body, as somebody. A value is sent as JSON.
func (p *place) send(o spectest.Operation, path, as string, body any) reply {
	p.t.Helper()
	var text []byte
	media := "application/octet-stream"
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			p.t.Fatal(err)
		}
		media = "application/json"
	}
	r := httptest.NewRequestWithContext(p.t.Context(), o.Method, path, bytes.NewReader(text))
	if len(text) > 0 || o.Method == "PUT" {
		r.Header.Set("Content-Type", media)
	}
	if token := p.tokens[as]; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return p.do(r)
}

// admitted is somebody who may call an operation.
func admitted(o spectest.Operation) string {
	switch {
	case o.Open():
		return "nobody"
	case slices.Contains(o.Roles, "user"):
		return "user"
	}
	return o.Roles[0]
}

// Every operation × everybody, on both sites: who may call gets past the gate,
// nobody else does.
func TestEveryOperationForEverybody(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		for _, o := range p.spec.Operations() {
			body := p.spec.Example(o)
			for _, as := range slices.Sorted(maps.Keys(p.tokens)) {
				if as == "stranger" {
					continue
				}
				got := p.send(o, pathOf(o.Path), as, body)
				if why := p.gate(o, as, got); why != "" {
					t.Errorf("%s on %s as %s: %s: %d %.200s", o, p.store.Site(), as, why, got.StatusCode, got.text)
				}
			}
		}
	}
}

// gate says what is wrong with an answer, empty if nothing.
func (p *place) gate(o spectest.Operation, as string, got reply) string {
	refused := got.StatusCode == 401 && got.code() != "invalid-credentials" && got.code() != "invalid-refresh-token" ||
		got.code() == "role-not-allowed" || got.code() == "wrong-site"
	switch {
	case got.StatusCode >= 500 && got.code() != "no-users-yet":
		return "it must not fail"
	case o.Site != "both" && o.Site != string(p.store.Role()):
		return unless(got.StatusCode == 405 && got.code() == "wrong-site", "it belongs to the other site")
	case o.Open():
		return unless(!refused, "it is open to anyone")
	case as == "nobody" || as == "forger" || as == "deactivated":
		return unless(got.StatusCode == 401, "only who is logged in and active may")
	case slices.Contains(o.Roles, as):
		return unless(!refused, "this role may")
	}
	return unless(got.StatusCode == 403 && got.code() == "role-not-allowed", "this role may not")
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// What the description says of roles is held against rules that do not come
// from it: least privilege, by the first part of a path.
func TestRolesAreTheLeast(t *testing.T) {
	t.Parallel()
	most := map[string]string{"users": "admin", "profiles": "admin", "settings": "admin", "admin": "admin operator", "audit": "admin auditor", "work": "admin analyst"}
	for _, o := range spectest.Of(t, newSite(t, "core", domain.ResponseSite).handler).Operations() {
		first := strings.Split(o.Path, "/")[1]
		allowed, bounded := most[first]
		for _, role := range o.Roles {
			if bounded && !slices.Contains(strings.Fields(allowed), role) {
				t.Errorf("%s admits %s", o, role)
			}
		}
		if o.Open() && !slices.Contains([]string{"auth", "health", "metrics", "docs", "openapi.json"}, first) {
			t.Errorf("%s needs no login", o)
		}
		if o.Method != "GET" && first == "request-types" && !slices.Equal(o.Roles, []string{"admin"}) {
			t.Errorf("%s admits %v", o, o.Roles)
		}
	}
}

// What belongs to somebody is not there for others, whatever they call.
func TestOthersFindNothing(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		for _, made := range p.spec.Operations() {
			owned := slices.Contains([]string{"/requests", "/api-keys", "/webhooks"}, made.Path) && made.Method == "POST"
			if !owned || made.Site != "both" && made.Site != string(p.store.Role()) {
				continue
			}
			mine := p.send(made, made.Path, "user", p.spec.Example(made))
			id, _ := mine.body["id"].(string)
			if id == "" {
				t.Fatalf("%s: %d %s", made, mine.StatusCode, mine.text)
			}
			for _, o := range p.spec.Operations() {
				if !strings.HasPrefix(o.Path, made.Path+"/{id}") || o.Site != "both" && o.Site != string(p.store.Role()) {
					continue
				}
				if got := p.send(o, strings.Replace(o.Path, "{id}", id, 1), "stranger", p.spec.Example(o)); got.StatusCode != 404 || got.code() != "not-found" {
					t.Errorf("%s of another's: %d %s", o, got.StatusCode, got.text)
				}
			}
		}
	}
}

// privileged are fields that a caller would like to set.
var privileged = []string{"id", "role", "active", "position", "user", "user_id", "owner", "actor", "status", "created_at", "seq", "admin",
	"credential", "scopes", "__proto__", "Type", "$ref"}

// Every body × every field that is not in it: refused, with its place.
func TestNoFieldIsSlippedIn(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, p := range places(t) {
		for _, o := range p.operations() {
			known := p.spec.Properties(o)
			for _, field := range privileged {
				if slices.Contains(known, field) {
					continue
				}
				body := maps.Clone(p.spec.Example(o).(map[string]any))
				body[field] = true
				got := p.send(o, pathOf(o.Path), admitted(o), body)
				if cells++; got.StatusCode != 422 || got.code() != "invalid-body" || !slices.Equal(got.pointers(), []string{"/" + field}) {
					t.Errorf("%s with %s: %d %s", o, field, got.StatusCode, got.text)
				}
			}
		}
	}
	if cells < 100 {
		t.Errorf("only %d cells", cells)
	}
}

// operations are those that take JSON; what both sites have is tried on the
// response site.
func (p *place) operations() []spectest.Operation {
	var out []spectest.Operation
	for _, o := range p.spec.Operations() {
		if p.spec.Example(o) != nil && (o.Site == string(p.store.Role()) || o.Site == "both" && p.store.Role() == domain.ResponseSite) {
			out = append(out, o)
		}
	}
	return out
}

// odd are values that fit nowhere, or hardly.
var odd = []any{nil, -1, 1e300, "", "\x00", strings.Repeat("a", 10_000), "' OR 1=1 --𝕬", []any{map[string]any{}}, map[string]any{"a": []any{nil}}}

// Every body × every field × every odd value: refused or taken, never a fault.
// That each answer is one that the description foresees is seen for all calls.
func TestOddValues(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, p := range places(t) {
		for _, o := range p.operations() {
			for _, field := range p.spec.Properties(o) {
				for i, value := range odd {
					body := maps.Clone(p.spec.Example(o).(map[string]any))
					body[field] = value
					got := p.send(o, pathOf(o.Path), admitted(o), body)
					if cells++; got.StatusCode >= 500 {
						t.Errorf("%s with %s = odd value %d: %d %s", o, field, i, got.StatusCode, got.text)
					}
				}
			}
		}
	}
	if cells < 300 {
		t.Errorf("only %d cells", cells)
	}
}

// Every parameter of a query that is written down is known, and no other is.
func TestQueryParameters(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		for _, o := range p.spec.Operations() {
			if o.Site != "both" && o.Site != string(p.store.Role()) || !slices.Contains(p.spec.Codes(o), "invalid-query") {
				continue
			}
			if got := p.send(o, pathOf(o.Path)+"?no-such=1", admitted(o), p.spec.Example(o)); got.StatusCode != 400 || got.code() != "invalid-query" {
				t.Errorf("%s?no-such=1: %d %s", o, got.StatusCode, got.text)
			}
			for _, name := range o.Queries {
				for _, value := range []string{"", "%00", "-1", "a", strings.Repeat("9", 50)} {
					got := p.send(o, fmt.Sprintf("%s?%s=%s", pathOf(o.Path), name, value), admitted(o), p.spec.Example(o))
					if got.StatusCode >= 500 || strings.Contains(got.text, "is not a known parameter") {
						t.Errorf("%s?%s=%s: %d %s", o, name, value, got.StatusCode, got.text)
					}
				}
			}
		}
	}
}
