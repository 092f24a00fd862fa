package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
)

// recorded returns what a site's log holds of one type.
func recorded[F domain.Fact](s *site) (facts []F, records []eventstore.Record) {
	s.t.Helper()
	for after := int64(0); ; {
		page, err := s.store.Read(s.t.Context(), after, eventstore.MaxPage)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range page {
			if f, ok := r.Fact.(F); ok {
				facts, records = append(facts, f), append(records, r)
			}
			after = r.Seq
		}
		if len(page) < eventstore.MaxPage {
			return facts, records
		}
	}
}

func (s *site) idOf(name string) string {
	s.t.Helper()
	users, records := recorded[domain.UserRegistered](s)
	for i, u := range users {
		if u.Username == name {
			return strings.TrimPrefix(records[i].Stream, "user-")
		}
	}
	s.t.Fatalf("there is no %s", name)
	return ""
}

func TestReadingOthersDataLeavesARecord(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root, alice := core.token("root"), core.idOf("alice")
	core.call("GET", "/users?limit=2", root, "").want(t, 200, "")
	core.call("GET", "/users/"+alice, root, "").want(t, 200, "")
	core.call("GET", "/users/"+core.idOf("root"), root, "").want(t, 200, "")
	core.call("GET", "/users/01a20351-498a-7e70-a315-478c02f0c07c", root, "").want(t, 404, "not-found")
	core.call("GET", "/users", core.token("bob"), "").want(t, 403, "role-not-allowed")
	core.call("GET", "/auth/me", root, "").want(t, 200, "")
	viewed, records := recorded[domain.AuditViewed](core)
	if len(viewed) != 2 || viewed[0].What != "GET /users?limit=2" || viewed[1].What != "GET /users/"+alice {
		t.Fatalf("recorded %+v", viewed)
	}
	for _, r := range records {
		if r.Actor != "user-"+core.idOf("root") || r.Stream != domain.AuditStream(core.now()) || r.Corr == "" {
			t.Errorf("%+v", r.Event)
		}
	}
}

func TestRefusedLoginsLeaveARecord(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("gone", "wide", domain.RoleUser)
	login := func(name, password string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/auth/login", strings.NewReader(`{"username":"`+name+`","password":"`+password+`"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "guesser/1.0\x01"+strings.Repeat("x", 1000))
		core.do(r)
	}
	const password = "hunter2-hunter2"
	for range 12 { // ten are judged, two are throttled
		login("alice", password)
	}
	login("nobody", password)
	login(password+" typed in the wrong place", password)
	login("alice", secret)
	refused, records := recorded[domain.LoginRefused](core)
	want := []domain.LoginRefused{{Username: "alice", Reason: domain.RefusedWrongPassword}, {Username: "nobody", Reason: domain.RefusedUnknownUser}, {Reason: domain.RefusedUnknownUser}}
	if len(refused) != len(want) {
		t.Fatalf("recorded %+v", refused)
	}
	for i, r := range refused {
		if r.Username != want[i].Username || r.Reason != want[i].Reason || r.IP != "192.0.2.1" || r.Count != 1 ||
			!strings.HasPrefix(r.UserAgent, "guesser/1.0 xx") || len(r.UserAgent) != 200 {
			t.Errorf("%+v, want %+v", r, want[i])
		}
		if records[i].Actor != "site:core" || strings.Contains(string(records[i].Line), "hunter2") {
			t.Errorf("%s", records[i].Line)
		}
	}
}

// What an administrator does that has no event of its own has one here, with
// where it came from.
func TestActsLeaveARecord(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	root := core.token("root")
	core.call("POST", "/admin/bundles/import", root, "").want(t, 200, "")
	core.call("POST", "/admin/bundles/import", core.token("alice"), "").want(t, 403, "role-not-allowed")
	acted, records := recorded[domain.AdminActed](core)
	if len(acted) != 1 || acted[0].Action != "bundles.import" || acted[0].IP != "192.0.2.1" || records[0].Actor != "user-"+core.idOf("root") {
		t.Fatalf("recorded %+v", acted)
	}
	if _, err := core.store.MakeReadOnly(t.Context(), "it was restored from an old backup"); err != nil {
		t.Fatal(err)
	}
	core.call("POST", "/admin/bundles/import", root, "").want(t, 200, "")
	if logged := core.logged.String(); !strings.Contains(logged, "bundles.import") || !strings.Contains(logged, "192.0.2.1") {
		t.Errorf("a read-only site left no record: %s", logged)
	}
}
