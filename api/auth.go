package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"sallyport/api/session"
	"sallyport/api/throttle"
	"sallyport/api/token"
	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/internal/password"
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
		missing = append(missing, domain.FieldError{Pointer: "/username", Code: domain.FieldRequired, Detail: "is required"})
	}
	if l.Password == nil {
		missing = append(missing, domain.FieldError{Pointer: "/password", Code: domain.FieldRequired, Detail: "is required"})
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
	user, err := s.checkLogin(ctx, c, *in.Username, *in.Password)
	if err != nil {
		return answer{}, err
	}
	opened, err := s.sessions.Open(ctx, user.ID, c.caller())
	if err != nil {
		return answer{}, err
	}
	return s.grant(ctx, opened)
}

// checkLogin finds the user of a username and its password, unless too many
// were wrong.
func (s *server) checkLogin(ctx context.Context, c *call, username, password string) (projections.User, error) {
	try := s.loginTry(ctx, c, username)
	if err := try.blocked(ctx); err != nil {
		return projections.User{}, err
	}
	user, wrong, err := s.checkPassword(ctx, username, password)
	if err != nil {
		return projections.User{}, err
	}
	return user, try.outcome(ctx, wrong, errLogin)
}

// checkPassword hashes exactly once, whether or not the user exists. Someone
// who is not active is told no more than someone unknown; wrong, for the audit
// trail, tells it.
func (s *server) checkPassword(ctx context.Context, username, given string) (user projections.User, wrong string, err error) {
	user, err = s.Reader.UserByName(ctx, username)
	if errors.Is(err, projections.ErrNotFound) {
		return user, domain.RefusedUnknownUser, s.checkNobody(ctx, username, given)
	}
	if err != nil {
		return user, "", err
	}
	ok, err := s.Passwords.Verify(ctx, user.Credential, given)
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

// checkNobody does the work of checking a password for a username that nobody
// has: that of some user, always the same one for a name. The hashes of users
// who came from elsewhere take another time than those made here, and from
// the time of an answer nobody shall learn whether there is somebody.
func (s *server) checkNobody(ctx context.Context, username, given string) error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(s.Log.Epoch() + username))
	place := []byte{letters[int(sum[0])%len(letters)], letters[int(sum[1])%len(letters)]}
	somebody, err := s.Reader.UserFrom(ctx, string(place))
	if err == nil {
		_, err = s.Passwords.Verify(ctx, somebody.Credential, given)
	}
	if errors.Is(err, projections.ErrNotFound) || errors.Is(err, password.ErrCredential) {
		return s.Passwords.Nobody(ctx, given)
	}
	return err
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

// grant gives out what a session stands for.
func (s *server) grant(ctx context.Context, of session.Session) (answer, error) {
	access, err := s.tokens.Issue(of.User, of.ID)
	if err != nil {
		return answer{}, err
	}
	return s.written(ctx, commands.Stored{Seq: of.Position}, answer{value: loginAnswer{AccessToken: access, TokenType: "Bearer",
		ExpiresIn: int(token.Lifetime / time.Second), RefreshToken: of.Token}})
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

// refresh gives new tokens for a refresh token, which is spent by it.
func (s *server) refresh(ctx context.Context, c *call, in refreshRequest) (answer, error) {
	next, err := s.sessions.Refresh(ctx, in.RefreshToken, c.caller())
	if err != nil {
		return answer{}, s.refused(ctx, c, err)
	}
	user, err := s.Directory.User(ctx, next.User)
	switch {
	case errors.Is(err, projections.ErrNotFound), err == nil && !user.Active:
		return answer{}, s.refused(ctx, c, session.ErrInvalid)
	case err != nil:
		return answer{}, err
	}
	return s.grant(ctx, next)
}

// refused turns a refusal of the sessions into one of the API, and counts it.
func (s *server) refused(ctx context.Context, c *call, err error) error {
	var reused *session.ReusedError
	if errors.As(err, &reused) {
		s.tokens.CloseSession(reused.Session)
	}
	if reused != nil || errors.Is(err, session.ErrInvalid) {
		return s.try(c, "", throttle.Key{Rule: refreshRule, ID: sourceOf(c.RemoteAddr)}).outcome(ctx, domain.RefusedRefreshToken,
			&problem{Status: http.StatusUnauthorized, code: "invalid-refresh-token", challenge: true, Detail: err.Error()})
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
	return s.written(ctx, commands.Stored{}, answer{status: http.StatusNoContent})
}

// me tells who asks.
func (s *server) me(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	shown, err := s.userShape(ctx, c.user)
	return answer{value: shown}, err
}
