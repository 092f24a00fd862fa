package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"sallyport/domain"
)

// audience says who may call an endpoint. The zero value is nobody.
type audience struct {
	open  bool              // no login needed
	roles []domain.UserRole // nil: every active user
	users bool
	keys  domain.Scope // what an API key needs; empty: no key may
}

var (
	anyone = audience{open: true}
	users  = audience{users: true, keys: ofRequests}
	admins = audience{users: true, roles: []domain.UserRole{domain.RoleAdmin}, keys: domain.ScopeAdmin}
	// operators carry and decide about files. Who administers may too.
	operators = audience{users: true, roles: []domain.UserRole{domain.RoleOperator, domain.RoleAdmin}, keys: domain.ScopeAdmin}
	// analysts answer for others, in person: a key that was made to ask must not.
	analysts = audience{users: true, roles: []domain.UserRole{domain.RoleAnalyst}}
	// auditors see everything, and that they did is recorded. Who administers may too.
	auditors = audience{users: true, roles: []domain.UserRole{domain.RoleAuditor, domain.RoleAdmin}, keys: domain.ScopeAudit}
	// whoever may use what tells them of themselves, whatever their key is for.
	whoever = audience{users: true, keys: anyKey}
	// inPerson is for what somebody who got hold of a key must not do with it.
	inPerson = audience{users: true}
)

func (a audience) admits(role domain.UserRole) bool {
	return a.users && (a.roles == nil || slices.Contains(a.roles, role))
}

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	patch = http.MethodPatch
	del   = http.MethodDelete

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
	bounds  bounds
	holds   bool // a call may ask to be answered only when something changes
}

// holding lets an endpoint's calls wait.
func (e endpoint) holding() endpoint {
	e.holds = true
	return e
}

// within gives an endpoint other bounds than the usual ones.
func (e endpoint) within(b bounds) endpoint {
	e.bounds = b
	return e
}

// on is an endpoint within the usual bounds.
func on(path, method string, site domain.Role, who audience, h handler) endpoint {
	return endpoint{path: path, method: method, site: site, who: who, handler: h}
}

// routes is the whole API. The busiest paths come first: the router tries
// them in this order.
func (s *server) routes() []endpoint {
	return slices.Concat(s.ofUsers(), s.ofAnyone(), s.ofAnalysts(), s.ofAdministrators(), s.ofDefiners(), s.ofOperators(), s.ofAuditors())
}

// ofUsers is what users do.
func (s *server) ofUsers() []endpoint {
	return []endpoint{
		on("/requests", post, onRequest, users, taking(s.submit)),
		on("/requests", get, onRequest, users, s.listRequests),
		on("/requests/{id}/response", get, onRequest, users, s.response).holding(),
		on("/requests/batch", post, onRequest, users, taking(s.submitBatch)),
		on("/requests/stats", get, onRequest, users, s.requestStats),
		on("/requests/{id}", get, onRequest, users, s.request).holding(),
		on("/requests/{id}/status", get, onRequest, users, s.requestStatus).holding(),
		on("/requests/{id}", del, onRequest, users, s.cancel),
		on("/requests/{id}/events", get, onBoth, users, s.history),
		on("/requests/{id}/retry", post, onRequest, users, takingIfAny(s.retry)),
		on("/rate-limit", get, onRequest, users, s.rateLimit),
		on("/request-types", get, onBoth, users, s.listRequestTypes),
		on("/request-types/{name}", get, onBoth, users, s.requestType),
		on("/auth/me", get, onBoth, whoever, s.me),
		on("/auth/password", put, onResponse, inPerson, taking(s.changeOwnPassword)),
		on("/api-keys", post, onBoth, inPerson, taking(s.issueAPIKey)),
		on("/api-keys", get, onBoth, inPerson, s.listAPIKeys),
		on("/api-keys/{id}", del, onBoth, inPerson, s.revokeAPIKey),
		on("/webhooks", post, onRequest, users, taking(s.addWebhook)),
		on("/webhooks", get, onRequest, users, s.listWebhooks),
		on("/webhooks/{id}", del, onRequest, users, s.removeWebhook),
	}
}

// ofAnyone is what needs no login.
func (s *server) ofAnyone() []endpoint {
	return []endpoint{
		on("/auth/login", post, onBoth, anyone, taking(s.login)),
		on("/auth/refresh", post, onBoth, anyone, taking(s.refresh)),
		on("/auth/logout", post, onBoth, anyone, taking(s.logout)),
		on("/health", get, onBoth, anyone, s.health),
		on("/health/ready", get, onBoth, anyone, s.ready),
		on("/metrics", get, onBoth, anyone, s.metrics),
		on("/openapi.json", get, onBoth, anyone, s.openAPI),
		on("/docs", get, onBoth, anyone, s.docs),
		on("/docs/{file}", get, onBoth, anyone, s.docs),
	}
}

