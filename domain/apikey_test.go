package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
)

func TestIssuingAPIKeys(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *domain.Timestamp { s := domain.Timestamp(now.Add(d)); return &s }
	good := domain.IssueAPIKey{User: "u", Role: domain.RoleOperator, Name: "job", Prefix: "spk_abcdef", Hash: digest, Now: now,
		Scopes: []domain.Scope{domain.ScopeRequestsRead, domain.ScopeAdmin}, ExpiresAt: at(time.Hour)}
	facts, err := domain.APIKey{}.Issue(good)
	want := domain.APIKeyIssued{User: "u", Name: "job", Prefix: "spk_abcdef", Hash: digest, Scopes: good.Scopes, ExpiresAt: good.ExpiresAt}
	if got, ok := facts[0].(domain.APIKeyIssued); err != nil || !ok || len(facts) != 1 || got.Hash != want.Hash || !slices.Equal(got.Scopes, want.Scopes) || got.ExpiresAt != want.ExpiresAt {
		t.Fatalf("%+v, %v", facts, err)
	}
	for name, change := range map[string]func(*domain.IssueAPIKey){
		"invalid-key: no name":           func(c *domain.IssueAPIKey) { c.Name = "" },
		"invalid-key: a long name":       func(c *domain.IssueAPIKey) { c.Name = strings.Repeat("x", 101) },
		"invalid-key: no scope":          func(c *domain.IssueAPIKey) { c.Scopes = nil },
		"invalid-key: a scope twice":     func(c *domain.IssueAPIKey) { c.Scopes = append(c.Scopes, domain.ScopeAdmin) },
		"invalid-key: beyond the role":   func(c *domain.IssueAPIKey) { c.Scopes = []domain.Scope{domain.ScopeAudit} },
		"invalid-key: no such scope":     func(c *domain.IssueAPIKey) { c.Scopes = []domain.Scope{"all"} },
		"invalid-key: no role":           func(c *domain.IssueAPIKey) { c.Role = "" },
		"invalid-key: expired":           func(c *domain.IssueAPIKey) { c.ExpiresAt = at(0) },
		"invalid-key: beyond five years": func(c *domain.IssueAPIKey) { c.ExpiresAt = at(6 * 366 * 24 * time.Hour) },
		"invalid-key: not hashed":        func(c *domain.IssueAPIKey) { c.Hash = "spk_secret" },
		"too-many-api-keys: one more":    func(c *domain.IssueAPIKey) { c.Have = domain.MaxAPIKeys },
	} {
		c := good
		c.Scopes = slices.Clone(good.Scopes)
		change(&c)
		facts, err := domain.APIKey{}.Issue(c)
		var refused *domain.Error
		if code, _, _ := strings.Cut(name, ":"); !errors.As(err, &refused) || refused.Code != code || facts != nil {
			t.Errorf("%s: %v, %v", name, facts, err)
		}
	}
}

func TestRevokingAPIKeys(t *testing.T) {
	t.Parallel()
	key := domain.APIKey{}.Apply(domain.APIKeyIssued{User: "alice"})
	for _, c := range []struct {
		name  string
		key   domain.APIKey
		user  string
		admin bool
		facts int
		found bool
	}{
		{"by its owner", key, "alice", false, 1, true},
		{"by another", key, "bob", false, 0, false},
		{"by an administrator", key, "", true, 1, true},
		{"of none", domain.APIKey{}, "alice", true, 0, false},
		{"twice", key.Apply(domain.APIKeyRevoked{}), "alice", false, 0, true},
		{"of another's, twice", key.Apply(domain.APIKeyRevoked{}), "bob", false, 0, false},
	} {
		facts, err := c.key.Revoke(c.user, c.admin, "why")
		if len(facts) != c.facts || (err == nil) != c.found {
			t.Errorf("%s: %v, %v", c.name, facts, err)
		}
	}
}

func TestEndingSessions(t *testing.T) {
	t.Parallel()
	open := domain.Session{}.Apply(domain.OpenSession("alice", "192.0.2.1", "curl", domain.ByPassword))
	closed := open.Apply(domain.SessionClosed{Reason: domain.ClosedByLogout})
	if got := open.Close(domain.ClosedByLogout); !slices.Equal(got, []domain.Fact{domain.SessionClosed{Reason: domain.ClosedByLogout}}) {
		t.Errorf("closing an open one: %+v", got)
	}
	if got := open.DetectReuse("192.0.2.1", "curl"); len(got) != 2 || got[1] != (domain.SessionClosed{Reason: domain.ClosedByReuse}) {
		t.Errorf("reuse in an open one: %+v", got)
	}
	if got := append(closed.Close("x"), closed.DetectReuse("", "")...); len(got) != 0 {
		t.Errorf("ending a closed one: %+v", got)
	}
}

// What a client says of itself fits an event, whatever it says.
func TestWhatClientsSayFits(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"", "curl/8", "a\x00b\r\nc", strings.Repeat("ü", 5000), "\xff\xfe", strings.Repeat("\x01", 5000)} {
		for what, got := range map[string]struct {
			text string
			most int
		}{
			"agent":  {domain.Act("x", "", "", said).UserAgent, 200},
			"target": {domain.Act("x", said, "", "").Target, 200},
			"ip":     {domain.OpenSession("u", said, "", "x").IP, 64},
			"what":   {domain.View(said).What, 500},
		} {
			if len([]rune(got.text)) > got.most || strings.ContainsFunc(got.text, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.ToValidUTF8(got.text, "") != got.text {
				t.Errorf("%s of %.20q is %.40q", what, said, got.text)
			}
		}
	}
}
