package domain

// UserProfileChanged says what of a user's particulars is new; nil: as before.
type UserProfileChanged struct {
	Email    *string `json:"email,omitempty"`
	FullName *string `json:"full_name,omitempty"`
	Profile  *string `json:"profile,omitempty"` // the profile's name
}

// UserRoleChanged gives a user another role.
type UserRoleChanged struct {
	Role UserRole `json:"role"`
}

// UserPasswordChanged gives a user another password.
type UserPasswordChanged struct {
	Credential Credential `json:"credential"`
}

// UserDeactivated keeps a user from doing anything.
type UserDeactivated struct {
	Reason string `json:"reason"`
}

// UserReactivated undoes [UserDeactivated].
type UserReactivated struct{}

// EmailReleased gives an email address free: its user has another.
type EmailReleased struct {
	User string `json:"user"`
}

// EventType implements [Fact].
func (UserProfileChanged) EventType() string { return "user.profile_changed" }

// EventType implements [Fact].
func (UserRoleChanged) EventType() string { return "user.role_changed" }

// EventType implements [Fact].
func (UserPasswordChanged) EventType() string { return "user.password_changed" }

// EventType implements [Fact].
func (UserDeactivated) EventType() string { return "user.deactivated" }

// EventType implements [Fact].
func (UserReactivated) EventType() string { return "user.reactivated" }

// EventType implements [Fact].
func (EmailReleased) EventType() string { return "email.released" }

// ChangeUser says how a user shall be; nil: as now. What is so already leads
// to no fact.
type ChangeUser struct {
	Email    *string
	FullName *string
	Role     *UserRole
	Profile  *string
	Active   *bool
	Reason   string // why the user is deactivated
	// ProfileExists says whether Profile names a profile that may be given.
	ProfileExists bool
	// OtherAdmin says whether somebody else is an active administrator.
	OtherAdmin bool
}

func (c ChangeUser) decide(u User) ([]Fact, error) {
	if err := c.check(u); err != nil {
		return nil, err
	}
	var facts []Fact
	particulars := UserProfileChanged{Email: differs(u.now.Email, c.Email), FullName: differs(u.now.FullName, c.FullName),
		Profile: differs(u.now.Profile, c.Profile)}
	if particulars != (UserProfileChanged{}) {
		facts = append(facts, particulars)
	}
	if role := differs(u.now.Role, c.Role); role != nil {
		facts = append(facts, UserRoleChanged{*role})
	}
	switch active := differs(u.now.Active, c.Active); {
	case active == nil:
	case *active:
		facts = append(facts, UserReactivated{})
	default:
		facts = append(facts, UserDeactivated{Reason: c.Reason})
	}
	if u.ActiveAdmin() && !c.OtherAdmin && !after(u, facts).ActiveAdmin() {
		return nil, errLastAdmin
	}
	return facts, nil
}

func (c ChangeUser) check(u User) error {
	var f fieldErrors
	if c.Email != nil {
		f.email(*c.Email)
	}
	if c.FullName != nil {
		f.text("/full_name", *c.FullName, 0, maxFullName)
	}
	if c.Role != nil {
		f.role(*c.Role)
	}
	if differs(u.now.Profile, c.Profile) != nil {
		f.require(c.ProfileExists, "/profile", FieldNotFound, noProfile)
	}
	f.text("/reason", c.Reason, 0, maxUserReason)
	return f.err("user")
}

const maxUserReason = 1000

// errLastAdmin keeps a site from being left with nobody who could undo it.
var errLastAdmin = refuse(Conflict, "last-admin",
	"this user is the last active administrator: make somebody else one first; nothing was stored")

// differs returns what is wanted unless it is so already.
func differs[V comparable](now V, wanted *V) *V {
	if wanted == nil || *wanted == now {
		return nil
	}
	return wanted
}

func after(u User, facts []Fact) User {
	for _, f := range facts {
		u = u.Apply(f)
	}
	return u
}

// DeactivateUser takes a user's right to do anything; one who is not active
// is a conflict.
type DeactivateUser struct {
	Reason     string
	OtherAdmin bool // see [ChangeUser]
}

func (c DeactivateUser) decide(u User) ([]Fact, error) {
	if !u.now.Active {
		return nil, refuse(Conflict, "user-inactive", "this user is not active already; nothing was stored")
	}
	no := false
	return ChangeUser{Active: &no, Reason: c.Reason, OtherAdmin: c.OtherAdmin}.decide(u)
}

// ReactivateUser gives a user back what deactivating took; one who is active
// is a conflict.
type ReactivateUser struct{}

func (ReactivateUser) decide(u User) ([]Fact, error) {
	if u.now.Active {
		return nil, refuse(Conflict, "user-active", "this user is active already; nothing was stored")
	}
	return []Fact{UserReactivated{}}, nil
}

// ChangePassword gives a user another password.
type ChangePassword struct {
	Credential     Credential
	PasswordErrors []FieldError // see [RegisterUser]
}

func (c ChangePassword) decide(User) ([]Fact, error) {
	var f fieldErrors
	f.password(c.Credential, c.PasswordErrors)
	if err := f.err("password"); err != nil {
		return nil, err
	}
	return []Fact{UserPasswordChanged{c.Credential}}, nil
}
