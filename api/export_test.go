package api

import (
	"encoding/json"
	"net/http/httptest"

	"sallyport/domain"
	"sallyport/projections"
)

// Route is one endpoint, for tests that compare the routes with what is
// written down about them.
type Route struct {
	Method, Path string
	Site         domain.Role
	Open         bool
	Roles        []domain.UserRole // nil: every one
}

// Routes lists the whole API.
func Routes(c Config) []Route {
	var out []Route
	for _, e := range (&server{Config: c}).routes() {
		out = append(out, Route{Method: e.method, Path: e.path, Site: e.site, Open: e.who.open, Roles: e.who.roles})
	}
	return out
}

// PageOfNames is one page of a list by name, as its body.
func PageOfNames(names []string, limit int, cursor string) (page struct {
	Items      []string `json:"items"`
	NextCursor string   `json:"next_cursor"`
}, err error) {
	c := &call{Request: httptest.NewRequest("GET", "/names", nil)}
	a, err := listByName(c, projections.Page{Limit: limit, Cursor: cursor}, names, func(s string) string { return s })
	if err != nil {
		return page, err
	}
	body, err := json.Marshal(a.value)
	if err != nil {
		return page, err
	}
	return page, json.Unmarshal(body, &page)
}
