package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gorilla/mux"

	"sallyport/domain"
	"sallyport/internal/commands"
)

type requestTypeShape struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     int             `json:"version"`
	Parameters  json.RawMessage `json:"parameters"`
	MaxResults  int             `json:"max_results"`
	Public      bool            `json:"public"`
	Retired     bool            `json:"retired,omitempty"`
}

func shapeOfType(t domain.RequestTypeDefined) requestTypeShape {
	return requestTypeShape{Name: t.Name, Title: t.Title, Description: t.Description, Version: t.Version,
		Parameters: t.Parameters, MaxResults: t.MaxResults, Public: t.Public}
}

// listRequestTypes shows what the one who asks may use; who administers the
// response site sees all that there is, and what there was.
func (s *server) listRequestTypes(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "retired")
	if err != nil {
		return answer{}, err
	}
	if retired, err := q.flag("retired"); err != nil {
		return answer{}, err
	} else if retired != nil && *retired {
		return s.listRetiredTypes(ctx, c, q)
	}
	rights, err := s.Directory.Rights(ctx, c.user.ID)
	if err != nil {
		return answer{}, err
	}
	types, err := s.Directory.RequestTypes(ctx)
	if err != nil {
		return answer{}, err
	}
	var items []requestTypeShape
	for _, t := range types {
		if s.seesAll(c) || rights.MayUse(t.Name, t.Public) == nil {
			items = append(items, shapeOfType(t))
		}
	}
	return listByName(c, q.page, items, requestTypeShape.name)
}

func (t requestTypeShape) name() string { return t.Name }

func (s *server) listRetiredTypes(ctx context.Context, c *call, q query) (answer, error) {
	if !s.seesAll(c) {
		return answer{}, badQuery("retired", domain.FieldNotAllowed, "can be true for administrators of the response site only")
	}
	types, err := s.Reader.RequestTypes(ctx, true)
	if err != nil {
		return answer{}, err
	}
	items := make([]requestTypeShape, len(types))
	for i, t := range types {
		items[i] = shapeOfType(t.RequestTypeDefined)
		items[i].Retired = true
	}
	return listByName(c, q.page, items, requestTypeShape.name)
}

func (s *server) requestType(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	rights, err := s.Directory.Rights(ctx, c.user.ID)
	if err != nil {
		return answer{}, err
	}
	t, err := s.Directory.KnownRequestType(ctx, name)
	switch {
	case err != nil:
		return answer{}, err
	case t.Retired && s.seesAll(c):
		return answer{}, errRetired("/request-types")
	case t.Retired:
		return answer{}, errNotFound
	}
	if err := rights.MayUse(t.Name, t.Public); err != nil && !s.seesAll(c) {
		return answer{}, err
	}
	return answer{value: shapeOfType(t.RequestTypeDefined), etag: tagOf(t.Pos)}, nil
}

func (s *server) seesAll(c *call) bool {
	return s.role == domain.ResponseSite && c.user.Role == domain.RoleAdmin
}

func (s *server) defineRequestType(ctx context.Context, c *call, in domain.RequestTypeDefined) (answer, error) {
	now, stored, err := s.Commands.DefineRequestType(ctx, c.by(), in.Command())
	if err != nil {
		return answer{}, err
	}
	return said("/request-types/"+now.Name, true, stored, shapeOfType(now)), nil
}

// putRequestType makes the type of the path's name, or says all of it anew, in
// its next version. The body may leave its name out; the version in it is the
// one that was seen.
func (s *server) putRequestType(ctx context.Context, c *call, in domain.RequestTypeDefined) (answer, error) {
	name := mux.Vars(c.Request)["name"]
	if err := sameName(in.Name, name, "invalid-request-type"); err != nil {
		return answer{}, err
	}
	at, err := seen(c)
	if err != nil {
		return answer{}, err
	}
	in.Name = name
	now, created, stored, err := s.Commands.PutRequestType(ctx, c.by(), in.Command(), at)
	if err != nil {
		return answer{}, staleTag(at, err)
	}
	return s.written(ctx, stored, said("/request-types/"+name, created, stored, shapeOfType(now)))
}

// ending is a handler that ends what the path names, if it is as the call's
// If-Match says.
func ending(nameOf func(*call) (string, error), end func(ctx context.Context, by commands.By, name string, at int64) (commands.Stored, error)) handler {
	return func(ctx context.Context, c *call) (answer, error) {
		name, err := nameOf(c)
		if err != nil {
			return answer{}, err
		}
		at, err := seen(c)
		if err != nil {
			return answer{}, err
		}
		stored, err := end(ctx, c.by(), name, at)
		return answer{status: http.StatusNoContent, position: stored.Seq}, staleTag(at, err)
	}
}

// said is the answer to what was made, or said anew.
func said(path string, created bool, stored commands.Stored, shown any) answer {
	a := answer{etag: tagOf(stored.Pos), position: stored.Seq, value: shown}
	if created {
		a.status, a.location = http.StatusCreated, path
	}
	return a
}

func (s *server) restoreRequestType(ctx context.Context, c *call) (answer, error) {
	name, err := slugOf(c)
	if err != nil {
		return answer{}, err
	}
	now, stored, err := s.Commands.BringBackRequestType(ctx, c.by(), name)
	if err != nil {
		return answer{}, err
	}
	return s.written(ctx, stored, answer{etag: tagOf(stored.Pos), value: shapeOfType(now)})
}

// requestTypeVersions lists all that a type ever was, also if it was retired.
func (s *server) requestTypeVersions(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	t, err := s.typeOf(ctx, c)
	if err != nil {
		return answer{}, err
	}
	versions, next, err := s.Reader.RequestTypeVersions(ctx, t.Name, q.page)
	if err != nil {
		return answer{}, err
	}
	items := make([]requestTypeShape, len(versions))
	for i, v := range versions {
		items[i] = shapeOfType(v)
	}
	return list(c, items, next), nil
}

// typeOf returns the request type of the path's name, retired or not.
func (s *server) typeOf(ctx context.Context, c *call) (domain.RequestTypeDefined, error) {
	name := mux.Vars(c.Request)["name"]
	if !domain.ValidSlug(name) {
		return domain.RequestTypeDefined{}, errNotFound
	}
	t, err := s.Directory.KnownRequestType(ctx, name)
	return t.RequestTypeDefined, err
}
