package api

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"

	"sallyport/domain"
)

type profileShape struct {
	domain.ProfileDefined
	Retired bool `json:"retired,omitempty"`
}

func (s *server) defineProfile(ctx context.Context, c *call, in domain.ProfileDefined) (answer, error) {
	defined, stored, err := s.Commands.DefineProfile(ctx, c.by(), in)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, location: "/profiles/" + defined.Name, position: stored.Seq, etag: tagOf(stored.Pos), value: defined}, nil
}

func (s *server) listProfiles(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "retired")
	if err != nil {
		return answer{}, err
	}
	retired, err := q.flag("retired")
	if err != nil {
		return answer{}, err
	}
	profiles, err := s.Reader.Profiles(ctx, retired != nil && *retired)
	if err != nil {
		return answer{}, err
	}
	items := make([]profileShape, len(profiles))
	for i, p := range profiles {
		items[i] = profileShape{p.ProfileDefined, p.Retired}
	}
	return listByName(c, q.page, items, func(p profileShape) string { return p.Name })
}

func (s *server) profile(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Reader.KnownProfile(ctx, name)
	if err == nil && p.Retired {
		err = errRetired("/profiles")
	}
	return answer{value: p.ProfileDefined, etag: tagOf(p.Pos)}, err
}

// errRetired is the refusal to show what was retired as if it were not.
func errRetired(list string) error {
	return &problem{Status: http.StatusNotFound, code: "not-found",
		Detail: "this was retired: GET " + list + "?retired=true shows what it was, POST …/restore brings it back"}
}

// putProfile makes the profile of the path's name, or says all of it anew. The
// body may leave its name out.
func (s *server) putProfile(ctx context.Context, c *call, in domain.ProfileDefined) (answer, error) {
	name := mux.Vars(c.Request)["name"]
	if err := sameName(in.Name, name, "invalid-profile"); err != nil {
		return answer{}, err
	}
	at, err := seen(c)
	if err != nil {
		return answer{}, err
	}
	in.Name = name
	now, created, stored, err := s.Commands.PutProfile(ctx, c.by(), in, at)
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	return s.written(ctx, stored, said("/profiles/"+name, created, stored, now))
}

func (s *server) restoreProfile(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	now, stored, err := s.Commands.BringBackProfile(ctx, c.by(), name)
	if err != nil {
		return answer{}, err
	}
	return s.written(ctx, stored, answer{etag: tagOf(stored.Pos), value: now})
}
