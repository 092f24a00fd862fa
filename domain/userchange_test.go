package domain_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
)

// registered is a user of the given role, after the given facts.
func registered(role domain.UserRole, facts ...domain.Fact) domain.User {
	u := domain.User{}.Apply(domain.UserRegistered{Username: "alice", Email: "alice@example.org", FullName: "Alice", Role: role, Profile: "basic"})
	for _, f := range facts {
		u = u.Apply(f)
	}
	return u
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	left := domain.UserDeactivated{Reason: "left"}
	for name, c := range map[string]struct {
		user    domain.User
		command domain.UserCommand
		want    []domain.Fact // nil: none
		refused string
	}{
		"nothing":               {registered(domain.RoleUser), domain.ChangeUser{}, nil, ""},
		"what is so":            {registered(domain.RoleUser), domain.ChangeUser{Email: new("alice@example.org"), FullName: new("Alice"), Role: new(domain.RoleUser), Profile: new("basic"), Active: new(true)}, nil, ""},
		"all":                   {registered(domain.RoleUser), domain.ChangeUser{Email: new("a@b.c"), FullName: new(""), Role: new(domain.RoleAuditor), Profile: new("wide"), ProfileExists: true, Active: new(false), Reason: "left"}, []domain.Fact{domain.UserProfileChanged{Email: new("a@b.c"), FullName: new(""), Profile: new("wide")}, domain.UserRoleChanged{Role: domain.RoleAuditor}, left}, ""},
		"one thing":             {registered(domain.RoleUser), domain.ChangeUser{Email: new("alice@example.org"), FullName: new("A")}, []domain.Fact{domain.UserProfileChanged{FullName: new("A")}}, ""},
		"reactivated":           {registered(domain.RoleUser, left), domain.ChangeUser{Active: new(true)}, []domain.Fact{domain.UserReactivated{}}, ""},
		"bad fields":            {registered(domain.RoleUser), domain.ChangeUser{Email: new("x"), FullName: new("\n"), Role: new(domain.UserRole("root")), Profile: new("none"), Reason: "\x00"}, nil, "invalid-user"},
		"unknown user":          {domain.User{}, domain.ChangeUser{}, nil, "unknown-user"},
		"a second registration": {registered(domain.RoleUser), register(), nil, "user-exists"},
		"last admin leaves":     {registered(domain.RoleAdmin), domain.ChangeUser{Active: new(false)}, nil, "last-admin"},
		"last admin demoted":    {registered(domain.RoleAdmin), domain.ChangeUser{Role: new(domain.RoleUser)}, nil, "last-admin"},
		"last admin renamed":    {registered(domain.RoleAdmin), domain.ChangeUser{FullName: new("B")}, []domain.Fact{domain.UserProfileChanged{FullName: new("B")}}, ""},
		"one of two admins":     {registered(domain.RoleAdmin), domain.ChangeUser{Role: new(domain.RoleUser), OtherAdmin: true}, []domain.Fact{domain.UserRoleChanged{Role: domain.RoleUser}}, ""},
		"an admin who had left": {registered(domain.RoleAdmin, left), domain.ChangeUser{Role: new(domain.RoleUser)}, []domain.Fact{domain.UserRoleChanged{Role: domain.RoleUser}}, ""},
		"deactivate":            {registered(domain.RoleUser), domain.DeactivateUser{Reason: "left"}, []domain.Fact{left}, ""},
		"deactivate twice":      {registered(domain.RoleUser, left), domain.DeactivateUser{}, nil, "user-inactive"},
		"deactivate last admin": {registered(domain.RoleAdmin), domain.DeactivateUser{}, nil, "last-admin"},
		"reactivate":            {registered(domain.RoleUser, left), domain.ReactivateUser{}, []domain.Fact{domain.UserReactivated{}}, ""},
		"reactivate active":     {registered(domain.RoleUser), domain.ReactivateUser{}, nil, "user-active"},
		"password":              {registered(domain.RoleUser), domain.ChangePassword{Credential: hashed}, []domain.Fact{domain.UserPasswordChanged{Credential: hashed}}, ""},
		"bad password":          {registered(domain.RoleUser), domain.ChangePassword{PasswordErrors: domain.CheckPassword("x")}, nil, "invalid-password"},
		"unhashed password":     {registered(domain.RoleUser), domain.ChangePassword{Credential: domain.Credential{Algorithm: "plain", Hash: "x"}}, nil, "invalid-password"},
		"limits":                {registered(domain.RoleUser), domain.OverrideLimits{Minute: new(0), Priority: new(10)}, []domain.Fact{domain.LimitsOverridden{Minute: new(0), Priority: new(10)}}, ""},
		"the same limits":       {registered(domain.RoleUser, domain.LimitsOverridden{Hour: new(3)}), domain.OverrideLimits{Hour: new(3)}, nil, ""},
		"fewer limits":          {registered(domain.RoleUser, domain.LimitsOverridden{Hour: new(3), Day: new(4)}), domain.OverrideLimits{Hour: new(3)}, []domain.Fact{domain.LimitsOverridden{Hour: new(3)}}, ""},
		"no limits":             {registered(domain.RoleUser), domain.OverrideLimits{}, nil, "invalid-limits"},
		"bad limits":            {registered(domain.RoleUser), domain.OverrideLimits{Minute: new(-1), Priority: new(11)}, nil, "invalid-limits"},
		"clear limits":          {registered(domain.RoleUser, domain.LimitsOverridden{Hour: new(3)}), domain.ClearLimits{}, []domain.Fact{domain.LimitsCleared{}}, ""},
		"clear no limits":       {registered(domain.RoleUser), domain.ClearLimits{}, nil, ""},
		"grant":                 {registered(domain.RoleUser), domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "aa", MaxResults: 5}, TypeExists: true}, []domain.Fact{domain.AccessGranted{RequestType: "aa", MaxResults: 5, Indices: []string{}}}, ""},
		"grant the same":        {registered(domain.RoleUser, domain.AccessGranted{RequestType: "aa", Limits: &domain.Limits{Day: 1}}), domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "aa", Limits: &domain.Limits{Day: 1}}, TypeExists: true}, nil, ""},
		"grant what is blocked": {registered(domain.RoleUser, domain.AccessBlocked{RequestType: "aa"}), domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "aa"}, TypeExists: true}, []domain.Fact{domain.AccessGranted{RequestType: "aa", Indices: []string{}}}, ""},
		"grant too much":        {registered(domain.RoleUser), domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "aa", MaxResults: 1001, Limits: &domain.Limits{Day: -1}}, TypeExists: true}, nil, "invalid-access"},
		"grant what is not":     {registered(domain.RoleUser), domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "aa"}}, nil, "unknown-request-type"},
		"block":                 {registered(domain.RoleUser), domain.BlockAccess{RequestType: "aa", TypeExists: true}, []domain.Fact{domain.AccessBlocked{RequestType: "aa"}}, ""},
		"block twice":           {registered(domain.RoleUser, domain.AccessBlocked{RequestType: "aa"}), domain.BlockAccess{RequestType: "aa", TypeExists: true}, nil, ""},
		"block what is not":     {registered(domain.RoleUser), domain.BlockAccess{RequestType: "aa"}, nil, "unknown-request-type"},
		"clear access":          {registered(domain.RoleUser, domain.AccessBlocked{RequestType: "aa"}), domain.ClearAccess{RequestType: "aa"}, []domain.Fact{domain.AccessCleared{RequestType: "aa"}}, ""},
		"clear no access":       {registered(domain.RoleUser, domain.AccessBlocked{RequestType: "aa"}, domain.AccessCleared{RequestType: "aa"}), domain.ClearAccess{RequestType: "aa"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.user.Decide(c.command)
			if c.refused != "" {
				if code := codeOf(err); code != c.refused {
					t.Errorf("got %v, %v, want the refusal %s", got, err, c.refused)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, %v\nwant %#v", got, err, c.want)
			}
		})
	}
}

