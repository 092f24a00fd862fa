package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sallyport/api/spectest"
)

// scopes are what a key may be for, each by itself.
var scopes = []string{"requests:read", "requests:write", "admin", "audit"}

// needed is the scope that a key needs for an operation, by the rule that the
// description gives to people; `none` where any key will do, `person` where
// none does.
func needed(o spectest.Operation) string {
	first := strings.Split(o.Path, "/")[1]
	switch {
	case o.Path == "/auth/password", first == "api-keys", first == "work":
		return "person"
	case o.Path == "/auth/me", o.Open():
		return "none"
	case first == "audit":
		return "audit"
	case len(o.Roles) == 5 && o.Method == "GET":
		return "requests:read"
	case len(o.Roles) == 5:
		return "requests:write"
	}
	return "admin"
}

// Every operation × a key of every scope, of somebody whose role allows all.
func TestEveryOperationWithEveryKey(t *testing.T) {
	t.Parallel()
	for _, p := range places(t) {
		for _, scope := range scopes {
			made := p.call("POST", "/api-keys", p.tokens["admin"], `{"name":"`+scope+`","scopes":["`+scope+`"]}`)
			made.want(t, 201, "")
			key := made.body["key"].(string)
			for _, o := range p.spec.Operations() {
				var body string
				if example := p.spec.Example(o); example != nil {
					text, err := json.Marshal(example)
					if err != nil {
						t.Fatal(err)
					}
					body = string(text)
				}
				got := p.withKey(o.Method, pathOf(o.Path), key, body)
				if why := p.keyGate(o, scope, got); why != "" {
					t.Errorf("%s on %s with a key for %s: %s: %d %.200s", o, p.store.Site(), scope, why, got.StatusCode, got.text)
				}
			}
		}
	}
}

func (p *place) keyGate(o spectest.Operation, scope string, got reply) string {
	need := needed(o)
	switch {
	case o.Site != "both" && o.Site != string(p.store.Role()):
		return unless(got.code() == "wrong-site", "it belongs to the other site")
	case need == "person" && !slices.Contains(o.Roles, "admin"):
		return unless(got.StatusCode == 403 && got.code() == "role-not-allowed", "whose key this is may not either")
	case need == "person":
		return unless(got.StatusCode == 403 && got.code() == "login-required-in-person", "no key may")
	case need == "none", need == scope:
		return unless(got.StatusCode < 500 && got.code() != "scope-missing" && got.code() != "invalid-token" && got.code() != "login-required", "this key may")
	}
	return unless(got.StatusCode == 403 && got.code() == "scope-missing", "this key may not: it needs "+need)
}
