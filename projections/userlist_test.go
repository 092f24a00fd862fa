package projections_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/projections"
)

// listed are the usernames of all pages of a list.
func listed(t *testing.T, page func(projections.Page) (users []string, next string, err error)) string {
	t.Helper()
	var names []string
	for p := (projections.Page{Limit: 2}); ; {
		users, next, err := page(p)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, users...)
		if p.Cursor = next; next == "" {
			return strings.Join(names, " ")
		}
	}
}

func TestUsersAreFoundByPartsOfTheirNames(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	for i, u := range []domain.UserRegistered{
		{Username: "anna", Email: "A.Berg@example.org", FullName: "Anna Überall", Role: domain.RoleAnalyst, Profile: "basic"},
		{Username: "bert", Email: "bert@example.org", FullName: "Bert (the 2nd)", Role: domain.RoleUser, Profile: "basic"},
		{Username: "carl.x", Email: "carl@example.com", FullName: "Кирилл", Role: domain.RoleUser, Profile: "free"},
	} {
		appendTo(t, site.Store, domain.UserStream(id(i)), u)
	}
	appendTo(t, site.Store, domain.UserStream(id(1)), domain.UserDeactivated{})
	yes, no := true, false
	for _, c := range []struct {
		filter projections.UserFilter
		want   string
	}{
		{projections.UserFilter{}, "anna bert carl.x"},
		{projections.UserFilter{Search: "BER"}, "anna bert"}, // of the address, and of the username
		{projections.UserFilter{Search: "überall"}, "anna"},
		{projections.UserFilter{Search: "ÜBERALL"}, "anna"},
		{projections.UserFilter{Search: "кир"}, "carl.x"},
		{projections.UserFilter{Search: "(the 2nd)"}, "bert"},
		{projections.UserFilter{Search: "l.x"}, "carl.x"},
		{projections.UserFilter{Search: ".*"}, ""},
		{projections.UserFilter{Search: "%"}, ""},
		{projections.UserFilter{Search: `\d`}, ""},
		{projections.UserFilter{Search: "[a"}, ""},
		{projections.UserFilter{Search: "***=a"}, ""},
		{projections.UserFilter{Search: "a\x00\xff"}, ""},
		{projections.UserFilter{Role: domain.RoleUser}, "bert carl.x"},
		{projections.UserFilter{Profile: "basic", Active: &yes}, "anna"},
		{projections.UserFilter{Active: &no}, "bert"},
		{projections.UserFilter{Search: "example", Role: domain.RoleUser, Profile: "free", Active: &yes}, "carl.x"},
	} {
		got := listed(t, func(p projections.Page) (names []string, next string, err error) {
			c.filter.Page = p
			users, next, err := reader.Users(t.Context(), c.filter)
			for _, u := range users {
				names = append(names, u.Username)
			}
			return names, next, err
		})
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.filter, got, c.want)
		}
	}
}

// TestWhoMayUseATypeIsWhomTheRulesAllow asks the rules about each user alone,
// and for all of them at once.
func TestWhoMayUseATypeIsWhomTheRulesAllow(t *testing.T) {
	t.Parallel()
	site := responseSite(t)
	reader := projections.NewReader(site.Pool)
	for _, p := range []domain.ProfileDefined{{Name: "every"}, {Name: "lists", Allowed: []string{"airport"}}, {Name: "lists-other", Allowed: []string{"other"}},
		{Name: "blocks", Blocked: []string{"airport"}}, {Name: "gone"}} {
		appendTo(t, site.Store, domain.ProfileStream(p.Name), p)
	}
	appendTo(t, site.Store, domain.ProfileStream("gone"), domain.ProfileRetired{})
	n := 0
	for _, profile := range []string{"every", "lists", "lists-other", "blocks", "gone", "unheard"} {
		for _, said := range [][]domain.Fact{nil, {domain.AccessGranted{RequestType: "airport", Indices: []string{}}}, {domain.AccessBlocked{RequestType: "airport"}},
			{domain.AccessGranted{RequestType: "airport", Indices: []string{}}, domain.AccessCleared{RequestType: "airport"}}, {domain.UserDeactivated{}}} {
			u := user(fmt.Sprintf("user%02d", n))
			u.Profile = profile
			appendTo(t, site.Store, domain.UserStream(id(n)), append([]domain.Fact{u}, said...)...)
			n++
		}
	}
	all, _, err := reader.Users(t.Context(), projections.UserFilter{Page: projections.Page{Limit: 100}})
	if err != nil || len(all) != n {
		t.Fatalf("%d users, %v", len(all), err)
	}
	for _, typ := range []domain.RequestTypeDefined{{Name: "airport", Public: true}, {Name: "airport"}, {Name: "other"}} {
		var want []string
		for _, u := range all {
			rights := domain.Rights{Active: u.Active, Access: u.Access}
			if p, err := reader.Profile(t.Context(), u.Profile); err == nil {
				rights.Profile = &p
			}
			if rights.Rule(typ.Name, typ.Public).Allowed {
				want = append(want, u.Username)
			}
		}
		if len(want) == 0 || len(want) == n || !slices.IsSorted(want) {
			t.Fatalf("the rules allow %v", want)
		}
		got := listed(t, func(p projections.Page) (names []string, next string, err error) {
			users, next, err := reader.EntitledTo(t.Context(), typ, p)
			for _, u := range users {
				names = append(names, u.Username)
			}
			return names, next, err
		})
		if got != strings.Join(want, " ") {
			t.Errorf("%s, public %v: %s, want %v", typ.Name, typ.Public, got, want)
		}
	}
}
