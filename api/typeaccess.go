package api

import (
	"context"
	"net/http"
	"strings"

	"sallyport/domain"
	"sallyport/internal/commands"
)

// entitledShape is a user who may use a request type, and why.
type entitledShape struct {
	UserID     string          `json:"user_id"`
	Username   string          `json:"username"`
	FullName   string          `json:"full_name"`
	Role       domain.UserRole `json:"role"`
	Profile    string          `json:"profile"`
	Rule       domain.Rule     `json:"rule"`
	Why        string          `json:"why"`
	MaxResults int             `json:"max_results"`
	Limits     domain.Limits   `json:"limits"` // of this type alone; 0: none
	Indices    []string        `json:"indices,omitempty"`
}

// usersOfType lists who may use a request type.
func (s *server) usersOfType(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	t, err := s.typeOf(ctx, c)
	if err != nil {
		return answer{}, err
	}
	entitled, next, err := s.Reader.EntitledTo(ctx, t, q.page)
	if err != nil {
		return answer{}, err
	}
	items := make([]entitledShape, len(entitled))
	for i, u := range entitled {
		right := shapeOfRight(u.Rights, t)
		items[i] = entitledShape{UserID: u.ID, Username: u.Username, FullName: u.FullName, Role: u.Role, Profile: u.Profile,
			Rule: right.Rule, Why: right.Why, MaxResults: right.MaxResults, Limits: right.Limits, Indices: right.Indices}
	}
	return list(c, items, next), nil
}

// manyAccess is newAccess for many users.
type manyAccess struct {
	Users      []string       `json:"users"`       // their ids
	Access     string         `json:"access"`      // granted, blocked or cleared; empty: granted
	MaxResults int            `json:"max_results"` // of a grant; 0: as without it
	Limits     *domain.Limits `json:"limits"`      // of a grant; null: as without it
	Indices    []string       `json:"indices"`     // of a grant, see domain.AccessGranted; null: all of the type's
}

type manyAccessShape struct {
	Changed      int   `json:"changed"`
	Unchanged    int   `json:"unchanged"`     // they had it so already
	FromPosition int64 `json:"from_position"` // of the events in this site's log; 0: there are none
	ToPosition   int64 `json:"to_position"`
}

// setAccessOfMany grants, blocks or clears a request type for many users: for
// all of them or for none.
func (s *server) setAccessOfMany(ctx context.Context, c *call, in manyAccess) (answer, error) {
	t, err := s.typeOf(ctx, c)
	if err != nil {
		return answer{}, err
	}
	change := commands.AccessChange{Users: make([]string, len(in.Users))}
	for i, id := range in.Users {
		change.Users[i] = strings.ToLower(id)
	}
	switch {
	case in.Access != "cleared":
		change.Command, err = newAccess{Access: in.Access, MaxResults: in.MaxResults, Limits: in.Limits, Indices: in.Indices}.command(t.Name)
	case in.MaxResults != 0 || in.Limits != nil || in.Indices != nil:
		err = badAccess("", domain.FieldUnwanted, "gives limits to what is cleared")
	default:
		change.Command = domain.ClearAccess{RequestType: t.Name}
	}
	if err != nil {
		return answer{}, err
	}
	done, err := s.Commands.ChangeAccess(ctx, c.by(), change)
	if err != nil {
		return answer{}, err
	}
	return s.written(ctx, done.Stored, answer{status: http.StatusOK,
		value: manyAccessShape{Changed: done.Changed, Unchanged: done.Unchanged, FromPosition: done.From, ToPosition: done.Stored.Seq}})
}
