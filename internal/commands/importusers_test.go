package commands_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/commands"
	"sallyport/projections"
)

const oldHash = "$2y$12$abcdefghijklmnopqrstuuDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD"

func old(line int, name string) commands.ImportedUser {
	return commands.ImportedUser{Line: line, Username: name, Email: name + "@example.org", Role: domain.RoleUser, Profile: "free",
		Credential: domain.Credential{Algorithm: "bcrypt", Hash: oldHash}, Active: true}
}

func importer(t *testing.T) (*commands.Commands, *eventstoretest.Site) {
	t.Helper()
	c, site := setup(t, "core", domain.ResponseSite)
	if _, _, err := c.DefineProfile(t.Context(), by, domain.ProfileDefined{Name: "free"}); err != nil {
		t.Fatal(err)
	}
	return c, site
}

func positions(t *testing.T, site *eventstoretest.Site) int64 {
	t.Helper()
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Pos
}

// The second run of an import finds all of the first, and goes on behind it.
func TestImportingUsers(t *testing.T) {
	t.Parallel()
	c, site := importer(t)
	var users []commands.ImportedUser
	for i := range 450 { // several appends
		u := old(i+1, fmt.Sprintf("user-%d", i))
		u.Active = i%10 != 0
		users = append(users, u)
	}
	before := positions(t, site)
	want := commands.Imported{Registered: 300, Deactivated: 30}
	if got, problems, err := c.ImportUsers(t.Context(), by, users[:300], true); err != nil || len(problems) > 0 || got != want || positions(t, site) != before {
		t.Fatalf("dry run: %+v, %v, %v", got, problems, err)
	}
	if got, problems, err := c.ImportUsers(t.Context(), by, users[:300], false); err != nil || len(problems) > 0 || got != want {
		t.Fatalf("first run: %+v, %v, %v", got, problems, err)
	}
	for run, want := range []commands.Imported{{Registered: 150, Deactivated: 15, Present: 300}, {Present: 450}} {
		if got, problems, err := c.ImportUsers(t.Context(), by, users, false); err != nil || len(problems) > 0 || got != want {
			t.Fatalf("run %d: %+v, %v, %v", run+2, got, problems, err)
		}
	}
	all, _, err := projections.NewReader(site.Pool).Users(t.Context(), projections.UserFilter{Page: projections.Page{Limit: 1000}})
	inactive := 0
	for _, u := range all {
		if !u.Active {
			inactive++
		}
		if u.Credential.Hash != oldHash {
			t.Fatalf("%s has the hash %s", u.Username, u.Credential.Hash)
		}
	}
	if err != nil || len(all) != 450 || inactive != 45 {
		t.Errorf("%d users, %d not active, %v", len(all), inactive, err)
	}
}

// All that is wrong is told at once, by line, and then nothing is stored.
func TestAnImportWithProblemsStoresNothing(t *testing.T) {
	t.Parallel()
	c, site := importer(t)
	if _, _, err := c.ImportUsers(t.Context(), by, []commands.ImportedUser{old(1, "taken")}, false); err != nil {
		t.Fatal(err)
	}
	change := func(line int, name string, f func(*commands.ImportedUser)) commands.ImportedUser {
		u := old(line, name)
		f(&u)
		return u
	}
	users := []commands.ImportedUser{
		old(2, "good"),
		change(3, "Upper", func(*commands.ImportedUser) {}),
		change(4, "no-hash", func(u *commands.ImportedUser) { u.Credential.Hash = "" }),
		change(5, "md5", func(u *commands.ImportedUser) { u.Credential.Hash = "5f4dcc3b5aa765d61d8327deb882cf99" }),
		change(6, "costly", func(u *commands.ImportedUser) { u.Credential.Hash = strings.Replace(oldHash, "$12$", "$31$", 1) }),
		change(7, "strange", func(u *commands.ImportedUser) { u.Role, u.Profile = "superuser", "gold" }),
		old(8, "good"),
		change(9, "other", func(u *commands.ImportedUser) { u.Email = "GOOD@example.org" }),
		change(10, "taken", func(u *commands.ImportedUser) { u.Email = "new@example.org" }),
		change(11, "newcomer", func(u *commands.ImportedUser) { u.Email = "Taken@example.org" }),
	}
	before := positions(t, site)
	got, problems, err := c.ImportUsers(t.Context(), by, users, false)
	if err != nil || positions(t, site) != before {
		t.Fatalf("%+v, %v; positions %d and %d", got, err, before, positions(t, site))
	}
	var told []string
	for _, p := range problems {
		word, _, _ := strings.Cut(p.Detail, " ")
		told = append(told, fmt.Sprintf("%d %s", p.Line, word))
		if strings.Contains(p.Detail, "$2y$12$abc") {
			t.Errorf("a hash is shown: %s", p.Detail)
		}
	}
	want := []string{"3 username", "4 hashed_password", "5 hashed_password", "6 hashed_password", "7 role", "7 profile_type",
		"8 username", "8 email", "9 email", "10 username", "11 email"}
	if !slices.Equal(told, want) {
		t.Errorf("told %v\nwant %v", told, want)
	}
}

func TestUsersAreImportedOnTheResponseSite(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, "field", domain.RequestSite)
	if _, _, err := c.ImportUsers(t.Context(), by, nil, false); code(err) != commands.CodeWrongSite {
		t.Errorf("on a request site: %v", err)
	}
}

// Two who import one file at once make each user once.
func TestTwoImportsAtOnce(t *testing.T) {
	t.Parallel()
	c, site := importer(t)
	var users []commands.ImportedUser
	for i := range 50 {
		users = append(users, old(i+1, fmt.Sprintf("user-%d", i)))
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _, _, _ = c.ImportUsers(t.Context(), by, users, false) }) // who is late is refused
	}
	wg.Wait()
	if got, problems, err := c.ImportUsers(t.Context(), by, users, false); err != nil || len(problems) > 0 || got != (commands.Imported{Present: 50}) {
		t.Errorf("%+v, %v, %v", got, problems, err)
	}
	var n int
	if err := site.Pool.QueryRow(t.Context(), `SELECT count(*) FROM readmodel.users`).Scan(&n); err != nil || n != 50 {
		t.Errorf("%d users, %v", n, err)
	}
}
