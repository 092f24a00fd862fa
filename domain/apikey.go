package domain

import (
	"regexp"
	"slices"
	"time"
)

// Scope is what an API key may be used for. It never allows more than its
// owner's role does.
type Scope string

// The scopes of API keys.
const (
	ScopeRequestsRead  Scope = "requests:read"
	ScopeRequestsWrite Scope = "requests:write"
	ScopeAdmin         Scope = "admin"
	ScopeAudit         Scope = "audit"
)

// Scopes returns what an API key of somebody with this role may be for.
func (r UserRole) Scopes() []Scope {
	own := []Scope{ScopeRequestsRead, ScopeRequestsWrite}
	switch r {
	case RoleAdmin:
		return append(own, ScopeAdmin, ScopeAudit)
	case RoleOperator:
		return append(own, ScopeAdmin)
	case RoleAuditor:
		return append(own, ScopeAudit)
	case RoleUser, RoleAnalyst:
		return own
	default:
		return nil
	}
}

// APIKeyIssued begins an API key. The key itself is shown once and kept nowhere.
type APIKeyIssued struct {
	User   string  `json:"user"`
	Name   string  `json:"name"`
	Prefix string  `json:"prefix"` // its first characters, for people to tell keys apart
	Hash   string  `json:"hash"`   // SHA-256, in hex
	Scopes []Scope `json:"scopes"`
	// ExpiresAt is when it stops being good; nil: never.
	ExpiresAt *Timestamp `json:"expires_at,omitempty"`
}

// APIKeyRevoked ends an API key.
type APIKeyRevoked struct {
	Reason string `json:"reason"` // may be empty
}

// EventType implements [Fact].
func (APIKeyIssued) EventType() string { return "apikey.issued" }

// EventType implements [Fact].
func (APIKeyRevoked) EventType() string { return "apikey.revoked" }

// APIKeyStream returns the stream of one API key.
func APIKeyStream(id string) string { return "apikey-" + id }

// APIKey is an API key as its stream tells. The zero value does not exist.
type APIKey struct {
	issued, revoked bool
	user            string
}

// Apply returns the key after a fact.
func (k APIKey) Apply(f Fact) APIKey {
	switch f := f.(type) {
	case APIKeyIssued:
		k.issued, k.user = true, f.User
	case APIKeyRevoked:
		k.revoked = true
	}
	return k
}

// IssueAPIKey asks for a new key.
type IssueAPIKey struct {
	User      string
	Role      UserRole // the owner's
	Name      string
	Prefix    string
	Hash      string
	Scopes    []Scope
	ExpiresAt *Timestamp
	Now       time.Time
	Have      int // how many good keys the owner has
}

// Bounds of API keys.
const (
	MaxAPIKeys       = 50
	maxAPIKeyName    = 100
	maxAPIKeyReason  = 1000
	maxAPIKeyLife    = 5 * 366 * 24 * time.Hour
	codeTooManyKeys  = "too-many-api-keys"
	apiKeyHashDigits = 64
)

var hexDigits = regexp.MustCompile(`^[0-9a-f]+$`)

// Issue returns the facts that issuing leads to, or why it may not be.
func (APIKey) Issue(c IssueAPIKey) ([]Fact, error) {
	var f fieldErrors
	f.text("/name", c.Name, 1, maxAPIKeyName)
	mayGive := c.Role.Scopes()
	f.require(len(c.Scopes) > 0, "/scopes", FieldTooFew, "must name at least one of %v", mayGive)
	for i, s := range c.Scopes {
		f.require(slices.Contains(mayGive, s), "/scopes", FieldNotOneOf, "must be of %v, which is what your role allows", mayGive)
		f.require(!slices.Contains(c.Scopes[:i], s), "/scopes", FieldTwice, "must not name %s twice", s)
	}
	if c.ExpiresAt != nil {
		at := time.Time(*c.ExpiresAt)
		f.require(at.After(c.Now), "/expires_at", FieldRange, "must be in the future")
		f.require(!at.After(c.Now.Add(maxAPIKeyLife)), "/expires_at", FieldRange, "must be within five years; leave it out for a key that does not expire")
	}
	f.require(len(c.Hash) == apiKeyHashDigits && hexDigits.MatchString(c.Hash), "", FieldForm, "the key was not hashed")
	if err := f.err("key"); err != nil {
		return nil, err
	}
	if c.Have >= MaxAPIKeys {
		return nil, refuse(Conflict, codeTooManyKeys, "you have %d API keys, which is all that one user may have: revoke one first; nothing was stored", c.Have)
	}
	return []Fact{APIKeyIssued{User: c.User, Name: c.Name, Prefix: c.Prefix, Hash: c.Hash, Scopes: c.Scopes, ExpiresAt: c.ExpiresAt}}, nil
}

// Revoke returns the facts that revoking by a user leads to; none if it was
// revoked before. Another's key is not there, but for an administrator.
func (k APIKey) Revoke(user string, admin bool, reason string) ([]Fact, error) {
	if !k.issued || k.user != user && !admin {
		return nil, refuse(NotFound, "not-found", "you have no API key of this id: see GET /api-keys; nothing was changed")
	}
	if k.revoked {
		return nil, nil
	}
	return []Fact{APIKeyRevoked{Reason: heard(reason, maxAPIKeyReason)}}, nil
}