// ofAnalysts is what people do who answer requests.
func (s *server) ofAnalysts() []endpoint {
	return []endpoint{
		on("/work", get, onResponse, analysts, s.viewed(s.listWork)),
		on("/work/{id}", get, onResponse, analysts, s.viewed(s.work)),
		on("/work/{id}/claim", post, onResponse, analysts, s.claimWork),
		on("/work/{id}/release", post, onResponse, analysts, takingIfAny(s.releaseWork)),
		on("/work/{id}/answer", post, onResponse, analysts, taking(s.answerWork)).within(answerBounds),
		on("/work/{id}/fail", post, onResponse, analysts, taking(s.failWork)),
	}
}

// ofAdministrators is what administrators see and do.
func (s *server) ofAdministrators() []endpoint {
	return []endpoint{
		on("/users", post, onResponse, admins, taking(s.registerUser)),
		on("/users", get, onResponse, admins, s.viewed(s.listUsers)),
		on("/users/{id}", get, onResponse, admins, s.viewed(s.user)),
		on("/users/{id}", patch, onResponse, admins, taking(s.patchUser)),
		on("/users/{id}/password", put, onResponse, admins, taking(s.setPassword)),
		on("/users/{id}/limits", put, onResponse, admins, taking(s.overrideLimits)),
		on("/users/{id}/limits", del, onResponse, admins, s.clearLimits),
		on("/users/{id}/access/{type}", put, onResponse, admins, takingIfAny(s.setAccess)),
		on("/users/{id}/access/{type}", del, onResponse, admins, s.clearAccess),
		on("/users/{id}/rights", get, onResponse, admins, s.viewed(s.rights)),
		on("/profiles", post, onResponse, admins, taking(s.defineProfile)),
		on("/profiles", get, onResponse, admins, s.listProfiles),
		on("/profiles/{name}", get, onResponse, admins, s.profile),
		on("/profiles/{name}", put, onResponse, admins, taking(s.putProfile)),
		on("/profiles/{name}", del, onResponse, admins, ending(slugOf, s.Commands.RetireProfile)),
		on("/profiles/{name}/restore", post, onResponse, admins, s.restoreProfile),
		on("/health/detailed", get, onBoth, admins, s.detailed),
		on("/admin/cache/stats", get, onBoth, admins, s.cacheStats),
		on("/admin/cache/clear", del, onBoth, admins, s.clearCache),
		on("/admin/cache/user/{user_id}", del, onBoth, admins, s.clearCacheOf),
		on("/admin/users", get, onRequest, admins, s.viewed(s.listUsers)),
		on("/admin/rate-limits", get, onRequest, admins, s.listRateLimits),
		on("/admin/rate-limits/{user_id}", get, onRequest, admins, s.viewed(s.limitsOfOther)),
		on("/admin/rate-limits/{user_id}", del, onRequest, admins, s.resetLimits),
	}
}

// ofDefiners is what administrators say of request types and settings.
func (s *server) ofDefiners() []endpoint {
	return []endpoint{
		on("/request-types", post, onResponse, admins, taking(s.defineRequestType)),
		on("/request-types/{name}", put, onResponse, admins, taking(s.putRequestType)),
		on("/request-types/{name}", del, onResponse, admins, ending(slugOf, s.Commands.RetireRequestType)),
		on("/request-types/{name}/restore", post, onResponse, admins, s.restoreRequestType),
		on("/request-types/{name}/versions", get, onResponse, admins, s.requestTypeVersions),
		on("/request-types/{name}/users", get, onResponse, admins, s.viewed(s.usersOfType)),
		on("/request-types/{name}/access", post, onResponse, admins, taking(s.setAccessOfMany)),
		on("/request-types/{name}/responder", get, onResponse, admins, s.responder),
		on("/request-types/{name}/responder", put, onResponse, admins, taking(s.putResponder)).within(askBounds),
		on("/request-types/{name}/responder", del, onResponse, admins, ending(slugOf, s.Commands.DisableResponder)),
		on("/request-types/{name}/try", post, onResponse, admins, takingIfAny(s.tryRequestType)).within(askBounds),
		on("/admin/sources", get, onResponse, admins, s.listSources),
		on("/settings", get, onBoth, admins, s.listSettings),
		on("/settings/{key}", get, onBoth, admins, s.setting),
		on("/settings/{key}", put, onResponse, admins, taking(s.putSetting)),
		on("/settings/{key}", del, onResponse, admins, ending(keyOf, s.Commands.RemoveSetting)),
	}
}

