package api_test

import (
	"cmp"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sallyport/api"
	"sallyport/api/spectest"
	"sallyport/domain"
)

// described is a route as both the code and the description say it.
type described struct {
	call, site, roles string
}

// The routes and the description are equal: paths, methods, the parameters of
// paths, the site and who may call.
func TestTheDescriptionIsThatOfTheRoutes(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	var coded, written []described
	for _, r := range api.Routes(core.config) {
		d := described{call: r.Method + " " + r.Path, site: cmp.Or(string(r.Site), "both"), roles: "anyone"}
		if !r.Open {
			d.roles = joined(r.Roles == nil, r.Roles)
		}
		coded = append(coded, d)
	}
	for _, o := range spectest.Of(t, core.handler).Operations() {
		roles := slices.Sorted(slices.Values(o.Roles)) // the description is shared with other tests
		written = append(written, described{call: o.String(), site: o.Site, roles: strings.Join(roles, " ")})
	}
	for _, d := range coded {
		if i := slices.IndexFunc(written, func(w described) bool { return w.call == d.call }); i < 0 {
			t.Errorf("api/openapi.yaml lacks %s", d.call)
		} else if written[i] != d {
			t.Errorf("the routes say %+v, and api/openapi.yaml %+v", d, written[i])
		}
	}
	for _, w := range written {
		if !slices.ContainsFunc(coded, func(d described) bool { return d.call == w.call }) {
			t.Errorf("api/openapi.yaml has %s, which is no route", w.call)
		}
	}
}

func joined(every bool, roles []domain.UserRole) string {
	if every {
		roles = []domain.UserRole{domain.RoleUser, domain.RoleAnalyst, domain.RoleOperator, domain.RoleAuditor, domain.RoleAdmin}
	}
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestTheDescriptionIsWellMade(t *testing.T) {
	t.Parallel()
	for _, problem := range spectest.Of(t, newCore(t).handler).Lint() {
		t.Error(problem)
	}
}

// Every code of what is wrong with a field is in the description; that answers
// have no other, each of them is held against it.
func TestTheDescriptionHasAllFieldCodes(t *testing.T) {
	t.Parallel()
	var described struct {
		Components struct {
			Schemas struct {
				FieldCode struct {
					Enum []string `json:"enum"`
				} `json:"FieldCode"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(newCore(t).call("GET", "/openapi.json", "", "").text), &described); err != nil {
		t.Fatal(err)
	}
	if got, want := described.Components.Schemas.FieldCode.Enum, domain.FieldCodes(); !slices.Equal(got, want) {
		t.Errorf("api/openapi.yaml has the field codes %v, and the program %v", got, want)
	}
}

// Whoever has the description is not sent it again.
func TestTheDescriptionHasATag(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	first := core.call("GET", "/openapi.json", "", "")
	first.want(t, 200, "")
	if first.body["openapi"] != "3.1.0" || !strings.HasPrefix(first.text, `{"openapi":`) {
		t.Errorf("served %.100s", first.text)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/openapi.json", nil)
	r.Header.Set("If-None-Match", first.Header.Get("ETag"))
	if got := core.do(r); got.StatusCode != 304 || got.text != "" {
		t.Errorf("a second time: %d %.100q", got.StatusCode, got.text)
	}
}

// The examples of the description are true: each body of a request is taken as
// it stands, on a site with the users and types that they speak of.
func TestTheExamplesRun(t *testing.T) {
	t.Parallel()
	// What an example needs that is not there of itself.
	excused := map[string]string{
		"POST /auth/refresh":                "invalid-refresh-token",
		"POST /request-types/{name}/access": "invalid-access", // a user
	}
	run := 0
	for _, p := range places(t) {
		p.call("POST", "/profiles", p.tokens["admin"], `{"name":"basic"}`)
		for _, o := range p.operations() {
			for name, body := range p.spec.Examples(o) {
				got := p.send(o, pathOf(o.Path), admitted(o), body)
				run++
				missing := strings.Contains(o.Path, "{") && got.code() == "not-found"
				if got.StatusCode >= 300 && !missing && got.code() != excused[o.String()] {
					t.Errorf("%s, example %s: %d %s", o, name, got.StatusCode, got.text)
				}
			}
		}
	}
	if run < 10 {
		t.Errorf("only %d examples", run)
	}
}
