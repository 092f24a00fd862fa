package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/projections"
)

// limitsShape is how far somebody's limits are used.
type limitsShape struct {
	UserID          string                         `json:"user_id"`
	Profile         string                         `json:"profile"`
	Status          ratelimit.Status               `json:"status"`
	Message         string                         `json:"message"`
	GracePeriodEnds *domain.Timestamp              `json:"grace_period_ends"` // null: no limit is reached
	CountedIn       string                         `json:"counted_in"`        // redis, or memory of this process
	Windows         map[string]useShape            `json:"windows"`
	Types           map[string]map[string]useShape `json:"types"` // that have limits of their own
}

type useShape struct {
	Limit           *int              `json:"limit"` // null: none
	Used            int64             `json:"used"`
	Remaining       *int64            `json:"remaining"` // null: no limit
	ResetsAt        domain.Timestamp  `json:"resets_at"`
	Status          ratelimit.Status  `json:"status"`
	GracePeriodEnds *domain.Timestamp `json:"grace_period_ends"`
}

func shapeOfUse(u ratelimit.Use) useShape {
	shown := useShape{Used: u.Used, ResetsAt: domain.Timestamp(u.Resets), Status: u.Status, GracePeriodEnds: ifAny(u.GraceEnds)}
	if left := u.Remaining(); u.Limit > 0 {
		shown.Limit, shown.Remaining = &u.Limit, &left
	}
	return shown
}

func ifAny(t time.Time) *domain.Timestamp {
	if t.IsZero() {
		return nil
	}
	shown := domain.Timestamp(t)
	return &shown
}

// limitsOfUser looks how far a user's limits are used, of all windows or of some.
func (s *server) limitsOfUser(ctx context.Context, u projections.User, windows []ratelimit.Window) (answer, error) {
	rights, err := s.Directory.Rights(ctx, u.ID)
	if err != nil {
		return answer{}, err
	}
	ask := ratelimit.Ask{User: u.ID, At: s.Now(), Limits: rights.RequestLimits()}
	for _, name := range limitedTypes(rights) {
		ask.Types = append(ask.Types, ratelimit.OfType{Name: name, Limits: rights.TypeLimits(name)})
	}
	r := s.limiter.Look(ctx, ask)
	shown := limitsShape{UserID: u.ID, Profile: u.Profile, Status: r.Status, Message: r.Message, GracePeriodEnds: ifAny(r.GraceEnds),
		CountedIn: "redis", Windows: map[string]useShape{}, Types: map[string]map[string]useShape{}}
	if r.InMemory {
		shown.CountedIn = "memory"
	}
	for _, use := range r.Uses {
		if !slices.Contains(windows, use.Window) {
			continue
		}
		into := shown.Windows
		if use.Type != "" {
			if into = shown.Types[use.Type]; into == nil {
				into = map[string]useShape{}
				shown.Types[use.Type] = into
			}
		}
		into[use.Window.String()] = shapeOfUse(use)
	}
	return answer{value: shown}, nil
}

// limitedTypes are those that have limits of their own for a user, by name.
func limitedTypes(r domain.Rights) []string {
	names := map[string]bool{}
	for name := range r.Access {
		names[name] = true
	}
	if r.Profile != nil {
		for name := range r.Profile.TypeLimits {
			names[name] = true
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return r.TypeLimits(name) == domain.Limits{} })
	return slices.Sorted(maps.Keys(names))
}

// rateLimit tells somebody how far their own limits are used.
func (s *server) rateLimit(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	return s.limitsOfUser(ctx, c.user, ratelimit.Windows[:])
}

type profileLimits struct {
	Profile     string                   `json:"profile"`
	DisplayName string                   `json:"display_name"`
	Limits      domain.Limits            `json:"limits"`
	Priority    int                      `json:"priority"`
	TypeLimits  map[string]domain.Limits `json:"type_limits"`
}

// listRateLimits shows the limits of all profiles that are known here.
func (s *server) listRateLimits(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	profiles, err := s.Reader.Profiles(ctx, false)
	if err != nil {
		return answer{}, err
	}
	items := make([]profileLimits, len(profiles))
	for i, p := range profiles {
		items[i] = profileLimits{Profile: p.Name, DisplayName: p.DisplayName, Limits: p.Limits, Priority: p.Priority, TypeLimits: map[string]domain.Limits{}}
		for name, t := range p.TypeLimits {
			if t.Limits != nil {
				items[i].TypeLimits[name] = *t.Limits
			}
		}
	}
	return listByName(c, q.page, items, func(p profileLimits) string { return p.Profile })
}

// limitsAskedFor are the user and the windows that an administrator names.
func (s *server) limitsAskedFor(ctx context.Context, c *call) (projections.User, []ratelimit.Window, error) {
	windows := ratelimit.Windows[:]
	q, err := onlyQuery(c, "window")
	if err != nil {
		return projections.User{}, nil, err
	}
	if name := q.Get("window"); q.Has("window") {
		w, ok := ratelimit.ParseWindow(name)
		if !ok {
			return projections.User{}, nil, badQuery("window", domain.FieldNotOneOf, "must be minute, hour, day or month")
		}
		windows = []ratelimit.Window{w}
	}
	id := strings.ToLower(mux.Vars(c.Request)["user_id"])
	if len(id) != 36 || uuid.Validate(id) != nil {
		return projections.User{}, nil, errNotFound
	}
	u, err := s.Directory.User(ctx, id)
	return u, windows, err
}

func (s *server) limitsOfOther(ctx context.Context, c *call) (answer, error) {
	u, windows, err := s.limitsAskedFor(ctx, c)
	if err != nil {
		return answer{}, err
	}
	return s.limitsOfUser(ctx, u, windows)
}

// resetLimits makes a user begin anew in one window or in all.
func (s *server) resetLimits(ctx context.Context, c *call) (answer, error) {
	u, windows, err := s.limitsAskedFor(ctx, c)
	if err != nil {
		return answer{}, err
	}
	var names []string
	for _, w := range windows {
		names = append(names, w.String())
	}
	if err := s.acted(ctx, c, "rate-limits.reset", domain.UserStream(u.ID)+" "+strings.Join(names, " ")); err != nil {
		return answer{}, err
	}
	s.limiter.Reset(ctx, u.ID, windows, s.Now())
	a, err := s.limitsOfUser(ctx, u, ratelimit.Windows[:])
	return s.behind(ctx, a, err)
}
