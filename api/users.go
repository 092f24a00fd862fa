package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"

	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/projections"
)

type userShape struct {
	ID               string                  `json:"id"`
	Username         string                  `json:"username"`
	Email            string                  `json:"email"`
	FullName         string                  `json:"full_name"`
	Role             domain.UserRole         `json:"role"`
	Profile          string                  `json:"profile"`
	Active           bool                    `json:"active"`
	Limits           domain.Limits           `json:"limits"`            // that count
	Priority         int                     `json:"priority"`          // the highest of their requests
	LimitsOverridden domain.LimitsOverridden `json:"limits_overridden"` // what of both is not the profile's
	CreatedAt        domain.Timestamp        `json:"created_at"`
}

// userShape is what is shown of a user: all but the credential.
func (s *server) userShape(ctx context.Context, u projections.User) (userShape, error) {
	profile, err := s.knownProfile(ctx, u.Profile)
	return shapeOfUser(u, profile), err
}

func shapeOfUser(u projections.User, profile *domain.ProfileDefined) userShape {
	rights := domain.Rights{Active: u.Active, Profile: profile, Limits: u.Limits}
	return userShape{ID: u.ID, Username: u.Username, Email: u.Email, FullName: u.FullName, Role: u.Role,
		Profile: u.Profile, Active: u.Active, Limits: rights.RequestLimits(), Priority: rights.Priority(),
		LimitsOverridden: u.Limits, CreatedAt: domain.Timestamp(u.CreatedAt)}
}

// knownProfile returns a profile, nil if it is not known here.
func (s *server) knownProfile(ctx context.Context, name string) (*domain.ProfileDefined, error) {
	if !domain.ValidSlug(name) {
		return nil, nil
	}
	p, err := s.Directory.Profile(ctx, name)
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil
	}
	return &p, err
}

type newUser struct {
	Username string          `json:"username"`
	Email    string          `json:"email"`
	FullName string          `json:"full_name"`
	Role     domain.UserRole `json:"role"` // empty: user
	Profile  string          `json:"profile"`
	Password string          `json:"password"`
}

// String keeps the password out of messages.
func (newUser) String() string { return "new user" }

func (s *server) registerUser(ctx context.Context, c *call, in newUser) (answer, error) {
	if in.Role == "" {
		in.Role = domain.RoleUser
	}
	// Nothing may fail once the user is stored, so the answer is gathered before.
	profile, err := s.knownProfile(ctx, in.Profile)
	if err != nil {
		return answer{}, err
	}
	stored, err := s.Commands.RegisterUser(ctx, c.by(), commands.NewUser(in))
	if err != nil {
		return answer{}, err
	}
	shown := shapeOfUser(projections.User{ID: stored.ID, Username: in.Username, Email: in.Email,
		FullName: in.FullName, Role: in.Role, Profile: in.Profile, Active: true, CreatedAt: stored.At}, profile)
	return answer{status: http.StatusCreated, location: "/users/" + stored.ID, position: stored.Seq, value: shown}, nil
}

func (s *server) listUsers(ctx context.Context, c *call) (answer, error) {
	f, err := userFilter(c)
	if err != nil {
		return answer{}, err
	}
	users, next, err := s.Reader.Users(ctx, f)
	if err != nil {
		return answer{}, err
	}
	items := make([]userShape, len(users))
	for i, u := range users {
		if items[i], err = s.userShape(ctx, u); err != nil {
			return answer{}, err
		}
	}
	return list(c, items, next), nil
}

// maxSearch bounds what is searched for, in characters.
const maxSearch = 100

func userFilter(c *call) (projections.UserFilter, error) {
	q, err := parseQuery(c, "q", "role", "profile", "active")
	if err != nil {
		return projections.UserFilter{}, err
	}
	f := projections.UserFilter{Search: q.values.Get("q"), Role: domain.UserRole(q.values.Get("role")), Profile: q.values.Get("profile"), Page: q.page}
	switch {
	case utf8.RuneCountInString(f.Search) > maxSearch:
		return f, badQuery("q", domain.FieldTooLong, "must be at most "+strconv.Itoa(maxSearch)+" characters")
	case f.Role != "" && !f.Role.Valid():
		return f, badQuery("role", domain.FieldNotOneOf, "must be user, analyst, operator, auditor or admin")
	}
	f.Active, err = q.flag("active")
	return f, err
}

func (s *server) user(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	u, err := s.Directory.User(ctx, id)
	if err != nil {
		return answer{}, err
	}
	shown, err := s.userShape(ctx, u)
	return answer{value: shown, etag: tagOf(u.Pos)}, err
}
