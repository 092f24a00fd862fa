package api

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"

	"sallyport/domain"
)

func (s *server) defineProfile(ctx context.Context, c *call, in domain.ProfileDefined) (answer, error) {
	defined, stored, err := s.Commands.DefineProfile(ctx, c.by(), in)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, location: "/profiles/" + defined.Name, position: stored.Seq, value: defined}, nil
}

func (s *server) listProfiles(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	profiles, err := s.Reader.Profiles(ctx, false)
	if err != nil {
		return answer{}, err
	}
	items := make([]domain.ProfileDefined, len(profiles))
	for i, p := range profiles {
		items[i] = p.ProfileDefined
	}
	return listByName(c, q.page, items, func(p domain.ProfileDefined) string { return p.Name })
}

func (s *server) profile(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Directory.Profile(ctx, name)
	return answer{value: p}, err
}

// putProfile makes the profile of the path's name, or says all of it anew. The
// body may leave its name out.
func (s *server) putProfile(ctx context.Context, c *call, in domain.ProfileDefined) (answer, error) {
	name := mux.Vars(c.Request)["name"]
	if in.Name != "" && in.Name != name {
		return answer{}, &domain.Error{Kind: domain.Invalid, Code: "invalid-profile",
			Detail: "the body names another profile than the path; nothing was stored",
			Fields: []domain.FieldError{{Pointer: "/name", Detail: "must be the name in the path, or be left out"}}}
	}
	in.Name = name
	now, created, stored, err := s.Commands.PutProfile(ctx, c.by(), in)
	if err != nil {
		return answer{}, err
	}
	a := answer{value: now}
	if created {
		a.status, a.location = http.StatusCreated, "/profiles/"+name
	}
	return s.written(ctx, stored, a)
}

func (s *server) retireProfile(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	stored, err := s.Commands.RetireProfile(ctx, c.by(), name)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent, position: stored.Seq}, nil
}
