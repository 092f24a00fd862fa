package domain

import "maps"

// User is the state that the rules about a user need. The zero value is a
// user who does not exist yet.
type User struct {
	exists, active           bool
	email, fullName, profile string
	role                     UserRole
	limits                   LimitsOverridden
	access                   map[string]Access
}

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

// Email returns the user's present address.
func (u User) Email() string { return u.email }

// ActiveAdmin reports whether the user may administer the site.
func (u User) ActiveAdmin() bool { return u.active && u.role == RoleAdmin }

// Apply returns the state after a fact.
func (u User) Apply(f Fact) User {
	switch f := f.(type) {
	case UserRegistered:
		return User{exists: true, active: true, email: f.Email, fullName: f.FullName, role: f.Role, profile: f.Profile}
	case UserProfileChanged:
		replace(&u.email, f.Email)
		replace(&u.fullName, f.FullName)
		replace(&u.profile, f.Profile)
	case UserRoleChanged:
		u.role = f.Role
	case LimitsOverridden:
		u.limits = f
	case LimitsCleared:
		u.limits = LimitsOverridden{}
	case UserDeactivated:
		u.active = false
	case UserReactivated:
		u.active = true
	default:
		u.access = ApplyAccess(u.access, f)
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
