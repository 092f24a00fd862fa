package domain_test

import (
	"testing"

	"sallyport/domain"
)

// TestPrecedence writes out every combination: a block wins, then a grant,
// then the profile's list, and no list means the public types.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	seen := map[domain.Rule]bool{}
	for n := range 1 << 6 {
		blockedForUser, granted, blocked := n&1 > 0, n&2 > 0, n&4 > 0
		listed, hasList, public := n&8 > 0, n&16 > 0, n&32 > 0
		if blockedForUser && granted || listed && !hasList {
			continue // cannot be said
		}
		r := domain.Rights{Active: true, Profile: &domain.ProfileDefined{Name: "standard"}}
		if hasList {
			r.Profile.Allowed = []string{"other"}
		}
		if listed {
			r.Profile.Allowed = append(r.Profile.Allowed, "airport")
		}
		if blocked {
			r.Profile.Blocked = []string{"airport"}
		}
		if blockedForUser || granted {
			r.Access = map[string]domain.Access{"airport": {Blocked: blockedForUser}}
		}
		want := !blockedForUser && !blocked && (granted || listed || !hasList && public)
		got := r.Rule("airport", public)
		seen[got.Rule] = true
		if got.Allowed != want || got.Detail == "" {
			t.Errorf("blocked for the user %v, granted %v, blocked %v, listed %v, has a list %v, public %v: %+v",
				blockedForUser, granted, blocked, listed, hasList, public, got)
		}
		if err := r.MayUse("airport", public); want != (err == nil) {
			t.Errorf("%+v, but %v", got, err)
		} else if err != nil {
			refusal(t, err, domain.Forbidden, "type-not-allowed")
		}
	}
	if len(seen) != 7 {
		t.Errorf("saw the rules %v only", seen)
	}
	nobody := domain.Rights{Active: true, Access: map[string]domain.Access{"airport": {}}}
	if got := nobody.Rule("airport", true); got.Allowed || got.Rule != domain.RuleNoProfile {
		t.Errorf("without a profile: %+v", got)
	}
	nobody.Active = false
	if got := nobody.Rule("airport", true); got.Allowed || got.Rule != domain.RuleInactive {
		t.Errorf("not active: %+v", got)
	}
}

func TestWhoseLimitsCount(t *testing.T) {
	t.Parallel()
	profile := &domain.ProfileDefined{Name: "standard", Priority: 7, MaxResults: 100, Limits: domain.Limits{Minute: 1, Hour: 2, Day: 3, Month: 4},
		TypeLimits: map[string]domain.TypeLimit{"airport": {MaxResults: 30, Limits: &domain.Limits{Day: 9}}}}
	own := domain.Rights{Profile: profile, Limits: domain.LimitsOverridden{Minute: new(0), Day: new(50), Priority: new(2)},
		Access: map[string]domain.Access{"airport": {MaxResults: 60, Limits: &domain.Limits{Hour: 8}}, "metar": {}}}
	airport := domain.RequestTypeDefined{Name: "airport", MaxResults: 50}
	for name, c := range map[string]struct {
		rights         domain.Rights
		typ            domain.RequestTypeDefined
		priority       int
		limits, ofType domain.Limits
		results        int
	}{
		"nothing said":           {domain.Rights{}, airport, 5, domain.Limits{}, domain.Limits{}, 50},
		"nothing said, no bound": {domain.Rights{}, domain.RequestTypeDefined{}, 5, domain.Limits{}, domain.Limits{}, 1000},
		"profile":                {domain.Rights{Profile: profile}, airport, 7, profile.Limits, domain.Limits{Day: 9}, 30},
		"profile, another type":  {domain.Rights{Profile: profile}, domain.RequestTypeDefined{Name: "x", MaxResults: 500}, 7, profile.Limits, domain.Limits{}, 100},
		"user's own":             {own, airport, 2, domain.Limits{Minute: 0, Hour: 2, Day: 50, Month: 4}, domain.Limits{Hour: 8}, 60},
		"a grant that says none": {own, domain.RequestTypeDefined{Name: "metar", MaxResults: 20}, 2, domain.Limits{Minute: 0, Hour: 2, Day: 50, Month: 4}, domain.Limits{}, 20},
	} {
		if got := c.rights.Priority(); got != c.priority {
			t.Errorf("%s: priority %d, want %d", name, got, c.priority)
		}
		if got := c.rights.RequestLimits(); got != c.limits {
			t.Errorf("%s: limits %+v, want %+v", name, got, c.limits)
		}
		if got := c.rights.TypeLimits(c.typ.Name); got != c.ofType {
			t.Errorf("%s: limits of the type %+v, want %+v", name, got, c.ofType)
		}
		if got := c.rights.MaxResults(c.typ); got != c.results {
			t.Errorf("%s: %d results, want %d", name, got, c.results)
		}
	}
}
