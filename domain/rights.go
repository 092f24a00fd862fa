package domain

import (
	"fmt"
	"slices"
)

// Rights is all that was said about what one user may do. The functions below
// are the only place that weighs it; both sites ask them, the request site
// when a request is submitted, the response site before it is answered.
type Rights struct {
	Active bool // else nothing is allowed
	// Profile is the user's; nil when it is not known here or was retired, and
	// then nothing is allowed.
	Profile *ProfileDefined
	Limits  LimitsOverridden
	Access  map[string]Access
}

// Rule names what decided about a user and a request type.
type Rule string

// The rules, in the order in which they are asked.
const (
	RuleInactive         Rule = "inactive"
	RuleNoProfile        Rule = "no-profile"
	RuleBlockedForUser   Rule = "blocked-for-user"
	RuleBlockedByProfile Rule = "blocked-by-profile"
	RuleGrantedToUser    Rule = "granted-to-user"
	RuleListedByProfile  Rule = "listed-by-profile"
	RuleNotListed        Rule = "not-listed-by-profile"
	RulePublic           Rule = "public"
	RuleNotPublic        Rule = "not-public"
)

// Ruling is whether a user may use a request type, and why.
type Ruling struct {
	Allowed bool
	Rule    Rule
	Detail  string // for people
}

// Rule decides about a request type. A block wins over everything, a grant
// over the profile's list; then the list decides, and an empty one means every
// public type.
func (r Rights) Rule(requestType string, public bool) Ruling {
	rule := r.rule(requestType, public)
	profile := ""
	if r.Profile != nil {
		profile = r.Profile.Name
	}
	return Ruling{rule.allows(), rule, rule.detail(requestType, profile)}
}

// rule is Rule without words: most calls want none.
func (r Rights) rule(requestType string, public bool) Rule {
	said, own := r.Access[requestType]
	switch p := r.Profile; {
	case !r.Active:
		return RuleInactive
	case p == nil:
		return RuleNoProfile
	case own && said.Blocked:
		return RuleBlockedForUser
	case slices.Contains(p.Blocked, requestType):
		return RuleBlockedByProfile
	case own:
		return RuleGrantedToUser
	case slices.Contains(p.Allowed, requestType):
		return RuleListedByProfile
	case len(p.Allowed) > 0:
		return RuleNotListed
	case public:
		return RulePublic
	default:
		return RuleNotPublic
	}
}

func (r Rule) allows() bool {
	return r == RuleGrantedToUser || r == RuleListedByProfile || r == RulePublic
}

// detail says to people what the rule means of a request type and the profile
// that was asked.
func (r Rule) detail(requestType, profile string) string {
	switch r {
	case RuleInactive:
		return "the user is not active"
	case RuleNoProfile:
		return "the user's profile is not known at this site, or was retired"
	case RuleBlockedForUser:
		return fmt.Sprintf("the request type %s is blocked for this user", requestType)
	case RuleBlockedByProfile:
		return fmt.Sprintf("the profile %s blocks the request type %s", profile, requestType)
	case RuleGrantedToUser:
		return fmt.Sprintf("the request type %s is granted to this user", requestType)
	case RuleListedByProfile:
		return fmt.Sprintf("the profile %s lists the request type %s", profile, requestType)
	case RuleNotListed:
		return fmt.Sprintf("the profile %s does not list the request type %s", profile, requestType)
	case RulePublic:
		return fmt.Sprintf("the request type %s is public, and the profile %s lists none", requestType, profile)
	default:
		return fmt.Sprintf("the request type %s is not public", requestType)
	}
}

// MayUse returns the refusal of a request type that the user may not use.
func (r Rights) MayUse(requestType string, public bool) error {
	if r.rule(requestType, public).allows() {
		return nil
	}
	return refuse(Forbidden, "type-not-allowed", "%s", r.Rule(requestType, public).Detail)
}

// Priority is the highest that the user may give a request, and what one gets
// that is given none: the user's own, else the profile's, else 5.
func (r Rights) Priority() int {
	switch {
	case r.Limits.Priority != nil:
		return *r.Limits.Priority
	case r.Profile != nil && r.Profile.Priority > 0:
		return r.Profile.Priority
	default:
		return DefaultPriority
	}
}

// RequestLimits bound the user's requests of all types: the user's own where
// there are such, else the profile's.
func (r Rights) RequestLimits() Limits {
	var l Limits
	if r.Profile != nil {
		l = r.Profile.Limits
	}
	replace(&l.Minute, r.Limits.Minute)
	replace(&l.Hour, r.Limits.Hour)
	replace(&l.Day, r.Limits.Day)
	replace(&l.Month, r.Limits.Month)
	return l
}

// TypeLimits bound the user's requests of one type, beside those of all types:
// the grant's, else the profile's, else none.
func (r Rights) TypeLimits(requestType string) Limits {
	if said, own := r.Access[requestType]; own && said.Limits != nil {
		return *said.Limits
	}
	if r.Profile != nil {
		if l := r.Profile.TypeLimits[requestType].Limits; l != nil {
			return *l
		}
	}
	return Limits{}
}

// Indices are what the user may read of the indices that a search of a type
// reads; nil: all of them. Only a grant narrows them.
func (r Rights) Indices(requestType string) []string { return r.Access[requestType].Indices }

// MaxResults is how many rows an answer may have: what the grant says, else
// the least of what the profile says of the type, the profile of all, and the
// type itself. 0 in any of them means that it sets none.
func (r Rights) MaxResults(t RequestTypeDefined) int {
	if said := r.Access[t.Name]; said.MaxResults > 0 {
		return said.MaxResults
	}
	least := MaxResultsBound
	limits := []int{t.MaxResults}
	if r.Profile != nil {
		limits = append(limits, r.Profile.MaxResults, r.Profile.TypeLimits[t.Name].MaxResults)
	}
	for _, limit := range limits {
		if limit > 0 {
			least = min(least, limit)
		}
	}
	return least
}
