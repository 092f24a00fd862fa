package domain

import (
	"log/slog"
	"net/mail"
	"regexp"
	"slices"
	"unicode/utf8"
)

// UserRole says what a user may do. The zero value is no role.
type UserRole string

// The roles of users.
const (
	RoleUser     UserRole = "user"
	RoleAnalyst  UserRole = "analyst"
	RoleOperator UserRole = "operator"
	RoleAuditor  UserRole = "auditor"
	RoleAdmin    UserRole = "admin"
)

var userRoles = []UserRole{RoleUser, RoleAnalyst, RoleOperator, RoleAuditor, RoleAdmin}

// Valid reports whether there is such a role.
func (r UserRole) Valid() bool { return slices.Contains(userRoles, r) }

// Credential is a password's hash, never the password. It leaves a site only
// inside an encrypted bundle.
type Credential struct {
	Algorithm string `json:"algorithm"` // argon2id or bcrypt
	Hash      string `json:"hash"`
}

// String keeps the hash out of messages.
func (c Credential) String() string { return "credential(" + c.Algorithm + ")" }

// LogValue keeps the hash out of logs.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// valid accepts what the login can verify: argon2id, and bcrypt for users
// taken over from elsewhere.
func (c Credential) valid() bool {
	return (c.Algorithm == "argon2id" || c.Algorithm == "bcrypt") && credentialHash.MatchString(c.Hash)
}

var credentialHash = regexp.MustCompile(`^[!-~]{1,512}$`)

// UserRegistered begins a user.
type UserRegistered struct {
	Username   string     `json:"username"`
	Email      string     `json:"email"`
	FullName   string     `json:"full_name"`
	Role       UserRole   `json:"role"`
	Profile    string     `json:"profile"`
	Credential Credential `json:"credential"`
}

// UsernameClaimed reserves a username for a user.
type UsernameClaimed struct {
	User string `json:"user"`
}

// EmailClaimed reserves an email address for a user.
type EmailClaimed struct {
	User string `json:"user"`
}

// EventType implements [Fact].
func (UserRegistered) EventType() string { return "user.registered" }

// EventType implements [Fact].
func (UsernameClaimed) EventType() string { return "username.claimed" }

// EventType implements [Fact].
func (EmailClaimed) EventType() string { return "email.claimed" }

// RegisterUser asks for a new user.
type RegisterUser struct {
	Username   string
	Email      string
	FullName   string
	Role       UserRole
	Profile    string
	Credential Credential
	// PasswordErrors is what [CheckPassword] found wrong with the password that
	// Credential was to be made of. If there is any, Credential may be zero.
	PasswordErrors []FieldError
	// ProfileExists says whether Profile names a profile that may be given.
	ProfileExists bool
}

// Usernames are ASCII and lower case, so that no two of them can be mistaken
// for each other by normalisation or by look-alike letters.
var username = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,62}[a-z0-9]$`)

func (c RegisterUser) decide(u User) ([]Fact, error) {
	if u.exists {
		return nil, refuse(Conflict, "user-exists", "this user exists already; nothing was stored")
	}
	var f fieldErrors
	f.require(username.MatchString(c.Username), "/username", FieldName, "must be 3 to 64 of a-z 0-9 . _ - and begin and end with a letter or digit")
	f.email(c.Email)
	f.text("/full_name", c.FullName, 0, maxFullName)
	f.role(c.Role)
	f.require(c.ProfileExists, "/profile", FieldNotFound, noProfile)
	f.password(c.Credential, c.PasswordErrors)
	if err := f.err("user"); err != nil {
		return nil, err
	}
	return []Fact{UserRegistered{Username: c.Username, Email: c.Email, FullName: c.FullName,
		Role: c.Role, Profile: c.Profile, Credential: c.Credential}}, nil
}

// CheckPassword says what is wrong with a password that is too short to
// withstand guessing or too long to hash (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
func CheckPassword(password string) []FieldError {
	var f fieldErrors
	n := utf8.RuneCountInString(password)
	f.bounded(n >= 8, "/password", FieldTooShort, 8, 128, "must have %d to %d characters")
	f.bounded(n <= 128, "/password", FieldTooLong, 8, 128, "must have %d to %d characters")
	return f
}

const (
	maxFullName = 200
	noProfile   = "names no profile"
)

func (f *fieldErrors) email(s string) {
	a, err := mail.ParseAddress(s)
	f.require(err == nil && a.Address == s && len(s) <= 254, "/email", FieldEmail, "must be one email address")
}

func (f *fieldErrors) role(r UserRole) {
	f.require(r.Valid(), "/role", FieldNotOneOf, "must be one of %v", userRoles)
}

// password adds what was found wrong with a password, or that it was hashed
// in no way that the login can verify.
func (f *fieldErrors) password(c Credential, wrong []FieldError) {
	*f = append(*f, wrong...)
	f.require(len(wrong) > 0 || c.valid(), "/password", FieldForm, "was not hashed by argon2id or bcrypt")
}
