package domain

import (
	"maps"
	"regexp"
	"slices"
)

// Limits bound how many requests a user may submit in fixed UTC windows. A
// zero means no limit in that window.
type Limits struct {
	Minute int `json:"minute"`
	Hour   int `json:"hour"`
	Day    int `json:"day"`
	Month  int `json:"month"`
}

// TypeLimit narrows one request type within a profile.
type TypeLimit struct {
	MaxResults int     `json:"max_results,omitempty"` // 0: the type's own
	Limits     *Limits `json:"limits,omitempty"`      // nil: the profile's own
}

// ProfileDefined begins a profile, or says all of it anew.
type ProfileDefined struct {
	Name        string               `json:"name"`
	DisplayName string               `json:"display_name"`
	Description string               `json:"description"`
	Limits      Limits               `json:"limits"`
	Priority    int                  `json:"priority"`
	Allowed     []string             `json:"allowed_request_types"`
	Blocked     []string             `json:"blocked_request_types"`
	TypeLimits  map[string]TypeLimit `json:"type_limits"`
	MaxResults  int                  `json:"max_results"`
}

// EventType implements [Fact].
func (ProfileDefined) EventType() string { return "profile.defined" }

// Profile is the state that the rules about profiles need. The zero value is
// a profile that does not exist yet.
type Profile struct {
	exists bool
}

// Bounds of what a profile may say.
const (
	MinPriority     = 1
	MaxPriority     = 10 // goes first
	DefaultPriority = 5
	MaxResultsBound = 1000
	maxListed       = 1000
	maxLimit        = 1_000_000_000
)

var slug = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$`)

// ValidSlug reports whether s may name a profile or a request type.
func ValidSlug(s string) bool { return slug.MatchString(s) }

// Decide returns the facts that defining a profile leads to. The command is
// the fact itself; what it leaves out is filled in: priority 5, 1,000 results.
func (p Profile) Decide(c ProfileDefined) ([]Fact, error) {
	if p.exists {
		return nil, refuse(Conflict, "profile-exists", "a profile named %s exists already", c.Name)
	}
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.MaxResults == 0 {
		c.MaxResults = MaxResultsBound
	}
	var f fieldErrors
	f.require(ValidSlug(c.Name), "/name", "must be 2 to 64 of a-z 0-9 - and begin and end with a letter or digit")
	f.text("/display_name", c.DisplayName, 0, 100)
	f.text("/description", c.Description, 0, 1000)
	f.require(c.Priority >= MinPriority && c.Priority <= MaxPriority, "/priority", "must be 1 to 10")
	f.require(c.MaxResults > 0 && c.MaxResults <= MaxResultsBound, "/max_results", "must be 1 to %d", MaxResultsBound)
	f.require(c.Limits.valid(), "/limits", "must each be 0, which means no limit, to %d", maxLimit)
	checkNames(&f, "/allowed_request_types", c.Allowed)
	checkNames(&f, "/blocked_request_types", c.Blocked)
	checkTypeLimits(&f, c.TypeLimits)
	if err := f.err("profile"); err != nil {
		return nil, err
	}
	return []Fact{c.filled()}, nil
}

// Apply returns the state after a fact.
func (p Profile) Apply(f Fact) Profile {
	if _, ok := f.(ProfileDefined); ok {
		p.exists = true
	}
	return p
}

// filled gives empty lists instead of null, so that every reader finds the
// same shape.
func (c ProfileDefined) filled() ProfileDefined {
	if c.Allowed == nil {
		c.Allowed = []string{}
	}
	if c.Blocked == nil {
		c.Blocked = []string{}
	}
	if c.TypeLimits == nil {
		c.TypeLimits = map[string]TypeLimit{}
	}
	return c
}

// MayUse reports whether a user of this profile may use a request type, and
// why not: a block wins over everything, then the profile's allow-list
// decides, and an empty one means every public type.
func (c ProfileDefined) MayUse(requestType string, public bool) error {
	switch {
	case slices.Contains(c.Blocked, requestType):
		return refuse(Forbidden, "type-not-allowed", "the profile %s blocks the request type %s", c.Name, requestType)
	case len(c.Allowed) > 0 && !slices.Contains(c.Allowed, requestType):
		return refuse(Forbidden, "type-not-allowed", "the profile %s does not list the request type %s", c.Name, requestType)
	case len(c.Allowed) == 0 && !public:
		return refuse(Forbidden, "type-not-allowed", "the request type %s is not public", requestType)
	}
	return nil
}

func (l Limits) valid() bool {
	return min(l.Minute, l.Hour, l.Day, l.Month) >= 0 && max(l.Minute, l.Hour, l.Day, l.Month) <= maxLimit
}

func (t TypeLimit) valid() bool {
	return t.MaxResults >= 0 && t.MaxResults <= MaxResultsBound && (t.Limits == nil || t.Limits.valid())
}

// checkTypeLimits looks at the names in order: equal commands are refused with
// equal words.
func checkTypeLimits(f *fieldErrors, limits map[string]TypeLimit) {
	f.require(len(limits) <= maxListed, "/type_limits", "must name at most %d types", maxListed)
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		f.require(ValidSlug(name) && limits[name].valid(), "/type_limits/"+name, "must name a type and hold no number out of range")
	}
}

func checkNames(f *fieldErrors, pointer string, names []string) {
	f.require(len(names) <= maxListed, pointer, "must list at most %d types", maxListed)
	for _, n := range names {
		f.require(ValidSlug(n), pointer, "lists %q, which cannot be a type's name", n)
	}
}
