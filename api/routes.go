package api

import (
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"sallyport/domain"
)

// audience says who may call an endpoint. The zero value is nobody.
type audience struct {
	open  bool              // no login needed
	roles []domain.UserRole // nil: every active user
	users bool
}

var (
	anyone = audience{open: true}
	users  = audience{users: true}
	admins = audience{users: true, roles: []domain.UserRole{domain.RoleAdmin}}
)

func (a audience) admits(role domain.UserRole) bool {
	return a.users && (a.roles == nil || slices.Contains(a.roles, role))
}

const (
	get  = http.MethodGet
	post = http.MethodPost

	onBoth     = domain.Role("")
	onRequest  = domain.RequestSite
	onResponse = domain.ResponseSite
)

// endpoint is one method of one path.
type endpoint struct {
	path    string
	method  string
	site    domain.Role // empty: both
	who     audience
	handler handler
}

// routes is the whole API. The busiest paths come first: the router tries
// them in this order.
func (s *server) routes() []endpoint {
	return []endpoint{
		// what users do
		{"/requests", post, onRequest, users, taking(s.submit)},
		{"/requests", get, onRequest, users, s.listRequests},
		{"/requests/{id}/response", get, onRequest, users, s.response},
		{"/requests/{id}", get, onRequest, users, s.request},
		{"/request-types", get, onBoth, users, s.listRequestTypes},
		{"/request-types/{name}", get, onBoth, users, s.requestType},
		{"/auth/me", get, onBoth, users, s.me},
		// what needs no login
		{"/auth/login", post, onBoth, anyone, taking(s.login)},
		{"/auth/refresh", post, onBoth, anyone, taking(s.refresh)},
		{"/auth/logout", post, onBoth, anyone, taking(s.logout)},
		{"/health", get, onBoth, anyone, s.health},
		{"/health/ready", get, onBoth, anyone, s.ready},
		// what administrators do
		{"/users", post, onResponse, admins, taking(s.registerUser)},
		{"/users", get, onResponse, admins, s.listUsers},
		{"/users/{id}", get, onResponse, admins, s.user},
		{"/profiles", post, onResponse, admins, taking(s.defineProfile)},
		{"/profiles", get, onResponse, admins, s.listProfiles},
		{"/profiles/{name}", get, onResponse, admins, s.profile},
	}
}

func (s *server) router() http.Handler {
	router := mux.NewRouter().SkipClean(true)
	paths := map[string]path{}
	for _, e := range s.routes() {
		if _, known := paths[e.path]; !known {
			p := path{server: s, methods: map[string]endpoint{}}
			paths[e.path] = p
			router.Handle(e.path, p)
		}
		paths[e.path].methods[e.method] = e
	}
	router.NotFoundHandler = path{server: s}
	return router
}

// path is all that one path offers; one without methods does not exist.
type path struct {
	server  *server
	methods map[string]endpoint
}

// find returns the endpoint of a method, or why there is none.
func (p path) find(method string) (endpoint, error) {
	if len(p.methods) == 0 {
		return endpoint{}, errNoPath
	}
	if method == http.MethodHead {
		method = get
	}
	e, ok := p.methods[method]
	if ok && (e.site == onBoth || e.site == p.server.role) {
		return e, nil
	}
	allowed := p.allowed()
	if ok || len(allowed) == 0 {
		for _, e = range p.methods {
			break // all endpoints of a path that is not here belong to the same site
		}
		return endpoint{}, elsewhere(e, method, allowed)
	}
	return endpoint{}, wrongMethod(allowed)
}

// allowed lists the methods that this site offers.
func (p path) allowed() []string {
	var methods []string
	for m, e := range p.methods {
		if e.site == onBoth || e.site == p.server.role {
			methods = append(methods, m)
		}
	}
	if slices.Contains(methods, get) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return methods
}
