package commands

import (
	"context"
	"encoding/hex"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/apikey"
)

// NewAPIKey is the command to issue an API key.
type NewAPIKey struct {
	User      string // the owner's id
	Role      domain.UserRole
	Name      string
	Scopes    []domain.Scope
	ExpiresAt *domain.Timestamp // nil: never
	Have      int               // how many good keys the owner has
}

// IssueAPIKey makes a key on either site; it is good there and nowhere else. It
// is returned this once: only its hash is kept.
func (c *Commands) IssueAPIKey(ctx context.Context, by By, in NewAPIKey) (apikey.Key, Stored, error) {
	key := apikey.New()
	hash := key.Hash()
	facts, err := domain.APIKey{}.Issue(domain.IssueAPIKey{User: in.User, Role: in.Role, Name: in.Name, Prefix: key.Shown(),
		Hash: hex.EncodeToString(hash[:]), Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, Now: c.now(), Have: in.Have})
	if err != nil {
		return apikey.Key{}, Stored{}, err
	}
	id, err := newID()
	if err != nil {
		return apikey.Key{}, Stored{}, err
	}
	stored, err := c.append(ctx, by, eventstore.Write{Stream: domain.APIKeyStream(id), Facts: facts})
	stored.ID = id
	return key, stored, err
}

// RevokeAPIKey ends a key of the owner; an empty owner is an administrator, who
// may end anyone's. To revoke twice changes nothing, and Stored is then zero.
func (c *Commands) RevokeAPIKey(ctx context.Context, by By, id, owner, reason string) (Stored, error) {
	stream := domain.APIKeyStream(id)
	key, version, err := load[domain.APIKey](ctx, c.log, stream)
	if err != nil {
		return Stored{}, err
	}
	facts, err := key.Revoke(owner, owner == "", reason)
	if err != nil || len(facts) == 0 {
		return Stored{}, err
	}
	stored, err := c.append(ctx, by, eventstore.Write{Stream: stream, Expected: version, Facts: facts})
	return stored, taken(err, map[string]*domain.Error{
		stream: conflict("changed-meanwhile", "somebody else revoked this key at the same moment; look again; nothing was stored")})
}
