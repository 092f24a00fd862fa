package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// profile is what users of a kind may do.
type profile struct {
	Name        string               `json:"name"`
	DisplayName string               `json:"display_name"`
	Description string               `json:"description"`
	Limits      map[string]int       `json:"limits"`
	Priority    int                  `json:"priority"`
	Allowed     []string             `json:"allowed_request_types"`
	Blocked     []string             `json:"blocked_request_types"`
	TypeLimits  map[string]typeLimit `json:"type_limits"`
	MaxResults  int                  `json:"max_results"`
	Retired     bool                 `json:"retired,omitempty"`
}

// typeLimit narrows one request type within a profile.
type typeLimit struct {
	MaxResults int            `json:"max_results,omitempty"`
	Limits     map[string]int `json:"limits,omitempty"`
}

type profileList struct {
	Profiles, Retired []profile
	Windows           []string
}

func showProfiles(v *visit) error {
	l := profileList{Windows: windowNames}
	var err error
	if l.Profiles, err = every[profile](v, "/profiles"); err != nil {
		return err
	}
	if l.Retired, err = every[profile](v, "/profiles?retired=true"); err != nil {
		return err
	}
	return v.show(l)
}

// profileForm is a profile as a form. Types are all that a profile can speak of.
type profileForm struct {
	Form    *typed
	Profile profile // as it is; of a new one without a name
	Types   []string
	Windows []string
}

func (v *visit) profileForm(f *typed, p profile) (profileForm, error) {
	types, err := every[requestType](v, "/request-types")
	form := profileForm{Form: f, Profile: p, Windows: windowNames, Types: slices.Concat(p.Allowed, p.Blocked)}
	for name := range p.TypeLimits {
		form.Types = append(form.Types, name)
	}
	for _, t := range types {
		form.Types = append(form.Types, t.Name)
	}
	slices.Sort(form.Types)
	form.Types = slices.Compact(form.Types)
	return form, err
}

// values are a profile's, as its form has them.
func (p profile) values() url.Values {
	values := url.Values{"name": {p.Name}, "display_name": {p.DisplayName}, "description": {p.Description},
		"priority": {strconv.Itoa(p.Priority)}, "max_results": {strconv.Itoa(p.MaxResults)}}
	setLimits(values, "limits", p.Limits)
	for _, name := range p.Allowed {
		values.Set("rule/"+name, "allowed")
	}
	for _, name := range p.Blocked {
		values.Set("rule/"+name, "blocked")
	}
	for name, l := range p.TypeLimits {
		if l.MaxResults > 0 {
			values.Set("type_limits/"+name+"/max_results", strconv.Itoa(l.MaxResults))
		}
		setLimits(values, "type_limits/"+name+"/limits", l.Limits)
	}
	return values
}

// setLimits shows limits in a form's fields; one that is none is left empty.
func setLimits(values url.Values, below string, limits map[string]int) {
	for _, name := range windowNames {
		if n := limits[name]; n > 0 {
			values.Set(below+"/"+name, strconv.Itoa(n))
		}
	}
}

// profile is what a form says, as the API takes it.
func (form profileForm) profile() (profile, error) {
	f := form.Form
	p := profile{Name: f.Get("name"), DisplayName: f.Get("display_name"), Description: f.Get("description"), Priority: f.number("priority"),
		MaxResults: f.number("max_results"), Limits: map[string]int{}, Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]typeLimit{}}
	for _, name := range windowNames {
		p.Limits[name] = f.number("limits/" + name)
	}
	for _, name := range form.Types {
		switch f.Get("rule/" + name) {
		case "allowed":
			p.Allowed = append(p.Allowed, name)
		case "blocked":
			p.Blocked = append(p.Blocked, name)
		}
		l := typeLimit{MaxResults: f.number("type_limits/" + name + "/max_results"), Limits: f.limits("type_limits/" + name + "/limits")}
		if l.MaxResults != 0 || l.Limits != nil {
			p.TypeLimits[name] = l
		}
	}
	return p, f.err()
}

func showNewProfile(v *visit) error {
	form, err := v.profileForm(v.fill(url.Values{"priority": {"5"}, "max_results": {"1000"}}, ""), profile{})
	if err != nil {
		return err
	}
	return v.show(form)
}

func createProfile(v *visit) error {
	form, err := v.profileForm(v.typed(), profile{})
	if err != nil {
		return err
	}
	p, err := form.profile()
	if err == nil {
		_, err = v.send(http.MethodPost, "/profiles", p, nil, nil)
	}
	if err != nil {
		return v.again(form, err)
	}
	return v.done("profiles/"+url.PathEscape(p.Name), "profile-created")
}

// profileOf reads the profile of the page's path, retired or not, and its tag.
func (v *visit) profileOf() (p profile, tag string, err error) {
	h, err := v.call(http.MethodGet, "/profiles/"+v.part("name"), nil, &p, nil)
	if err == nil {
		return p, h.Get("Etag"), nil
	}
	retired, lookErr := every[profile](v, "/profiles?retired=true")
	if lookErr != nil {
		return p, "", lookErr
	}
	if at := slices.IndexFunc(retired, func(p profile) bool { return p.Name == v.r.PathValue("name") }); at >= 0 {
		return retired[at], "", nil
	}
	return p, "", err
}

func showProfile(v *visit) error {
	p, tag, err := v.profileOf()
	if err != nil {
		return err
	}
	form, err := v.profileForm(v.fill(p.values(), tag), p)
	if err != nil {
		return err
	}
	return v.show(form)
}

func changeProfile(v *visit) error {
	now, _, err := v.profileOf()
	if err != nil {
		return err
	}
	f := v.typed()
	form, err := v.profileForm(f, now)
	if err != nil {
		return err
	}
	p, err := form.profile()
	p.Name = now.Name
	if err == nil {
		_, err = v.send(http.MethodPut, "/profiles/"+v.part("name"), p, nil, f.match())
	}
	if err != nil {
		return v.refused(form, f, err, func() (url.Values, string, error) {
			p, tag, err := v.profileOf()
			values := p.values()
			values.Del("name")
			return values, tag, err
		})
	}
	return v.done("profiles/"+v.part("name"), "profile-changed")
}

// retireProfile ends a profile; one that users have is kept, and the page says so.
func retireProfile(v *visit) error {
	_, err := v.send(http.MethodDelete, "/profiles/"+v.part("name"), nil, nil, nil)
	if err == nil {
		return v.done("profiles", "profile-retired")
	}
	p, tag, lookErr := v.profileOf()
	if lookErr != nil {
		return lookErr
	}
	form, lookErr := v.profileForm(v.fill(p.values(), tag), p)
	if lookErr != nil {
		return lookErr
	}
	return v.again(form, err)
}

func restoreProfile(v *visit) error {
	if _, err := v.send(http.MethodPost, "/profiles/"+v.part("name")+"/restore", nil, nil, nil); err != nil {
		return err
	}
	return v.done("profiles/"+v.part("name"), "profile-restored")
}
