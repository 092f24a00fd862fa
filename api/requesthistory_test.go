package api_test

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
)

func TestTheHistoryOfARequest(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("udo", "wide", domain.RoleAuditor)
	field := newField(t, core)
	alice, bob, udo, root := field.token("alice"), field.token("bob"), field.token("udo"), field.token("root")
	id := field.submitted(alice)
	answer(core, field, id, failure)
	field.call("POST", "/requests/"+id+"/retry", alice, "").want(t, 202, "")

	path := "/requests/" + id + "/events"
	got := field.call("GET", path, alice, "")
	got.want(t, 200, "")
	types := func(items []any) (all []string) {
		for _, item := range items {
			all = append(all, item.(map[string]any)["type"].(string)+" of "+item.(map[string]any)["origin"].(string))
		}
		return all
	}
	items := got.body["items"].([]any)
	if want := "[request.submitted of field response.failed of core request.retried of field]"; fmt.Sprint(types(items)) != want {
		t.Errorf("history %v, want %s", types(items), want)
	}
	first := items[0].(map[string]any)
	if data := first["data"].(map[string]any); data["type"] != "airport" || first["stream"] != domain.RequestStream(id) || first["seq"] == 0.0 {
		t.Errorf("event %v", first)
	}
	page := field.call("GET", path+"?limit=2", alice, "")
	next := strings.TrimSuffix(strings.TrimPrefix(page.Header.Get("Link"), "<"), `>; rel="next"`)
	if rest := field.call("GET", next, alice, ""); len(page.body["items"].([]any)) != 2 || fmt.Sprint(types(rest.body["items"].([]any))) != "[request.retried of field]" {
		t.Errorf("first %s\nnext %s", page.text, rest.text)
	}
	for _, other := range []string{bob, root} {
		field.call("GET", path, other, "").want(t, 404, "not-found")
	}
	if views, _ := recorded[domain.AuditViewed](field); len(views) != 0 {
		t.Errorf("the owner's look was recorded: %+v", views)
	}
	if seen := field.call("GET", path, udo, ""); seen.StatusCode != 200 || len(seen.body["items"].([]any)) != 3 {
		t.Errorf("the auditor sees %s", seen.text)
	}
	if views, _ := recorded[domain.AuditViewed](field); len(views) != 1 || views[0].What != "GET "+path {
		t.Errorf("the auditor's look was recorded as %+v", views)
	}
	core.call("GET", path, core.token("alice"), "").want(t, 404, "not-found") // it has not crossed
	field.call("GET", path+"?cursor=zzz", alice, "").want(t, 400, "invalid-query")
}

func TestAdministratorsSeeAllRequests(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.addUser("olga", "wide", domain.RoleOperator)
	field := newField(t, core)
	alice, bob, root, olga := field.token("alice"), field.token("bob"), field.token("root"), field.token("olga")
	ids := map[string]string{}
	for _, who := range []string{alice, bob} {
		for range 2 {
			ids[field.submitted(who)] = who
		}
	}
	mine := field.submitted(alice)
	answer(core, field, mine, failure)
	me := field.call("GET", "/auth/me", alice, "").body["id"].(string)
	for _, c := range []struct {
		query string
		want  int
	}{{"", 5}, {"?user=" + me, 3}, {"?status=failed", 1}, {"?type=airport", 5}, {"?type=hidden", 0}, {"?status=pending&user=" + strings.ToUpper(me), 2}, {"?status=exported", 0}} {
		got := field.call("GET", "/admin/requests"+c.query, olga, "")
		got.want(t, 200, "")
		listed := got.body["items"].([]any)
		if len(listed) != c.want {
			t.Errorf("%s: %d requests, want %d", c.query, len(listed), c.want)
		}
		for _, item := range listed {
			if r := item.(map[string]any); r["params"] != nil || r["username"] != "alice" && r["username"] != "bob" || r["origin"] != "field" {
				t.Errorf("listed %v", r)
			}
		}
	}
	seen := map[string]bool{}
	for path := "/admin/requests?limit=2"; path != ""; {
		page := field.call("GET", path, root, "")
		page.want(t, 200, "")
		for _, item := range page.body["items"].([]any) {
			seen[item.(map[string]any)["id"].(string)] = true
		}
		field.submitted(bob) // what comes meanwhile changes no page
		path = strings.TrimSuffix(strings.TrimPrefix(page.Header.Get("Link"), "<"), `>; rel="next"`)
	}
	if len(seen) != 5 || !seen[mine] {
		t.Errorf("the pages hold %d requests, want 5", len(seen))
	}
	field.call("GET", "/admin/requests?user=x", root, "").want(t, 400, "invalid-query")
	field.call("GET", "/admin/requests", alice, "").want(t, 403, "role-not-allowed")
}

func TestTheSiteIsCounted(t *testing.T) {
	t.Parallel()
	core := newCore(t)
	core.append(eventstore.Write{Stream: domain.UserStream(someID), Facts: []domain.Fact{domain.UserRegistered{Username: "gone", Profile: "wide",
		Role: domain.RoleUser, Email: "g@example.org", Credential: domain.Credential{Algorithm: "bcrypt", Hash: "x"}}, domain.UserDeactivated{Reason: "left"}}})
	field := newField(t, core)
	field.submitted(field.token("alice"))
	for _, s := range []*site{core, field} {
		got := s.call("GET", "/admin/stats", s.token("root"), "")
		got.want(t, 200, "")
		users, requests := got.body["users"].(map[string]any), got.body["requests"].(map[string]any)
		if users["total"] != 4.0 || users["active"] != 3.0 || users["by_role"].(map[string]any)["admin"] != 1.0 {
			t.Errorf("users %v", users)
		}
		if want := map[bool]float64{true: 1, false: 0}[s == field]; requests["total"] != want || requests["by_status"].(map[string]any)["pending"] != want {
			t.Errorf("requests %v", requests)
		}
		if got.body["cache"].(map[string]any)["status"] != "ok" || got.body["queue"] == nil {
			t.Errorf("stats %s", got.text)
		}
	}
}
