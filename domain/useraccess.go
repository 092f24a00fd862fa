package domain

import "slices"

// LimitsOverridden says which of the profile's limits a user has otherwise;
// nil: the profile's. It replaces what was overridden before, as a whole.
type LimitsOverridden struct {
	Minute   *int `json:"minute,omitempty"` // 0: no limit
	Hour     *int `json:"hour,omitempty"`
	Day      *int `json:"day,omitempty"`
	Month    *int `json:"month,omitempty"`
	Priority *int `json:"priority,omitempty"` // the highest, and what is taken when none is given
}

// LimitsCleared makes all of a user's limits the profile's again.
type LimitsCleared struct{}

// AccessGranted lets a user ask for a request type whatever the profile lists.
type AccessGranted struct {
	RequestType string  `json:"request_type"`
	MaxResults  int     `json:"max_results,omitempty"` // 0: as without the grant
	Limits      *Limits `json:"limits,omitempty"`      // nil: as without the grant
	// Indices are what the user may read of the indices that a search of this type
	// reads, as in [SearchQuery]; empty, and never nil: all.
	Indices []string `json:"indices"`
}

// AccessBlocked keeps a user from asking for a request type.
type AccessBlocked struct {
	RequestType string `json:"request_type"`
}

// AccessCleared undoes what was granted or blocked.
type AccessCleared struct {
	RequestType string `json:"request_type"`
}

// EventType implements [Fact].
func (LimitsOverridden) EventType() string { return "user.limits_overridden" }

// EventType implements [Fact].
func (LimitsCleared) EventType() string { return "user.limits_cleared" }

// EventType implements [Fact].
func (AccessGranted) EventType() string { return "user.access_granted" }

// EventType implements [Fact].
func (AccessBlocked) EventType() string { return "user.access_blocked" }

// EventType implements [Fact].
func (AccessCleared) EventType() string { return "user.access_cleared" }

// Access is what was said of one user and one request type.
type Access struct {
	Blocked    bool     `json:"blocked,omitempty"` // else granted
	MaxResults int      `json:"max_results,omitempty"`
	Limits     *Limits  `json:"limits,omitempty"`
	Indices    []string `json:"indices,omitempty"` // nil: all
}

// OverrideLimits asks for limits of a user's own.
type OverrideLimits LimitsOverridden

func (c OverrideLimits) decide(u User) ([]Fact, error) {
	var f fieldErrors
	given := 0
	for _, l := range []struct {
		pointer string
		value   *int
		least   int
		most    int
	}{{"/minute", c.Minute, 0, maxLimit}, {"/hour", c.Hour, 0, maxLimit}, {"/day", c.Day, 0, maxLimit},
		{"/month", c.Month, 0, maxLimit}, {"/priority", c.Priority, MinPriority, MaxPriority}} {
		if l.value != nil {
			given++
			f.within(l.pointer, *l.value, l.least, l.most)
		}
	}
	f.require(given > 0, "", FieldRequired, "must give one of minute, hour, day, month, priority; to give none, clear the limits")
	if err := f.err("limits"); err != nil {
		return nil, err
	}
	if LimitsOverridden(c).equal(u.now.Limits) {
		return nil, nil
	}
	return []Fact{LimitsOverridden(c)}, nil
}

func (l LimitsOverridden) equal(other LimitsOverridden) bool {
	return same(l.Minute, other.Minute) && same(l.Hour, other.Hour) && same(l.Day, other.Day) &&
		same(l.Month, other.Month) && same(l.Priority, other.Priority)
}

func same[V comparable](a, b *V) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// ClearLimits asks for the profile's limits.
type ClearLimits struct{}

func (ClearLimits) decide(u User) ([]Fact, error) {
	if u.now.Limits == (LimitsOverridden{}) {
		return nil, nil
	}
	return []Fact{LimitsCleared{}}, nil
}

// GrantAccess asks that a user may use a request type. Indices that are nil
// are all; an empty list is refused: it could be meant as none.
type GrantAccess struct {
	AccessGranted
	TypeExists bool // whether RequestType names a request type
}

func (c GrantAccess) decide(u User) ([]Fact, error) {
	if !c.TypeExists {
		return nil, refuseType(c.RequestType)
	}
	var f fieldErrors
	f.bounded(c.MaxResults >= 0 && c.MaxResults <= MaxResultsBound, "/max_results", FieldRange, 0, MaxResultsBound, "must be %d, which sets none, to %d")
	f.limits("/limits", c.Limits)
	if c.Indices != nil {
		checkIndices(&f, "/indices", c.Indices)
	}
	if err := f.err("access"); err != nil {
		return nil, err
	}
	if before, said := u.now.Access[c.RequestType]; said && !before.Blocked && before.MaxResults == c.MaxResults && same(before.Limits, c.Limits) && slices.Equal(before.Indices, c.Indices) {
		return nil, nil
	}
	if c.Indices == nil {
		c.Indices = []string{}
	}
	return []Fact{c.AccessGranted}, nil
}

// BlockAccess asks that a user may not use a request type.
type BlockAccess struct {
	RequestType string
	TypeExists  bool
}

func (c BlockAccess) decide(u User) ([]Fact, error) {
	if !c.TypeExists {
		return nil, refuseType(c.RequestType)
	}
	if u.now.Access[c.RequestType].Blocked {
		return nil, nil
	}
	return []Fact{AccessBlocked{c.RequestType}}, nil
}

func refuseType(name string) error {
	return refuse(NotFound, "unknown-request-type", "there is no request type named %q; nothing was stored", name)
}

// ClearAccess asks that the profile alone decides about a request type.
type ClearAccess struct{ RequestType string }

func (c ClearAccess) decide(u User) ([]Fact, error) {
	if _, said := u.now.Access[c.RequestType]; !said {
		return nil, nil
	}
	return []Fact{AccessCleared(c)}, nil
}
