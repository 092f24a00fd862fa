package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"sallyport/domain"
)

// ofSite is how a site does, for those who see to it.
func ofSite() []page {
	both, admins := []domain.UserRole{domain.RoleOperator, domain.RoleAdmin}, []domain.UserRole{domain.RoleAdmin}
	return []page{
		{key: "dashboard", path: "dashboard", roles: both, area: areaRun, show: showDashboard},
		{key: "all-requests", path: "all-requests", roles: both, area: areaRun, show: showAllRequests},
		{key: "queue", path: "queue", roles: both, area: areaRun, show: showQueue,
			acts: []act{{"queue/{id}/retry", retryJob}, {"queue/{id}/cancel", sure("queue.cancel.sure", cancelJob)}}},
		{key: "poison", path: "poison", roles: both, area: areaRun, show: showPoison},
		{key: "poisoned", path: "poison/{id}", roles: both, show: showPoisoned,
			acts: []act{{"poison/{id}/requeue", requeuePoison}, {"poison/{id}/drop", sure("poison.drop.sure", dropPoison)}}},
		{key: "rate-limits", path: "rate-limits", site: domain.RequestSite, roles: admins, area: areaRun, show: showRateLimits,
			acts: []act{{"rate-limits", findRateLimits}}},
		{key: "rate-limits-of", path: "rate-limits/{id}", site: domain.RequestSite, roles: admins, show: showRateLimitsOf,
			acts: []act{{"rate-limits/{id}/reset", resetRateLimits}}},
		{key: "cache", path: "cache", roles: admins, area: areaRun, show: showCache,
			acts: []act{{"cache/clear", sure("cache.clear.sure", clearCache)}, {"cache/user", clearCacheOf}}},
		{key: "health", path: "health", roles: admins, area: areaRun, show: showHealth},
	}
}

// anyRequest is a request as those see it who see to the site's work.
type anyRequest struct {
	ID       string     `json:"id"`
	Type     string     `json:"type"`
	Status   string     `json:"status"`
	Priority int        `json:"priority"`
	Name     *string    `json:"name"`
	UserID   string     `json:"user_id"`
	Username *string    `json:"username"`
	Origin   string     `json:"origin"`
	Created  time.Time  `json:"created_at"`
	Recorded *time.Time `json:"recorded_at"`
}

type allRequests struct {
	filtered[anyRequest]
	Statuses []string
}

func showAllRequests(v *visit) error {
	l := allRequests{Statuses: statuses}
	if err := find(v, &l.filtered, "all-requests", "/admin/requests", "status", "type", "name", "user", "from", "to"); err != nil {
		return v.again(l, err)
	}
	return v.show(l)
}

// job is a job of the work queue.
type job struct {
	ID            int        `json:"id"`
	Kind          string     `json:"kind"`
	State         string     `json:"state"`
	Attempt       int        `json:"attempt"`
	Next          *time.Time `json:"next_attempt_at"`
	Enqueued      time.Time  `json:"enqueued_at"`
	Finished      *time.Time `json:"finished_at"`
	LastError     *string    `json:"last_error"`
	LastErrorCode *string    `json:"last_error_code"`
	Job           *string    `json:"job"`
	RequestID     *string    `json:"request_id"`
	Type          *string    `json:"type"`
	Username      *string    `json:"username"`
	Priority      *int       `json:"priority"`
}

// Retries reports whether a job can be tried again, and Cancels whether it can
// be called off; the queue itself decides.
func (j job) Retries() bool {
	return j.State == "retryable" || j.State == "discarded" || j.State == "cancelled" || j.State == "scheduled"
}

// Cancels is said above.
func (j job) Cancels() bool { return j.State != "completed" && j.State != "cancelled" }

// jobStates are those that a job can have.
var jobStates = []string{"available", "scheduled", "running", "retryable", "pending", "completed", "cancelled", "discarded"}

type queuePage struct {
	filtered[job]
	States []string
	Counts map[string]int
	Leader *struct {
		ID    string    `json:"id"`
		Since time.Time `json:"since"`
	}
}

// queueAnswer is what GET /admin/queue tells beside its list.
type queueAnswer struct {
	Counts map[string]int `json:"counts"`
	Leader *struct {
		ID    string    `json:"id"`
		Since time.Time `json:"since"`
	} `json:"leader"`
}

func (v *visit) queuePage() (queuePage, error) {
	p := queuePage{States: jobStates}
	if err := find(v, &p.filtered, "queue", "/admin/queue", "state", "type"); err != nil {
		return p, err
	}
	var glance queueAnswer
	err := v.get("/admin/queue?limit=1", &glance)
	p.Counts, p.Leader = glance.Counts, glance.Leader
	return p, err
}

func showQueue(v *visit) error {
	p, err := v.queuePage()
	if err != nil {
		return v.again(p, err)
	}
	return v.show(p)
}

func retryJob(v *visit) error { return v.actOnJob("retry", "job-retried") }

func cancelJob(v *visit) error { return v.actOnJob("cancel", "job-cancelled") }

