package commands_test

import (
	"errors"
	"sync"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore/eventstoretest"
	"sallyport/internal/commands"
	"sallyport/projections"
)

// people is a response site with a profile, a type and users, each of the role
// given; it returns their ids.
func people(t *testing.T, roles ...domain.UserRole) (*commands.Commands, *eventstoretest.Site, []string) {
	t.Helper()
	c, site := setup(t, "core", domain.ResponseSite)
	if _, _, err := c.DefineProfile(t.Context(), by, domain.ProfileDefined{Name: "basic"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.DefineRequestType(t.Context(), by, domain.DefineRequestType{Name: "airport", Title: "A", Parameters: []byte(`{"type":"object","examples":[{}]}`)}); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(roles))
	for i, role := range roles {
		name := "user-" + string(rune('a'+i))
		stored, err := c.RegisterUser(t.Context(), by, commands.NewUser{Username: name, Email: name + "@example.org", Role: role,
			Profile: "basic", Password: "long enough"})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = stored.ID
	}
	return c, site, ids
}

func change(t *testing.T, c *commands.Commands, id string, command domain.UserCommand) error {
	t.Helper()
	_, _, err := c.ChangeUser(t.Context(), by, commands.UserChange{ID: id, Command: command})
	return err
}

func TestAChangedEmailIsReservedAndTheOldOneFree(t *testing.T) {
	t.Parallel()
	c, _, ids := people(t, domain.RoleUser, domain.RoleUser)
	email := func(id, address string) error { return change(t, c, id, domain.ChangeUser{Email: &address}) }
	if err := email(ids[0], "user-b@example.org"); code(err) != "email-taken" {
		t.Errorf("another's address: %v", err)
	}
	if err := email(ids[0], "USER-A@example.org"); err != nil {
		t.Errorf("one's own in other letters: %v", err)
	}
	if err := email(ids[0], "new@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := email(ids[1], "user-a@example.org"); err != nil {
		t.Errorf("an address given free: %v", err)
	}
	if err := email(ids[0], "user-b@example.org"); err != nil {
		t.Errorf("another address given free: %v", err)
	}
	register := func(name, address string) error {
		_, err := c.RegisterUser(t.Context(), by, commands.NewUser{Username: name, Email: address, Role: domain.RoleUser, Profile: "basic", Password: "long enough"})
		return err
	}
	if err := register("user-c", "new@example.org"); err != nil {
		t.Errorf("registering with an address given free: %v", err)
	}
	if err := register("user-d", "user-a@example.org"); code(err) != "email-taken" {
		t.Errorf("registering with a changed address: %v", err)
	}
	if err := register("user-a", "user-a@example.org"); code(err) != "username-taken" {
		t.Errorf("registering somebody again: %v", err)
	}
}

// Of two administrators who demote each other at once, one stays.
func TestOneAdminStays(t *testing.T) {
	t.Parallel()
	for range 5 {
		c, site, ids := people(t, domain.RoleAdmin, domain.RoleAdmin)
		var together sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range ids {
			command := []domain.UserCommand{domain.ChangeUser{Role: new(domain.RoleUser)}, domain.DeactivateUser{}}[i]
			together.Go(func() { errs[i] = change(t, c, id, command) })
		}
		together.Wait()
		left, err := projections.NewReader(site.Pool).ActiveAdmins(t.Context(), 3)
		if err != nil || len(left) != 1 {
			t.Fatalf("%d administrators are left: %v; %v", len(left), err, errs)
		}
		if err := change(t, c, left[0].ID, domain.DeactivateUser{}); code(err) != "last-admin" {
			t.Errorf("the last administrator: %v", err)
		}
	}
}

func TestStaleChangesAreRefused(t *testing.T) {
	t.Parallel()
	c, site, ids := people(t, domain.RoleUser)
	user, err := projections.NewReader(site.Pool).User(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	at := func(pos int64, name string) error {
		_, _, err := c.ChangeUser(t.Context(), by, commands.UserChange{ID: ids[0], At: pos, Command: domain.ChangeUser{FullName: &name}})
		return err
	}
	if err := at(user.Pos, "one"); err != nil {
		t.Fatal(err)
	}
	if err := at(user.Pos, "two"); !errors.Is(err, commands.ErrStale) {
		t.Errorf("what was changed meanwhile: %v", err)
	}
	if err := at(0, "three"); err != nil {
		t.Error(err)
	}
	if err := change(t, c, id7, domain.ChangeUser{}); code(err) != "unknown-user" {
		t.Errorf("nobody: %v", err)
	}
}

const id7 = "00000000-0000-7000-8000-000000000007"

func TestProfilesAreChangedAndRetired(t *testing.T) {
	t.Parallel()
	c, site, ids := people(t, domain.RoleUser)
	put := func(p domain.ProfileDefined) (domain.ProfileDefined, bool, int64) {
		t.Helper()
		got, created, stored, err := c.PutProfile(t.Context(), by, p, 0)
		if err != nil {
			t.Fatal(err)
		}
		return got, created, stored.Seq
	}
	if got, created, seq := put(domain.ProfileDefined{Name: "basic", Priority: 7}); created || seq == 0 || got.Priority != 7 || got.MaxResults != 1000 {
		t.Errorf("a changed one: %+v, %v, %d", got, created, seq)
	}
	if got, created, seq := put(domain.ProfileDefined{Name: "basic", Priority: 7}); created || seq != 0 || got.Priority != 7 {
		t.Errorf("the same again: %+v, %v, %d", got, created, seq)
	}
	if _, created, seq := put(domain.ProfileDefined{Name: "other"}); !created || seq == 0 {
		t.Errorf("a new one: %v, %d", created, seq)
	}
	retire := func(name string) string { _, err := c.RetireProfile(t.Context(), by, name, 0); return code(err) }
	if got := retire("basic"); got != "profile-in-use" {
		t.Errorf("one that somebody has: %q", got)
	}
	if err := change(t, c, ids[0], domain.ChangeUser{Profile: new("other")}); err != nil {
		t.Fatal(err)
	}
	if got := retire("basic"); got != "" {
		t.Errorf("one that nobody has: %q", got)
	}
	if got := retire("basic"); got != "unknown-profile" {
		t.Errorf("a retired one: %q", got)
	}
	if err := change(t, c, ids[0], domain.ChangeUser{Profile: new("basic")}); code(err) != "invalid-user" {
		t.Errorf("to be given a retired one: %v", err)
	}
	if _, err := projections.NewReader(site.Pool).Profile(t.Context(), "basic"); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("a retired one is read: %v", err)
	}
	if _, created, _ := put(domain.ProfileDefined{Name: "basic"}); !created {
		t.Error("a retired one defined again is not new")
	}
}
