package domain

import (
	"maps"
	"reflect"
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

// ProfileDefined begins a profile, or brings a retired one back.
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

// ProfileChanged says all of a profile anew.
type ProfileChanged ProfileDefined

// ProfileRetired ends a profile. Users who still have it may ask for nothing;
// one of the same name may be defined again.
type ProfileRetired struct{}

// EventType implements [Fact].
func (ProfileDefined) EventType() string { return "profile.defined" }

// EventType implements [Fact].
func (ProfileChanged) EventType() string { return "profile.changed" }

// EventType implements [Fact].
func (ProfileRetired) EventType() string { return "profile.retired" }

// Profile is the state that the rules about profiles need. The zero value is
// a profile that does not exist yet.
type Profile struct {
	last    *ProfileDefined // nil: it never existed
	retired bool
}

// Exists reports whether the profile may be given to users.
func (p Profile) Exists() bool { return p.last != nil && !p.retired }

// Definition returns what was said of the profile last, also if it was retired
// since; zero if it never existed.
func (p Profile) Definition() ProfileDefined {
	if p.last == nil {
		return ProfileDefined{}
	}
	return *p.last
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

// ValidSlug reports whether s may name a profile or a request type:
// `^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$`, which every request asks of its type.
func ValidSlug(s string) bool {
	return len(s) >= 2 && len(s) <= 64 && only(s, isSlug) && s[0] != '-' && s[len(s)-1] != '-'
}

func isSlug(c byte) bool { return isLower(c) || isDigit(c) || c == '-' }

// ProfileCommand is what may be asked of a profile: [ProfileDefined] and
// [ProfileChanged], which are their own commands, [RetireProfile] and
// [BringBackProfile].
type ProfileCommand interface {
	decide(p Profile) ([]Fact, error)
}

// Decide returns the facts that a command leads to. What a definition leaves
// out is filled in: priority 5, 1,000 results. No facts mean that the profile
// is as the command wants it already.
func (p Profile) Decide(c ProfileCommand) ([]Fact, error) { return c.decide(p) }

func (c ProfileDefined) decide(p Profile) ([]Fact, error) {
	if p.Exists() {
		return nil, refuse(Conflict, "profile-exists", "a profile named %s exists already: change it, or choose another name; nothing was stored", c.Name)
	}
	c = c.filled()
	if err := c.check(); err != nil {
		return nil, err
	}
	return []Fact{c}, nil
}

func (c ProfileChanged) decide(p Profile) ([]Fact, error) {
	if !p.Exists() {
		return nil, refuseProfile(c.Name)
	}
	filled := ProfileDefined(c).filled()
	if err := filled.check(); err != nil {
		return nil, err
	}
	if reflect.DeepEqual(filled, *p.last) {
		return nil, nil
	}
	return []Fact{ProfileChanged(filled)}, nil
}

// RetireProfile asks that a profile be given to nobody any more.
type RetireProfile struct {
	Name  string
	InUse bool // somebody has it
}

func (c RetireProfile) decide(p Profile) ([]Fact, error) {
	switch {
	case !p.Exists():
		return nil, refuseProfile(c.Name)
	case c.InUse:
		return nil, refuse(Conflict, "profile-in-use",
			"users have the profile %s: give them another first; nothing was stored", c.Name)
	}
	return []Fact{ProfileRetired{}}, nil
}

// BringBackProfile asks for a retired profile as it was.
type BringBackProfile struct{ Name string }

func (c BringBackProfile) decide(p Profile) ([]Fact, error) {
	switch {
	case p.last == nil:
		return nil, refuseProfile(c.Name)
	case !p.retired:
		return nil, nil
	}
	return []Fact{*p.last}, nil
}

func refuseProfile(name string) error {
	return refuse(NotFound, "unknown-profile", "there is no profile named %s; nothing was stored", name)
}

// Apply returns the state after a fact.
func (p Profile) Apply(f Fact) Profile {
	switch f := f.(type) {
	case ProfileDefined:
		p.last, p.retired = &f, false
	case ProfileChanged:
		p.last, p.retired = (*ProfileDefined)(&f), false
	case ProfileRetired:
		p.retired = true
	}
	return p
}

func (c ProfileDefined) check() error {
	var f fieldErrors
	f.require(ValidSlug(c.Name), "/name", FieldName, "must be 2 to 64 of a-z 0-9 - and begin and end with a letter or digit")
	f.text("/display_name", c.DisplayName, 0, 100)
	f.text("/description", c.Description, 0, 1000)
	f.within("/priority", c.Priority, MinPriority, MaxPriority)
	f.within("/max_results", c.MaxResults, 1, MaxResultsBound)
	f.limits("/limits", &c.Limits)
	checkNames(&f, "/allowed_request_types", c.Allowed)
	checkNames(&f, "/blocked_request_types", c.Blocked)
	checkTypeLimits(&f, c.TypeLimits)
	return f.err("profile")
}

// filled gives what was left out, and empty lists instead of null, so that
// every reader finds the same shape.
func (c ProfileDefined) filled() ProfileDefined {
	if c.Priority == 0 {
		c.Priority = DefaultPriority
	}
	if c.MaxResults == 0 {
		c.MaxResults = MaxResultsBound
	}
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

// limits takes those that hold no number out of range; nil: none are given.
func (f *fieldErrors) limits(pointer string, l *Limits) {
	f.bounded(l == nil || l.valid(), pointer, FieldRange, 0, maxLimit, "must each be %d, which means no limit, to %d")
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
	f.bounded(len(limits) <= maxListed, "/type_limits", FieldTooMany, 0, maxListed, "must name at most %[2]d types")
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		f.require(ValidSlug(name) && limits[name].valid(), "/type_limits/"+name, FieldForm, "must name a type and hold no number out of range")
	}
}

func checkNames(f *fieldErrors, pointer string, names []string) {
	f.bounded(len(names) <= maxListed, pointer, FieldTooMany, 0, maxListed, "must list at most %[2]d types")
	for _, n := range names {
		f.require(ValidSlug(n), pointer, FieldName, "lists %q, which cannot be a type's name", n)
	}
}