func (v *visit) actOnJob(what, note string) error {
	_, err := v.send(http.MethodPost, "/admin/queue/"+v.part("id")+"/"+what, map[string]string{"reason": v.form("reason")}, nil, nil)
	if err == nil {
		return v.done("queue", note)
	}
	p, lookErr := v.queuePage()
	if lookErr != nil {
		return lookErr
	}
	return v.again(p, err)
}

// poisoned is an event that a reactor gave up.
type poisoned struct {
	ID       int             `json:"id"`
	Reactor  string          `json:"reactor"`
	Target   string          `json:"target"`
	Seq      int             `json:"seq"`
	Origin   string          `json:"origin"`
	Stream   string          `json:"stream"`
	Type     string          `json:"type"`
	Reason   string          `json:"reason"`
	Failures int             `json:"failures"`
	First    time.Time       `json:"first_at"`
	Last     time.Time       `json:"last_at"`
	Requeued *time.Time      `json:"requeued_at"`
	Event    json.RawMessage `json:"event"`
}

func showPoison(v *visit) error {
	var l filtered[poisoned]
	if err := find(v, &l, "poison", "/admin/poison"); err != nil {
		return err
	}
	return v.show(l)
}

func showPoisoned(v *visit) error {
	var p poisoned
	if err := v.get("/admin/poison/"+v.part("id"), &p); err != nil {
		return err
	}
	return v.show(p)
}

func requeuePoison(v *visit) error {
	if _, err := v.send(http.MethodPost, "/admin/poison/"+v.part("id")+"/requeue", nil, nil, nil); err != nil {
		return err
	}
	return v.done("poison", "poison-requeued")
}

func dropPoison(v *visit) error {
	if _, err := v.send(http.MethodPost, "/admin/poison/"+v.part("id")+"/drop", nil, nil, nil); err != nil {
		return err
	}
	return v.done("poison", "poison-dropped")
}

// profileLimits are the limits of a profile, as a request site counts them.
type profileLimits struct {
	Profile     string         `json:"profile"`
	DisplayName string         `json:"display_name"`
	Limits      map[string]int `json:"limits"`
	Priority    int            `json:"priority"`
}

type rateLimits struct {
	filtered[managed]
	Profiles list[profileLimits]
	Windows  []string
}

// rateLimits are those of all profiles, and the users that are searched for.
func (v *visit) rateLimits() (rateLimits, error) {
	l := rateLimits{Windows: windowNames}
	if err := v.get("/admin/rate-limits?limit=1000", &l.Profiles); err != nil || v.r.URL.Query().Get("q") == "" {
		return l, err
	}
	return l, find(v, &l.filtered, "rate-limits", v.usersPath(), "q")
}

func showRateLimits(v *visit) error {
	l, err := v.rateLimits()
	if err != nil {
		return err
	}
	return v.show(l)
}

// findRateLimits leads to one user's by their id, and else to those whose names
// have in them what was given.
func findRateLimits(v *visit) error {
	user := v.form("user")
	if len(user) == idLength && v.get("/admin/rate-limits/"+url.PathEscape(user), nil) == nil {
		return v.done("rate-limits/"+url.PathEscape(user), "")
	}
	return v.done("rate-limits?q="+url.QueryEscape(user), "")
}

// limitsOf is how a user's limits stand.
type limitsOf struct {
	limits
	ID string
}

func showRateLimitsOf(v *visit) error {
	l := limitsOf{ID: v.r.PathValue("id")}
	if err := v.get("/admin/rate-limits/"+v.part("id"), &l.limits); err != nil {
		return err
	}
	return v.show(l)
}

// resetRateLimits lets a user begin anew: in one window at once, in all of them
// after it was asked.
func resetRateLimits(v *visit) error {
	if v.form("window") == "" {
		return sure("rates.reset-all.sure", resetLimits)(v)
	}
	return resetLimits(v)
}

func resetLimits(v *visit) error {
	path := "/admin/rate-limits/" + v.part("id")
	if window := v.form("window"); window != "" {
		path += "?window=" + url.QueryEscape(window)
	}
	if _, err := v.send(http.MethodDelete, path, nil, nil, nil); err != nil {
		return err
	}
	return v.done("rate-limits/"+v.part("id"), "limits-reset")
}

type cachePage struct {
	cacheStats
	User string
}

func showCache(v *visit) error {
	var p cachePage
	if err := v.get("/admin/cache/stats", &p.cacheStats); err != nil {
		return err
	}
	return v.show(p)
}

func clearCache(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/admin/cache/clear", nil, nil, nil); err != nil {
		return err
	}
	return v.done("cache", "cache-cleared")
}

// idLength is that of an id.
const idLength = len("00000000-0000-7000-8000-000000000000")

// clearCacheOf forgets the answers to one user, who is named by their id or
// username.
func clearCacheOf(v *visit) error {
	id, err := v.form("user"), error(nil)
	if len(id) != idLength {
		id, err = v.idOf(id)
	}
	if err == nil {
		_, err = v.send(http.MethodDelete, "/admin/cache/user/"+url.PathEscape(id), nil, nil, nil)
	}
	if err == nil {
		return v.done("cache", "cache-cleared")
	}
	p := cachePage{User: v.form("user")}
	if lookErr := v.get("/admin/cache/stats", &p.cacheStats); lookErr != nil {
		return lookErr
	}
	return v.again(p, err)
}