func codeOf(err error) string {
	if refused, ok := err.(*domain.Error); ok {
		return refused.Code
	}
	return ""
}

// TestSayingItAgainChangesNothing: a command that says how things shall be
// leads to no fact once what it led to was applied, and folding does not
// change the state that was folded.
func TestSayingItAgainChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		user := registered(domain.RoleAdmin)
		name := rapid.SampledFrom([]string{"aa", "bb"})
		for range rapid.IntRange(1, 8).Draw(t, "commands") {
			limit := rapid.Ptr(rapid.IntRange(1, 9), true)
			command := rapid.SampledFrom([]domain.UserCommand{
				domain.ChangeUser{FullName: rapid.Ptr(rapid.SampledFrom([]string{"", "x"}), true).Draw(t, "name"), Active: rapid.Ptr(rapid.Bool(), true).Draw(t, "active"),
					Role: rapid.Ptr(rapid.SampledFrom([]domain.UserRole{domain.RoleUser, domain.RoleAdmin}), true).Draw(t, "role"), OtherAdmin: true},
				domain.OverrideLimits{Minute: limit.Draw(t, "minute"), Priority: new(3)}, domain.ClearLimits{},
				domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: name.Draw(t, "granted"), MaxResults: rapid.IntRange(0, 2).Draw(t, "max")}, TypeExists: true},
				domain.BlockAccess{RequestType: name.Draw(t, "blocked"), TypeExists: true}, domain.ClearAccess{RequestType: name.Draw(t, "cleared")},
			}).Draw(t, "command")
			facts, err := user.Decide(command)
			if err != nil {
				t.Fatal(err)
			}
			after := user
			for _, f := range facts {
				after = after.Apply(f)
			}
			if again, err := user.Decide(command); err != nil || !reflect.DeepEqual(again, facts) {
				t.Fatalf("applying changed what was before: %v, %v", again, err)
			}
			if again, err := after.Decide(command); err != nil || len(again) > 0 {
				t.Fatalf("%+v a second time: %v, %v", command, again, err)
			}
			user = after
		}
	})
}

