package api

import (
	"context"
	"encoding/json"

	"sallyport/domain"
)

type requestTypeShape struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Version     int             `json:"version"`
	Parameters  json.RawMessage `json:"parameters"`
	MaxResults  int             `json:"max_results"`
}

func shapeOfType(t domain.RequestTypeDefined) requestTypeShape {
	return requestTypeShape{Name: t.Name, Title: t.Title, Description: t.Description, Version: t.Version,
		Parameters: t.Parameters, MaxResults: t.MaxResults}
}

// listRequestTypes shows what the one who asks may use; who administers the
// response site sees all that there is.
func (s *server) listRequestTypes(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
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
	return listByName(c, q.page, items, func(t requestTypeShape) string { return t.Name })
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
	t, err := s.Directory.RequestType(ctx, name)
	if err != nil {
		return answer{}, err
	}
	if err := rights.MayUse(t.Name, t.Public); err != nil && !s.seesAll(c) {
		return answer{}, err
	}
	return answer{value: shapeOfType(t)}, nil
}

func (s *server) seesAll(c *call) bool {
	return s.role == domain.ResponseSite && c.user.Role == domain.RoleAdmin
}
