package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// windowNames are the windows of limits, from the shortest to the longest.
var windowNames = []string{"minute", "hour", "day", "month"}

// rights is all that a user may do, and why.
type rights struct {
	ProfileKnown bool               `json:"profile_known"`
	Priority     sourced            `json:"priority"`
	Limits       map[string]sourced `json:"limits"`
	Types        []right            `json:"request_types"`
	Calls        []struct {
		Method, Path, Site string
	} `json:"calls"`
}

// sourced is a number, and who said it: user, profile or default.
type sourced struct {
	Value int    `json:"value"`
	From  string `json:"from"`
}

// right is whether a user may use a request type, and why.
type right struct {
	Type    string         `json:"request_type"`
	Allowed bool           `json:"allowed"`
	Rule    string         `json:"rule"`
	Results int            `json:"max_results"`
	Limits  map[string]int `json:"limits"`
	Indices []string       `json:"indices"`
	Own     *access        `json:"own"`
}

// access is what was said of one user and one request type.
type access struct {
	Access  string         `json:"access"`
	Results int            `json:"max_results"`
	Limits  map[string]int `json:"limits"`
	Indices []string       `json:"indices"`
}

// ruleNames are the rules that decide about a user and a request type.
var ruleNames = []string{"inactive", "no-profile", "blocked-for-user", "blocked-by-profile", "granted-to-user",
	"listed-by-profile", "not-listed-by-profile", "public", "not-public"}

type userPage struct {
	User    managed
	Rights  rights
	Windows []string
}

// managedUser reads the user of the page's path, and their tag.
func (v *visit) managedUser() (u managed, tag string, err error) {
	h, err := v.call(http.MethodGet, "/users/"+v.part("id"), nil, &u, nil)
	return u, h.Get("Etag"), err
}

func (v *visit) rightsOf() (r rights, err error) {
	return r, v.get("/users/"+v.part("id")+"/rights", &r)
}

func showUser(v *visit) error {
	u, _, err := v.managedUser()
	if err != nil {
		return err
	}
	r, err := v.rightsOf()
	if err != nil {
		return err
	}
	return v.show(userPage{User: u, Rights: r, Windows: windowNames})
}

// values are a user's, as the form to change them has them.
func (u managed) values() url.Values {
	return url.Values{"full_name": {u.FullName}, "email": {u.Email}, "role": {u.Role}, "profile": {u.Profile}}
}

func showUserChange(v *visit) error {
	u, tag, err := v.managedUser()
	if err != nil {
		return err
	}
	form, err := v.userForm(v.fill(u.values(), tag))
	if err != nil {
		return err
	}
	form.User = u
	return v.show(form)
}

func changeUser(v *visit) error {
	f := v.typed()
	form, err := v.userForm(f)
	if err == nil {
		form.User, _, err = v.managedUser()
	}
	if err != nil {
		return err
	}
	body := map[string]string{}
	for name := range form.User.values() {
		body[name] = f.Get(name)
	}
	path := "/users/" + v.part("id")
	if _, err := v.send(http.MethodPatch, path, body, nil, f.match()); err != nil {
		return v.refused(form, f, err, func() (url.Values, string, error) {
			now, tag, err := v.managedUser()
			return now.values(), tag, err
		})
	}
	return v.done("users/"+v.part("id"), "user-changed")
}

// showUserActive shows a form that needs nothing but whom it is about.
func showUserActive(v *visit) error {
	u, _, err := v.managedUser()
	if err != nil {
		return err
	}
	return v.show(userForm{Form: v.fill(nil, ""), User: u})
}

func activateUser(v *visit) error {
	f := v.typed()
	u, _, err := v.managedUser()
	if err != nil {
		return err
	}
	body := map[string]any{"active": f.Get("active") == "yes"}
	note := "user-activated"
	if f.Get("active") != "yes" {
		body["reason"] = f.Get("reason")
		note = "user-deactivated"
	}
	if _, err := v.send(http.MethodPatch, "/users/"+v.part("id"), body, nil, nil); err != nil {
		return v.again(userForm{Form: f, User: u}, err)
	}
	return v.done("users/"+v.part("id"), note)
}

func setPassword(v *visit) error {
	u, _, err := v.managedUser()
	if err != nil {
		return err
	}
	password, err := v.twice()
	if err == nil {
		_, err = v.send(http.MethodPut, "/users/"+v.part("id")+"/password", map[string]string{"password": password}, nil, nil)
	}
	if err != nil {
		return v.again(userForm{Form: v.typed(), User: u}, err)
	}
	return v.done("users/"+v.part("id"), "password-set")
}