// ofOperators is what operators see and do, as administrators may too.
func (s *server) ofOperators() []endpoint {
	return []endpoint{
		on("/admin/stats", get, onBoth, operators, s.siteStats),
		on("/admin/stats/series", get, onBoth, operators, s.siteSeries),
		on("/admin/requests", get, onBoth, operators, s.viewed(s.listAllRequests)),
		// the work queue
		on("/admin/queue", get, onBoth, operators, s.viewed(s.listQueue)),
		on("/admin/queue/{id}/retry", post, onBoth, operators, takingIfAny(s.retryJob)),
		on("/admin/queue/{id}/cancel", post, onBoth, operators, takingIfAny(s.cancelJob)),
		// what was given up
		on("/admin/poison", get, onBoth, operators, s.listPoison),
		on("/admin/poison/{id}", get, onBoth, operators, s.viewed(s.showPoison)),
		on("/admin/poison/{id}/requeue", post, onBoth, operators, s.requeuePoison),
		on("/admin/poison/{id}/drop", post, onBoth, operators, s.dropPoison),
		// the crossing
		on("/admin/links", get, onBoth, operators, s.listLinks),
		on("/admin/links/{peer}/stop", post, onBoth, operators, taking(s.stopLink)),
		on("/admin/links/{peer}/resume", post, onBoth, operators, taking(s.resumeLink)),
		on("/admin/bundles", get, onBoth, operators, s.listBundles),
		on("/admin/bundles/export", post, onBoth, operators, takingIfAny(s.export)).within(workBounds),
		on("/admin/bundles/import", post, onBoth, operators, s.importInbox).within(workBounds),
		on("/admin/bundles/{id}", get, onBoth, operators, s.bundle),
		on("/admin/bundles/{id}/file", get, onBoth, operators, s.download).within(transferBounds(0)),
		on("/admin/inbox/{filename}", put, onBoth, operators, s.upload).within(transferBounds(s.Bridge.FileLimit())),
		on("/admin/custody", get, onBoth, operators, s.listCustody),
		on("/admin/quarantine", get, onBoth, operators, s.listQuarantine),
		on("/admin/quarantine/{id}", get, onBoth, operators, s.quarantined),
		on("/admin/quarantine/{id}/release", post, onBoth, operators, taking(s.decide(s.Bridge.Release))).within(workBounds),
		on("/admin/quarantine/{id}/reject", post, onBoth, operators, taking(s.decide(s.Bridge.Reject))).within(workBounds),
	}
}

// ofAuditors is what auditors look at.
func (s *server) ofAuditors() []endpoint {
	return []endpoint{
		on("/audit/events", get, onBoth, auditors, s.viewed(s.events)).within(streamBounds),
		on("/audit/events/{seq}", get, onBoth, auditors, s.viewed(s.event)),
		on("/audit/streams/{stream}", get, onBoth, auditors, s.viewed(s.streamEvents)).within(streamBounds),
		on("/audit/state/{stream}", get, onBoth, auditors, s.viewed(s.state)),
		on("/audit/requests/{id}/evidence", get, onBoth, auditors, s.viewed(s.evidence)).within(workBounds),
		on("/audit/verify", get, onBoth, auditors, s.verify).within(workBounds),
		on("/audit/export", get, onBoth, auditors, s.auditExport).within(streamBounds),
	}
}

// router finds a call's path. One without parameters is found by its name, as
// the busiest are; all others are tried in turn.
func (s *server) router() http.Handler {
	router, plain, known := mux.NewRouter().SkipClean(true), map[string]path{}, map[string]path{}
	for _, e := range s.routes() {
		p, seen := known[e.path]
		if !seen {
			p = path{server: s, template: e.path, methods: map[string]endpoint{}}
			known[e.path] = p
			if strings.Contains(e.path, "{") {
				router.Handle(e.path, p)
			} else {
				plain[e.path] = p
			}
		}
		p.methods[e.method] = e
	}
	router.NotFoundHandler = path{server: s, template: "none"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := plain[r.URL.Path]; ok {
			p.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	})
}

// path is all that one path offers; one without methods does not exist.
type path struct {
	server   *server
	template string // as in routes; `none` for what does not exist
	methods  map[string]endpoint
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
	if ok {
		return endpoint{}, elsewhere(e, method, allowed)
	}
	if len(allowed) == 0 {
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