func TestProfileChanges(t *testing.T) {
	t.Parallel()
	defined, err := domain.Profile{}.Decide(domain.ProfileDefined{Name: "basic", Limits: domain.Limits{Minute: 3}})
	if err != nil {
		t.Fatal(err)
	}
	basic := domain.Profile{}.Apply(defined[0])
	retired := basic.Apply(domain.ProfileRetired{})
	same := domain.ProfileChanged(defined[0].(domain.ProfileDefined))
	other := same
	other.Priority = 9
	for name, c := range map[string]struct {
		state   domain.Profile
		command domain.ProfileCommand
		want    []domain.Fact
		refused string
	}{
		"the same":       {basic, domain.ProfileChanged{Name: "basic", Limits: domain.Limits{Minute: 3}}, nil, ""},
		"another":        {basic, domain.ProfileChanged{Name: "basic", Limits: domain.Limits{Minute: 3}, Priority: 9}, []domain.Fact{other}, ""},
		"wrong":          {basic, domain.ProfileChanged{Name: "basic", Priority: 11}, nil, "invalid-profile"},
		"unknown":        {domain.Profile{}, same, nil, "unknown-profile"},
		"retired":        {retired, same, nil, "unknown-profile"},
		"retire":         {basic, domain.RetireProfile{Name: "basic"}, []domain.Fact{domain.ProfileRetired{}}, ""},
		"retire in use":  {basic, domain.RetireProfile{Name: "basic", InUse: true}, nil, "profile-in-use"},
		"retire twice":   {retired, domain.RetireProfile{Name: "basic"}, nil, "unknown-profile"},
		"define again":   {retired, domain.ProfileDefined(same), []domain.Fact{domain.ProfileDefined(same)}, ""},
		"after a change": {basic.Apply(other), same, []domain.Fact{same}, ""},
	} {
		got, err := c.state.Decide(c.command)
		if codeOf(err) != c.refused || c.refused == "" && (err != nil || !reflect.DeepEqual(got, c.want)) {
			t.Errorf("%s: got %+v, %v; want %+v, %q", name, got, err, c.want, c.refused)
		}
	}
}
