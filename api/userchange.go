package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/projections"
)

// tagOf names a user, or what else is changed by events, as of the newest one.
func tagOf(pos int64) string { return `"` + strconv.FormatInt(pos, 10) + `"` }

var errTag = &problem{Status: http.StatusPreconditionFailed, code: "precondition-failed",
	Detail: "this is not as If-Match says any more: get it again and look what changed; nothing was stored"}

// seen returns the position that a call's If-Match names; 0: any will do.
func seen(c *call) (int64, error) {
	given := c.Header["If-Match"]
	if len(given) == 0 || given[0] == "*" {
		return 0, nil
	}
	// Of several tags none is the right one: a client has seen one.
	text, quoted := strings.CutPrefix(given[0], `"`)
	text, ends := strings.CutSuffix(text, `"`)
	pos, err := strconv.ParseInt(text, 10, 64)
	if len(given) > 1 || !quoted || !ends || err != nil || pos <= 0 {
		return 0, errTag
	}
	return pos, nil
}

// userPatch says how a user shall be; what is left out, or null, stays.
type userPatch struct {
	Email    *string          `json:"email"`
	FullName *string          `json:"full_name"`
	Role     *domain.UserRole `json:"role"`
	Profile  *string          `json:"profile"`
	Active   *bool            `json:"active"`
	Reason   string           `json:"reason"` // why the user is deactivated
}

func (s *server) patchUser(ctx context.Context, c *call, in userPatch) (answer, error) {
	return s.changeUser(ctx, c, domain.ChangeUser{Email: in.Email, FullName: in.FullName, Role: in.Role, Profile: in.Profile,
		Active: in.Active, Reason: in.Reason}, in.Profile)
}

func (s *server) overrideLimits(ctx context.Context, c *call, in domain.LimitsOverridden) (answer, error) {
	return s.changeUser(ctx, c, domain.OverrideLimits(in), nil)
}

func (s *server) clearLimits(ctx context.Context, c *call) (answer, error) {
	return s.cleared(ctx, c, domain.ClearLimits{})
}

type newPassword struct {
	Password string `json:"password"`
}

// String keeps the password out of messages.
func (newPassword) String() string { return "new password" }

func (s *server) setPassword(ctx context.Context, c *call, in newPassword) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := s.Directory.User(ctx, id); err != nil { // before the password is hashed for nobody
		return answer{}, err
	}
	stored, err := s.Commands.ChangePassword(ctx, c.by(), id, in.Password)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent, position: stored.Seq}, nil
}

// changeUser gives a command about the path's user and shows how the user is
// then. Nothing may fail once it is stored, so what else is shown is gathered
// before: the profile, which is another one if the command says so.
func (s *server) changeUser(ctx context.Context, c *call, command domain.UserCommand, profile *string) (answer, error) {
	u, at, err := s.userToChange(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if profile == nil {
		profile = &u.Profile
	}
	known, err := s.knownProfile(ctx, *profile)
	if err != nil {
		return answer{}, err
	}
	now, stored, err := s.Commands.ChangeUser(ctx, c.by(), commands.UserChange{ID: u.ID, At: at, Command: command})
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	u.Email, u.FullName, u.Role, u.Profile, u.Active, u.Limits = now.Email, now.FullName, now.Role, now.Profile, now.Active, now.Limits
	return s.written(ctx, stored, answer{etag: tagOf(stored.Pos), value: shapeOfUser(u, known)})
}

// cleared is changeUser for a command that leaves nothing to show.
func (s *server) cleared(ctx context.Context, c *call, command domain.UserCommand) (answer, error) {
	u, at, err := s.userToChange(ctx, c)
	if err != nil {
		return answer{}, err
	}
	_, stored, err := s.Commands.ChangeUser(ctx, c.by(), commands.UserChange{ID: u.ID, At: at, Command: command})
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	return s.written(ctx, stored, answer{status: http.StatusNoContent})
}

// written gives an answer the position of what was stored. If all was so
// already nothing was, and it is where the log stands.
func (s *server) written(ctx context.Context, stored commands.Stored, a answer) (answer, error) {
	if a.position = stored.Seq; a.position > 0 {
		return a, nil
	}
	head, err := s.Log.Head(ctx)
	a.position = head.Seq
	return a, err
}

func (s *server) userToChange(ctx context.Context, c *call) (projections.User, int64, error) {
	id, err := idOf(c)
	if err != nil {
		return projections.User{}, 0, err
	}
	at, err := seen(c)
	if err != nil {
		return projections.User{}, 0, err
	}
	u, err := s.Directory.User(ctx, id)
	return u, at, err
}

// staleTag tells a client that gave a tag that it is the tag which is old.
func staleTag(at int64, err error) error {
	if at != 0 && errors.Is(err, commands.ErrStale) {
		return errTag
	}
	return err
}

type newAccess struct {
	Access     string         `json:"access"`      // granted or blocked; empty: granted
	MaxResults int            `json:"max_results"` // of a grant; 0: as without it
	Limits     *domain.Limits `json:"limits"`      // of a grant; null: as without it
	Indices    []string       `json:"indices"`     // of a grant, see domain.AccessGranted; null: all of the type's
}

// command is what a body that grants or blocks a request type asks for.
func (in newAccess) command(requestType string) (domain.UserCommand, error) {
	switch in.Access {
	case "", "granted":
		return domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: requestType, MaxResults: in.MaxResults, Limits: in.Limits, Indices: in.Indices}}, nil
	case "blocked":
		if in.MaxResults != 0 || in.Limits != nil || in.Indices != nil {
			return nil, badAccess("", domain.FieldUnwanted, "gives limits to what is blocked")
		}
		return domain.BlockAccess{RequestType: requestType}, nil
	default:
		return nil, badAccess("/access", domain.FieldNotOneOf, "must be granted or blocked")
	}
}

// setAccess grants or blocks a request type, and shows what then counts.
func (s *server) setAccess(ctx context.Context, c *call, in newAccess) (answer, error) {
	name := mux.Vars(c.Request)["type"]
	command, err := in.command(name)
	if err != nil {
		return answer{}, err
	}
	u, at, err := s.userToChange(ctx, c)
	if err != nil {
		return answer{}, err
	}
	profile, err := s.knownProfile(ctx, u.Profile)
	if err != nil {
		return answer{}, err
	}
	typ, err := s.typeNamed(ctx, name)
	if err != nil {
		return answer{}, err
	}
	now, stored, err := s.Commands.ChangeUser(ctx, c.by(), commands.UserChange{ID: u.ID, At: at, Command: command})
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	rights := domain.Rights{Active: now.Active, Profile: profile, Limits: now.Limits, Access: now.Access}
	return s.written(ctx, stored, answer{value: shapeOfRight(rights, typ)})
}

// typeNamed returns a request type; one that cannot be is left to the command
// to refuse.
func (s *server) typeNamed(ctx context.Context, name string) (domain.RequestTypeDefined, error) {
	if !domain.ValidSlug(name) {
		return domain.RequestTypeDefined{}, nil
	}
	t, err := s.Directory.RequestType(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		err = nil
	}
	return t, err
}

func badAccess(pointer, code, detail string) error {
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-access", Detail: strings.TrimSpace(pointer + " " + detail + "; nothing was stored"),
		Fields: []domain.FieldError{{Pointer: pointer, Code: code, Detail: detail}}}
}

func (s *server) clearAccess(ctx context.Context, c *call) (answer, error) {
	return s.cleared(ctx, c, domain.ClearAccess{RequestType: mux.Vars(c.Request)["type"]})
}
