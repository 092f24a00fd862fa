package api

import (
	"context"
	"net/http"
	"time"

	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/projections"
)

type newAPIKey struct {
	Name      string            `json:"name"`
	Scopes    []domain.Scope    `json:"scopes"`
	ExpiresAt *domain.Timestamp `json:"expires_at"` // null: never
}

type apiKeyShape struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Prefix     string            `json:"prefix"`
	Scopes     []domain.Scope    `json:"scopes"`
	CreatedAt  domain.Timestamp  `json:"created_at"`
	ExpiresAt  *domain.Timestamp `json:"expires_at"`   // null: never
	LastUsedAt *domain.Timestamp `json:"last_used_at"` // null: not yet
}

// issuedAPIKey is the one answer that holds a key.
type issuedAPIKey struct {
	apiKeyShape
	Key string `json:"key"`
}

// issueAPIKey makes a key for whoever asks.
func (s *server) issueAPIKey(ctx context.Context, c *call, in newAPIKey) (answer, error) {
	have, err := s.Reader.CountAPIKeys(ctx, c.user.ID, s.Now())
	if err != nil {
		return answer{}, err
	}
	key, stored, err := s.Commands.IssueAPIKey(ctx, c.by(), commands.NewAPIKey{User: c.user.ID, Role: c.user.Role,
		Name: in.Name, Scopes: in.Scopes, ExpiresAt: in.ExpiresAt, Have: have})
	if err != nil {
		return answer{}, err
	}
	shown := apiKeyShape{ID: stored.ID, Name: in.Name, Prefix: key.Shown(), Scopes: in.Scopes,
		CreatedAt: domain.Timestamp(stored.At), ExpiresAt: in.ExpiresAt}
	return answer{status: http.StatusCreated, location: "/api-keys/" + stored.ID, position: stored.Seq,
		value: issuedAPIKey{shown, key.Reveal()}}, nil
}

func (s *server) listAPIKeys(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	keys, next, err := s.Reader.APIKeys(ctx, c.user.ID, q.page)
	if err != nil {
		return answer{}, err
	}
	items := make([]apiKeyShape, len(keys))
	for i, k := range keys {
		items[i] = s.shapeOfAPIKey(k)
	}
	return list(c, items, next), nil
}

func (s *server) shapeOfAPIKey(k projections.APIKey) apiKeyShape {
	used := k.LastUsedAt
	if last := s.KeyUses.Last(k.ID); last.After(used) { // not written down yet
		used = last
	}
	return apiKeyShape{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, CreatedAt: domain.Timestamp(k.CreatedAt),
		ExpiresAt: orNull(k.ExpiresAt), LastUsedAt: orNull(used)}
}

func orNull(t time.Time) *domain.Timestamp {
	if t.IsZero() {
		return nil
	}
	shown := domain.Timestamp(t)
	return &shown
}

// revokeAPIKey ends a key of whoever asks. Twice is no error.
func (s *server) revokeAPIKey(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := s.Commands.RevokeAPIKey(ctx, c.by(), id, c.user.ID, ""); err != nil {
		return answer{}, err
	}
	a, err := s.wrote(ctx, nil)
	a.status = http.StatusNoContent
	return a, err
}