// limitsForm is the form for limits of a user's own, beside those that count.
type limitsForm struct {
	Form    *typed
	User    managed
	Rights  rights
	Windows []string
}

func (v *visit) limitsForm(f *typed) (limitsForm, error) {
	u, _, err := v.managedUser()
	if err != nil {
		return limitsForm{}, err
	}
	r, err := v.rightsOf()
	return limitsForm{Form: f, User: u, Rights: r, Windows: windowNames}, err
}

func showUserLimits(v *visit) error {
	form, err := v.limitsForm(nil)
	if err != nil {
		return err
	}
	values := url.Values{}
	for name, n := range form.User.Overridden {
		if n != nil {
			values.Set(name, strconv.Itoa(*n))
		}
	}
	form.Form = v.fill(values, "")
	return v.show(form)
}

func overrideLimits(v *visit) error {
	f := v.typed()
	form, err := v.limitsForm(f)
	if err != nil {
		return err
	}
	body := map[string]*int{}
	for _, name := range slices.Concat(windowNames, []string{"priority"}) {
		if n := f.optional(name); n != nil {
			body[name] = n
		}
	}
	if err = f.err(); err == nil {
		_, err = v.send(http.MethodPut, "/users/"+v.part("id")+"/limits", body, nil, nil)
	}
	if err != nil {
		return v.again(form, err)
	}
	return v.done("users/"+v.part("id"), "limits-set")
}

func clearLimits(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/users/"+v.part("id")+"/limits", nil, nil, nil); err != nil {
		return err
	}
	return v.done("users/"+v.part("id"), "limits-cleared")
}

// accessForm is the form for what one user may do with one request type.
type accessForm struct {
	Form    *typed
	User    managed
	Right   right
	Windows []string
}

func (v *visit) accessForm(f *typed) (accessForm, error) {
	u, _, err := v.managedUser()
	if err != nil {
		return accessForm{}, err
	}
	r, err := v.rightsOf()
	if err != nil {
		return accessForm{}, err
	}
	at := slices.IndexFunc(r.Types, func(r right) bool { return r.Type == v.r.PathValue("type") })
	if at < 0 {
		return accessForm{}, errNoPage
	}
	return accessForm{Form: f, User: u, Right: r.Types[at], Windows: windowNames}, nil
}

func showUserAccess(v *visit) error {
	form, err := v.accessForm(nil)
	if err != nil {
		return err
	}
	form.Form = v.fill(form.Right.values(), "")
	return v.show(form)
}

// values are what was said of the user and the type, as the form has it.
func (r right) values() url.Values {
	if r.Own == nil {
		return url.Values{"access": {"cleared"}}
	}
	values := url.Values{"access": {r.Own.Access}, "indices": {strings.Join(r.Own.Indices, "\n")}}
	if r.Own.Results > 0 {
		values.Set("max_results", strconv.Itoa(r.Own.Results))
	}
	for name, n := range r.Own.Limits {
		if n > 0 {
			values.Set("limits/"+name, strconv.Itoa(n))
		}
	}
	return values
}

func setAccess(v *visit) error {
	f := v.typed()
	form, err := v.accessForm(f)
	if err != nil {
		return err
	}
	path := "/users/" + v.part("id") + "/access/" + v.part("type")
	switch f.Get("access") {
	case "cleared":
		_, err = v.send(http.MethodDelete, path, nil, nil, nil)
	case "blocked":
		_, err = v.send(http.MethodPut, path, map[string]string{"access": "blocked"}, nil, nil)
	default:
		body := f.grant()
		if err = f.err(); err == nil {
			_, err = v.send(http.MethodPut, path, body, nil, nil)
		}
	}
	if err != nil {
		return v.again(form, err)
	}
	return v.done("users/"+v.part("id"), "access-set")
}

// grant is what a form says of a grant, as the API takes it.
func (f *typed) grant() map[string]any {
	body := map[string]any{"access": "granted", "max_results": f.number("max_results")}
	if l := f.limits("limits"); l != nil {
		body["limits"] = l
	}
	if indices := f.lines("indices"); len(indices) > 0 {
		body["indices"] = indices
	}
	return body
}

// limits are those of a form's fields BELOW/minute and so on; nil: none was
// typed.
func (f *typed) limits(below string) map[string]int {
	var all map[string]int
	for _, name := range windowNames {
		if n := f.optional(below + "/" + name); n != nil {
			if all == nil {
				all = map[string]int{"minute": 0, "hour": 0, "day": 0, "month": 0}
			}
			all[name] = *n
		}
	}
	return all
}
