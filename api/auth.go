package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"sallyport/api/session"
	"sallyport/api/token"
	"sallyport/domain"
	"sallyport/projections"
)

type loginRequest struct {
	Username *string `json:"username"`
	Password *string `json:"password"`
}

// given checks that both are there: an empty one is looked at like any other.
func (l loginRequest) given() error {
	var missing []domain.FieldError
	if l.Username == nil {
		missing = append(missing, domain.FieldError{Pointer: "/username", Detail: "is required"})
	}
	if l.Password == nil {
		missing = append(missing, domain.FieldError{Pointer: "/password", Detail: "is required"})
	}
	if missing == nil {
		return nil
	}
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-body", Detail: missing[0].Pointer + " is required", Fields: missing}
}

// String keeps the password out of messages.
func (loginRequest) String() string { return "login" }

type loginAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token"`
}

// login gives tokens for a username and its password. A name that nobody has
// costs the same work as one that somebody has, and is told the same.
func (s *server) login(ctx context.Context, c *call, in loginRequest) (answer, error) {
	if err := in.given(); err != nil {
		return answer{}, err
	}
	if err := s.someUser(ctx); err != nil {
		return answer{}, err
	}
	pair, source := throttleKeys(*in.Username, c.RemoteAddr)
	if wait := max(s.pairs.Blocked(pair, s.Now()), s.sources.Blocked(source, s.Now())); wait > 0 {
		s.loginRefused(ctx, c, *in.Username, domain.RefusedThrottled)
		return answer{}, throttled(wait)
	}
	user, wrong, err := s.checkPassword(ctx, *in.Username, *in.Password)
	if err != nil {
		return answer{}, err
	}
	now := s.Now()
	if wait := max(s.pairs.Outcome(pair, wrong != "", now), s.sources.Outcome(source, wrong != "", now)); wait > 0 {
		s.loginRefused(ctx, c, *in.Username, domain.RefusedThrottled)
		return answer{}, throttled(wait)
	}
	if wrong != "" {
		s.loginRefused(ctx, c, *in.Username, wrong)
		return answer{}, errLogin
	}
	opened, err := s.sessions.Open(ctx, user.ID, c.caller())
	if err != nil {
		return answer{}, err
	}
	return s.grant(opened)
}

// checkPassword hashes exactly once, whether or not the user exists. Someone
// who is not active is told no more than someone unknown; wrong, for the audit
// trail, tells it.
func (s *server) checkPassword(ctx context.Context, username, password string) (user projections.User, wrong string, err error) {
	user, err = s.Reader.UserByName(ctx, username)
	if errors.Is(err, projections.ErrNotFound) {
		return user, domain.RefusedUnknownUser, s.Passwords.Nobody(ctx, password)
	}
	if err != nil {
		return user, "", err
	}
	ok, err := s.Passwords.Verify(ctx, user.Credential, password)
	switch {
	case err != nil:
		return user, "", err
	case !ok:
		wrong = domain.RefusedWrongPassword
	case !user.Active:
		wrong = domain.RefusedInactiveUser
	}
	return user, wrong, nil
}

// loginRefused leaves a record of a refusal. What goes wrong with it does not
// concern the one who is refused.
func (s *server) loginRefused(ctx context.Context, c *call, username, reason string) {
	from := c.client()
	s.Refusals.Refused(ctx, domain.RefuseLogin(username, from.IP, reason, from.Agent, 1))
}

// someUser refuses logins while a request site has no user yet: they come by
// bundle.
func (s *server) someUser(ctx context.Context) error {
	if s.role != domain.RequestSite || s.anyUser.Load() {
		return nil
	}
	some, err := s.Reader.AnyUser(ctx)
	if err != nil {
		return err
	}
	if !some {
		return busy("no-users-yet", "no user has arrived from the response site yet: import its first bundle", 5*time.Second)
	}
	s.anyUser.Store(true)
	return nil
}

func (s *server) grant(of session.Session) (answer, error) {
	access, err := s.tokens.Issue(of.User, of.ID)
	if err != nil {
		return answer{}, err
	}
	return answer{value: loginAnswer{AccessToken: access, TokenType: "Bearer",
		ExpiresIn: int(token.Lifetime / time.Second), RefreshToken: of.Token}}, nil
}

func throttled(wait time.Duration) *problem {
	return &problem{Status: http.StatusTooManyRequests, code: "too-many-failures", retryAfter: wait,
		Detail: "too many failed logins; wait before you try again"}
}

// throttleKeys names an account at an address, and the address alone. Hashed,
// they are short whatever was sent.
func throttleKeys(username, remote string) (pair, source string) {
	source = sourceOf(remote)
	sum := sha256.Sum256([]byte(username + "\n" + source))
	return string(sum[:]), source
}

// sourceOf is an address as guessing is counted: all of an IPv6 network is one.
func sourceOf(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	address := ap.Addr().Unmap()
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

// refresh gives new tokens for a refresh token, which is spent by it.
func (s *server) refresh(ctx context.Context, c *call, in refreshRequest) (answer, error) {
	next, err := s.sessions.Refresh(ctx, in.RefreshToken, c.caller())
	if err != nil {
		return answer{}, s.refused(err)
	}
	user, err := s.Directory.User(ctx, next.User)
	switch {
	case errors.Is(err, projections.ErrNotFound), err == nil && !user.Active:
		return answer{}, s.refused(session.ErrInvalid)
	case err != nil:
		return answer{}, err
	}
	return s.grant(next)
}

// refused turns a refusal of the sessions into one of the API.
func (s *server) refused(err error) error {
	var reused *session.ReusedError
	if errors.As(err, &reused) {
		s.tokens.CloseSession(reused.Session)
	}
	if reused != nil || errors.Is(err, session.ErrInvalid) {
		return &problem{Status: http.StatusUnauthorized, code: "invalid-refresh-token", challenge: true, Detail: err.Error()}
	}
	return err
}

// logout closes the session of a refresh token: its tokens are refused from
// now on. To log out twice, or with a token of no session, is no error.
func (s *server) logout(ctx context.Context, c *call, in refreshRequest) (answer, error) {
	closed, err := s.sessions.Close(ctx, in.RefreshToken, c.caller())
	if err != nil && !errors.Is(err, session.ErrInvalid) {
		return answer{}, err
	}
	s.tokens.CloseSession(closed.ID)
	return answer{status: http.StatusNoContent}, nil
}

// me tells who asks.
func (s *server) me(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	shown, err := s.userShape(ctx, c.user)
	return answer{value: shown}, err
}
