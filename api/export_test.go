package api

import "sallyport/domain"

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
