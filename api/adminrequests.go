package api

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/projections/tally"
	"sallyport/responders/queue"
)

// anyRequestShape is a request as those see it who see to the site's work:
// without what was asked.
type anyRequestShape struct {
	ID          string            `json:"id"`
	Type        string            `json:"type"`
	TypeVersion int               `json:"type_version"`
	Status      domain.Status     `json:"status"`
	Priority    int               `json:"priority"`
	Name        *string           `json:"name"`
	UserID      string            `json:"user_id"`
	Username    *string           `json:"username"` // null: this site does not know the user
	Origin      string            `json:"origin"`   // the site where it was submitted
	CreatedAt   domain.Timestamp  `json:"created_at"`
	RecordedAt  *domain.Timestamp `json:"recorded_at"` // of the answer or failure; null before
	Position    int64             `json:"position"`
}

// listAllRequests lists everybody's requests.
func (s *server) listAllRequests(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "status", "type", "name", "user", "from", "to")
	if err != nil {
		return answer{}, err
	}
	f, err := q.requestFilter()
	if err != nil {
		return answer{}, err
	}
	if f.User = strings.ToLower(q.values.Get("user")); f.User != "" && uuid.Validate(f.User) != nil {
		return answer{}, badQuery("user", domain.FieldForm, "must be a user's id")
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	empty, err := narrow(&f, domain.Status(q.values.Get("status")), link)
	if err != nil || empty {
		return list(c, []anyRequestShape{}, ""), err
	}
	found, next, err := s.Reader.Requests(ctx, f)
	if err != nil {
		return answer{}, err
	}
	items := make([]anyRequestShape, len(found))
	for i, r := range found {
		if items[i], err = s.shapeOfAny(ctx, r, link); err != nil {
			return answer{}, err
		}
	}
	return list(c, items, next), nil
}

func (s *server) shapeOfAny(ctx context.Context, q projections.Request, link Crossing) (anyRequestShape, error) {
	out := anyRequestShape{ID: q.ID, Type: q.Type, TypeVersion: q.TypeVersion, Status: q.Crossed(link.ExportedThrough, link.AckedThrough),
		Priority: q.Priority, UserID: q.User, Origin: q.Origin, CreatedAt: domain.Timestamp(q.CreatedAt), Position: q.Seq}
	if q.Name != "" {
		out.Name = &q.Name
	}
	if !q.RecordedAt.IsZero() {
		at := domain.Timestamp(q.RecordedAt)
		out.RecordedAt = &at
	}
	user, err := s.Directory.User(ctx, q.User)
	if errors.Is(err, projections.ErrNotFound) {
		return out, nil
	}
	out.Username = &user.Username
	return out, err
}

type siteStatsShape struct {
	Users       userCountsShape   `json:"users"`
	Requests    statsShape        `json:"requests"`
	Queue       map[string]int64  `json:"queue"`        // jobs by state
	QueueOldest *domain.Timestamp `json:"queue_oldest"` // since when the oldest waits; null: none does
	Work        deskShape         `json:"work"`
	Links       []linkShape       `json:"links"`
	Cache       cacheShape        `json:"cache"`
}

type userCountsShape struct {
	Total  int64                     `json:"total"`
	Active int64                     `json:"active"`
	ByRole map[domain.UserRole]int64 `json:"by_role"`
}

// deskShape is what waits for analysts; a request site has none.
type deskShape struct {
	Open    int64             `json:"open"`    // nobody's
	Claimed int64             `json:"claimed"` // somebody's
	Oldest  *domain.Timestamp `json:"oldest"`  // since when the first of both waits; null: nothing does
}

// linkShape is a link at a glance; GET /admin/links says more.
type linkShape struct {
	Peer            string            `json:"peer"`
	ExportedThrough int64             `json:"exported_through"`
	AckedThrough    int64             `json:"acked_through"`
	AppliedThrough  int64             `json:"applied_through"`
	LastContact     *domain.Timestamp `json:"last_contact"`
	Stopped         *string           `json:"stopped"`
}

// siteStats counts what a site holds.
func (s *server) siteStats(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	var out siteStatsShape
	var err error
	if out.Users, err = s.countUsers(ctx); err != nil {
		return answer{}, err
	}
	if out.Requests, err = s.countRequests(ctx, tally.Filter{}); err != nil {
		return answer{}, err
	}
	jobs, err := queue.Counts(ctx, s.Pool)
	if err != nil {
		return answer{}, err
	}
	out.Queue = map[string]int64{}
	for _, n := range jobs {
		out.Queue[n.State] += n.Jobs
	}
	oldest, err := queue.Oldest(ctx, s.Pool)
	if err != nil {
		return answer{}, err
	}
	out.QueueOldest = unlessZero(oldest)
	desk, err := s.Reader.WorkWaiting(ctx, s.Now())
	if err != nil {
		return answer{}, err
	}
	out.Work = deskShape{desk.Open, desk.Claimed, unlessZero(desk.Oldest)}
	if out.Links, err = s.linksAtAGlance(ctx); err != nil {
		return answer{}, err
	}
	out.Cache = s.lookAtCache(ctx)
	return answer{value: out}, nil
}

func (s *server) countUsers(ctx context.Context) (userCountsShape, error) {
	counts, err := s.Reader.CountUsers(ctx)
	out := userCountsShape{ByRole: map[domain.UserRole]int64{}}
	for _, n := range counts {
		out.Total += n.Count
		if n.Active {
			out.Active += n.Count
		}
		out.ByRole[n.Role] += n.Count
	}
	return out, err
}

func (s *server) linksAtAGlance(ctx context.Context) ([]linkShape, error) {
	links, err := s.Bridge.Links(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]linkShape, len(links))
	for i, l := range links {
		out[i] = linkShape{Peer: l.Card.Name, ExportedThrough: l.Out.Through, AckedThrough: l.Out.AckedThrough, AppliedThrough: l.In.Through}
		if l.LastContact != nil {
			at := domain.Timestamp(*l.LastContact)
			out[i].LastContact = &at
		}
		if l.Stopped != "" {
			out[i].Stopped = &l.Stopped
		}
	}
	return out, nil
}
