package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/api/throttle"
	"sallyport/domain"
	"sallyport/internal/apikey"
	"sallyport/projections"
)

// authenticate tells who asks, by an access token or an API key, and sees that
// the endpoint is for them. Neither says more than who somebody claims to be:
// the user is looked up each time, so that what changes about them acts on the
// next call.
func (s *server) authenticate(ctx context.Context, c *call, e endpoint) error {
	text, isKey, err := credential(c.Header)
	if err != nil {
		return err
	}
	var owner string
	wrong := errToken
	if isKey {
		wrong = errAPIKey
		if owner, err = s.byAPIKey(ctx, c, text); err != nil {
			return err
		}
	} else if owner, err = s.byToken(ctx, c, text); err != nil {
		return err
	}
	c.user, err = s.Directory.User(ctx, owner)
	switch {
	case errors.Is(err, projections.ErrNotFound), err == nil && !c.user.Active:
		return wrong
	case err != nil:
		return err
	case !e.who.admits(c.user.Role):
		return wrongRole(e, c.user.Role)
	case isKey:
		return e.opensTo(*c.key, c.user.Role)
	}
	return nil
}

// credential finds what a call is made with. Who gives two gets none.
func credential(h http.Header) (text string, isKey bool, err error) {
	keys, tokens := h["X-Api-Key"], h["Authorization"]
	if len(keys)+len(tokens) != 1 {
		return "", false, errNoToken
	}
	if len(keys) == 1 {
		return keys[0], true, nil
	}
	scheme, text, _ := strings.Cut(tokens[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false, errNoToken
	}
	return text, strings.HasPrefix(text, apikey.Prefix), nil
}

// byToken refuses a token once its session was closed anywhere.
func (s *server) byToken(ctx context.Context, c *call, text string) (user string, err error) {
	if err := s.closed.Fresh(ctx); err != nil {
		return "", err
	}
	claims, err := s.tokens.Verify(text)
	if err != nil {
		return "", errToken
	}
	c.session = claims.Session
	return claims.User, nil
}

// byAPIKey looks a key up, in memory if it is one of those that are used. Only
// one that is none is slowed down: whoever has a good one goes on.
func (s *server) byAPIKey(ctx context.Context, c *call, text string) (user string, err error) {
	guess := s.try(c, "", throttle.Key{Rule: keyRule, ID: sourceOf(c.RemoteAddr)})
	given, ok := apikey.Parse(text)
	if !ok {
		return "", guess.outcome(ctx, domain.RefusedAPIKey, errAPIKey)
	}
	hash, now := given.Hash(), s.Now()
	key, err := s.Directory.APIKey(ctx, hash)
	switch {
	case errors.Is(err, projections.ErrNotFound), err == nil && (!hash.Equal(key.Hash) || !key.Good(now)):
		return "", guess.outcome(ctx, domain.RefusedAPIKey, errAPIKey)
	case err != nil:
		return "", err
	}
	s.KeyUses.Note(key.ID, now)
	c.key = &key
	return key.User, nil
}

// The scope that an endpoint asks of an API key, beside those of the domain.
const (
	// noKeys is the zero value: who would use a key there must log in.
	noKeys domain.Scope = ""
	// anyKey is for what every key may see.
	anyKey domain.Scope = "any"
	// ofRequests is for what users do: to read and to write are two scopes.
	ofRequests domain.Scope = "requests"
)

// scope is what an API key needs for the endpoint.
func (e endpoint) scope() domain.Scope {
	switch {
	case e.who.keys != ofRequests:
		return e.who.keys
	case e.method == get:
		return domain.ScopeRequestsRead
	default:
		return domain.ScopeRequestsWrite
	}
}

// opensTo sees that a key may be used for the endpoint: by its scopes, of which
// those count that its owner's role has today.
func (e endpoint) opensTo(key projections.APIKey, role domain.UserRole) error {
	need := e.scope()
	switch {
	case need == noKeys:
		return errNoKeys
	case need == anyKey, slices.Contains(key.Scopes, need) && slices.Contains(role.Scopes(), need):
		return nil
	}
	return &problem{Status: http.StatusForbidden, code: "scope-missing",
		Detail: "this API key lacks the scope " + string(need) + ": use one that has it, or log in"}
}
