package api

import (
	"context"

	"sallyport/domain"
)

// rightsShape is all that a user may do, and why.
type rightsShape struct {
	UserID   string          `json:"user_id"`
	Username string          `json:"username"`
	Active   bool            `json:"active"`
	Role     domain.UserRole `json:"role"`
	Profile  string          `json:"profile"`
	// ProfileKnown is false for a profile that was retired: it allows nothing.
	ProfileKnown bool               `json:"profile_known"`
	Priority     sourced            `json:"priority"`
	Limits       map[string]sourced `json:"limits"`        // by window; 0: none
	RequestTypes []rightShape       `json:"request_types"` // all that there are
	Calls        []allowedCall      `json:"calls"`         // that the role allows
}

// sourced is a number and who said it: user, profile or default.
type sourced struct {
	Value int    `json:"value"`
	From  string `json:"from"`
}

// rightShape is whether a user may use a request type, and why.
type rightShape struct {
	RequestType string        `json:"request_type"`
	Allowed     bool          `json:"allowed"`
	Rule        domain.Rule   `json:"rule"`
	Why         string        `json:"why"`
	MaxResults  int           `json:"max_results"`
	Limits      domain.Limits `json:"limits"` // of this type alone; 0: none
	// Indices are what the user may read of those that a search of this type
	// reads; left out: all.
	Indices []string `json:"indices,omitempty"`
	// Own is what was said of this user and this type; null: nothing.
	Own *ownShape `json:"own"`
}

// ownShape is what was granted or blocked, as PUT /users/{id}/access/{type}
// takes it.
type ownShape struct {
	Access     string         `json:"access"`
	MaxResults int            `json:"max_results"`
	Limits     *domain.Limits `json:"limits"`
	Indices    []string       `json:"indices"`
}

func shapeOfOwn(r domain.Rights, requestType string) *ownShape {
	said, is := r.Access[requestType]
	if !is {
		return nil
	}
	own := ownShape{Access: "granted", MaxResults: said.MaxResults, Limits: said.Limits}
	if len(said.Indices) > 0 {
		own.Indices = said.Indices
	}
	if said.Blocked {
		own.Access = "blocked"
	}
	return &own
}

type allowedCall struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Site   string `json:"site"`
}

func shapeOfRight(r domain.Rights, t domain.RequestTypeDefined) rightShape {
	ruling := r.Rule(t.Name, t.Public)
	return rightShape{RequestType: t.Name, Allowed: ruling.Allowed, Rule: ruling.Rule, Why: ruling.Detail,
		MaxResults: r.MaxResults(t), Limits: r.TypeLimits(t.Name), Indices: r.Indices(t.Name), Own: shapeOfOwn(r, t.Name)}
}

func (s *server) rights(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	u, err := s.Directory.User(ctx, id)
	if err != nil {
		return answer{}, err
	}
	rights, err := s.Directory.Rights(ctx, id)
	if err != nil {
		return answer{}, err
	}
	types, err := s.Directory.RequestTypes(ctx)
	if err != nil {
		return answer{}, err
	}
	shown := rightsShape{UserID: id, Username: u.Username, Active: u.Active, Role: u.Role, Profile: u.Profile,
		ProfileKnown: rights.Profile != nil, Priority: sourced{rights.Priority(), from(rights, rights.Limits.Priority)},
		Limits: limitsOf(rights), RequestTypes: []rightShape{}, Calls: s.callsOf(u.Role, u.Active)}
	for _, t := range types {
		shown.RequestTypes = append(shown.RequestTypes, shapeOfRight(rights, t))
	}
	return answer{value: shown}, nil
}

func limitsOf(r domain.Rights) map[string]sourced {
	l := r.RequestLimits()
	return map[string]sourced{
		"minute": {l.Minute, from(r, r.Limits.Minute)}, "hour": {l.Hour, from(r, r.Limits.Hour)},
		"day": {l.Day, from(r, r.Limits.Day)}, "month": {l.Month, from(r, r.Limits.Month)},
	}
}

func from(r domain.Rights, own *int) string {
	switch {
	case own != nil:
		return "user"
	case r.Profile != nil:
		return "profile"
	default:
		return "default"
	}
}

// callsOf lists what a role allows beyond what is open to anyone.
func (s *server) callsOf(role domain.UserRole, active bool) []allowedCall {
	calls := []allowedCall{}
	for _, e := range s.routes() {
		if !active || e.who.open || !e.who.admits(role) {
			continue
		}
		site := string(e.site)
		if e.site == onBoth {
			site = "both"
		}
		calls = append(calls, allowedCall{Method: e.method, Path: e.path, Site: site})
	}
	return calls
}
