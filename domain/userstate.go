package domain

import "maps"

// User is the state that the rules about a user need. The zero value is a
// user who does not exist yet.
type User struct {
	exists bool
	now    Particulars
}

// Particulars is what was said of a user last, but for the credential.
type Particulars struct {
	Username, Email, FullName string
	Role                      UserRole
	Profile                   string // the profile's name
	Active                    bool
	Limits                    LimitsOverridden
	Access                    map[string]Access // nothing is ever changed in it
}

// Now returns what was said of the user last; zero if there is none.
func (u User) Now() Particulars { return u.now }

// UserCommand is what may be asked of a user: [RegisterUser], [ChangeUser],
// [DeactivateUser], [ReactivateUser], [ChangePassword], [OverrideLimits],
// [ClearLimits], [GrantAccess], [BlockAccess] or [ClearAccess].
type UserCommand interface {
	decide(u User) ([]Fact, error)
}

// Decide returns the facts that a command leads to, or why it may not be. No
// facts mean that all is as the command wants it already.
func (u User) Decide(c UserCommand) ([]Fact, error) {
	if _, begins := c.(RegisterUser); !begins && !u.exists {
		return nil, refuse(NotFound, "unknown-user", "there is no such user; nothing was stored")
	}
	return c.decide(u)
}

// ActiveAdmin reports whether the user may administer the site.
func (u User) ActiveAdmin() bool { return u.now.Active && u.now.Role == RoleAdmin }

// Apply returns the state after a fact.
func (u User) Apply(f Fact) User {
	switch f := f.(type) {
	case UserRegistered:
		return User{exists: true, now: Particulars{Username: f.Username, Email: f.Email, FullName: f.FullName, Role: f.Role,
			Profile: f.Profile, Active: true}}
	case UserProfileChanged:
		replace(&u.now.Email, f.Email)
		replace(&u.now.FullName, f.FullName)
		replace(&u.now.Profile, f.Profile)
	case UserRoleChanged:
		u.now.Role = f.Role
	case LimitsOverridden:
		u.now.Limits = f
	case LimitsCleared:
		u.now.Limits = LimitsOverridden{}
	case UserDeactivated:
		u.now.Active = false
	case UserReactivated:
		u.now.Active = true
	default:
		u.now.Access = ApplyAccess(u.now.Access, f)
	}
	return u
}

// ApplyAccess returns what is said of a user's access to single types after a
// fact. It does not change the map it is given.
func ApplyAccess(access map[string]Access, f Fact) map[string]Access {
	var name string
	var said Access
	switch f := f.(type) {
	case AccessGranted:
		name, said = f.RequestType, Access{MaxResults: f.MaxResults, Limits: f.Limits}
		if len(f.Indices) > 0 { // else nil, which leaves all
			said.Indices = f.Indices
		}
	case AccessBlocked:
		name, said = f.RequestType, Access{Blocked: true}
	case AccessCleared:
		access = maps.Clone(access)
		delete(access, f.RequestType)
		return access
	default:
		return access
	}
	if access = maps.Clone(access); access == nil {
		access = map[string]Access{}
	}
	access[name] = said
	return access
}

func replace[V any](old *V, by *V) {
	if by != nil {
		*old = *by
	}
}

// EmailReservation is who holds an email address. The zero value is nobody.
type EmailReservation struct{ holder string }

// Apply returns the state after a fact.
func (e EmailReservation) Apply(f Fact) EmailReservation {
	switch f := f.(type) {
	case EmailClaimed:
		e.holder = f.User
	case EmailReleased:
		e.holder = ""
	}
	return e
}

// HeldBy reports whether the address is this user's.
func (e EmailReservation) HeldBy(user string) bool { return e.holder == user }

// Free reports whether nobody has the address.
func (e EmailReservation) Free() bool { return e.holder == "" }
