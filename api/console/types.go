package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"sallyport/domain"
)

// ofDefiners is what administrators say of request types and settings.
func ofDefiners() []page {
	admins := []domain.UserRole{domain.RoleAdmin}
	on := func(key, path string, listed area, show func(*visit) error, acts ...act) page {
		return page{key: key, path: path, site: domain.ResponseSite, roles: admins, area: listed, show: show, acts: acts}
	}
	return []page{
		on("types", "types", areaManage, showRequestTypes),
		on("type-new", "types/_new", "", showNewType, act{"types/_new", createType}),
		on("type", "types/{name}", "", showType, act{"types/{name}/retire", sure("type.retire.sure", retireType)}, act{"types/{name}/restore", restoreType}),
		on("type-change", "types/{name}/change", "", showTypeChange, act{"types/{name}/change", changeType}),
		on("type-users", "types/{name}/users", "", showTypeUsers),
		on("type-access", "types/{name}/access", "", showTypeAccess, act{"types/{name}/access", setAccessOfMany}),
		on("type-try", "types/{name}/try", "", showTry, act{"types/{name}/try", tryType}),
		on("responder", "types/{name}/responder", "", showResponder, act{"types/{name}/responder", setResponder},
			act{"types/{name}/responder/disable", sure("responder.disable.sure", disableResponder)}),
		{key: "settings", path: "settings", roles: admins, area: areaManage, show: showSettings},
		on("setting-new", "settings/_new", "", showNewSetting, act{"settings/_new", createSetting}),
		on("setting", "settings/{key}", "", showSetting, act{"settings/{key}", changeSetting}, act{"settings/{key}/remove", sure("setting.remove.sure", removeSetting)}),
	}
}

// defined is a request type as administrators see it.
type defined struct {
	requestType
	Public  bool `json:"public"`
	Retired bool `json:"retired,omitempty"`
}

type typeList struct {
	Types, Retired []defined
}

func showRequestTypes(v *visit) error {
	var l typeList
	var err error
	if l.Types, err = every[defined](v, "/request-types"); err != nil {
		return err
	}
	if l.Retired, err = every[defined](v, "/request-types?retired=true"); err != nil {
		return err
	}
	return v.show(l)
}

// typeForm is a request type as a form; a new one has no Type.
type typeForm struct {
	Form *typed
	Type defined
}

const firstSchema = `{
  "type": "object",
  "additionalProperties": false,
  "required": ["country"],
  "properties": {
    "country": {
      "type": "string",
      "title": "Country",
      "pattern": "^[A-Z]{2}$"
    }
  },
  "examples": [{ "country": "CH" }]
}`

func showNewType(v *visit) error {
	return v.show(typeForm{Form: v.fill(url.Values{"parameters": {firstSchema}, "max_results": {"100"}, "public": {"yes"}}, "")})
}

// values are a type's, as its form has them.
func (d defined) values() (url.Values, error) {
	schema, err := indented(d.Parameters)
	values := url.Values{"title": {d.Title}, "description": {d.Description}, "max_results": {strconv.Itoa(d.MaxResults)}, "parameters": {schema}, "public": {""}}
	if d.Public {
		values.Set("public", "yes")
	}
	return values, err
}

// definition is what a form says of a type, as the API takes it.
func (f *typed) definition(name string) (map[string]any, error) {
	body := map[string]any{"name": name, "title": f.Get("title"), "description": f.Get("description"), "max_results": f.number("max_results"),
		"public": f.Get("public") == "yes", "parameters": f.json("parameters")}
	return body, f.err()
}

func createType(v *visit) error {
	f := v.typed()
	body, err := f.definition(f.Get("name"))
	if err == nil {
		_, err = v.send(http.MethodPost, "/request-types", body, nil, nil)
	}
	if err != nil {
		return v.again(typeForm{Form: f}, err)
	}
	return v.done("types/"+url.PathEscape(f.Get("name")), "type-created")
}

// typeOf reads the type of the page's path, retired or not, and its tag.
func (v *visit) typeOf() (d defined, tag string, err error) {
	h, err := v.call(http.MethodGet, "/request-types/"+v.part("name"), nil, &d, nil)
	if err == nil {
		return d, h.Get("Etag"), nil
	}
	retired, lookErr := every[defined](v, "/request-types?retired=true")
	if lookErr != nil {
		return d, "", lookErr
	}
	if at := slices.IndexFunc(retired, func(d defined) bool { return d.Name == v.r.PathValue("name") }); at >= 0 {
		return retired[at], "", nil
	}
	return d, "", err
}

type typePage struct {
	Type      defined
	Versions  []defined
	Responder *responder // nil: it is not answered
}

func (v *visit) typePage() (typePage, error) {
	d, _, err := v.typeOf()
	if err != nil {
		return typePage{}, err
	}
	p := typePage{Type: d}
	var versions list[defined]
	if err := v.get("/request-types/"+v.part("name")+"/versions?limit=50", &versions); err != nil {
		return p, err
	}
	p.Versions = versions.Items
	p.Responder, _, err = v.responderOf()
	return p, err
}

func showType(v *visit) error {
	p, err := v.typePage()
	if err != nil {
		return err
	}
	return v.show(p)
}

func showTypeChange(v *visit) error {
	d, tag, err := v.typeOf()
	if err != nil {
		return err
	}
	values, err := d.values()
	if err != nil {
		return err
	}
	return v.show(typeForm{Form: v.fill(values, tag), Type: d})
}

func changeType(v *visit) error {
	d, _, err := v.typeOf()
	if err != nil {
		return err
	}
	f := v.typed()
	body, err := f.definition(d.Name)
	if err == nil {
		_, err = v.send(http.MethodPut, "/request-types/"+v.part("name"), body, nil, f.match())
	}
	if err != nil {
		return v.refused(typeForm{Form: f, Type: d}, f, err, func() (url.Values, string, error) {
			now, tag, err := v.typeOf()
			if err != nil {
				return nil, "", err
			}
			values, err := now.values()
			return values, tag, err
		})
	}
	return v.done("types/"+v.part("name"), "type-changed")
}

func retireType(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/request-types/"+v.part("name"), nil, nil, nil); err != nil {
		return err
	}
	return v.done("types/"+v.part("name"), "type-retired")
}

func restoreType(v *visit) error {
	if _, err := v.send(http.MethodPost, "/request-types/"+v.part("name")+"/restore", nil, nil, nil); err != nil {
		return err
	}
	return v.done("types/"+v.part("name"), "type-restored")
}

// entitled is a user who may use a request type, and why.
type entitled struct {
	ID       string         `json:"user_id"`
	Username string         `json:"username"`
	FullName string         `json:"full_name"`
	Role     string         `json:"role"`
	Profile  string         `json:"profile"`
	Rule     string         `json:"rule"`
	Results  int            `json:"max_results"`
	Limits   map[string]int `json:"limits"`
	Indices  []string       `json:"indices"`
}

type typeUsers struct {
	filtered[entitled]
	Type    string
	Windows []string
}

func showTypeUsers(v *visit) error {
	l := typeUsers{Type: v.r.PathValue("name"), Windows: windowNames}
	if err := find(v, &l.filtered, "types/"+v.part("name")+"/users", "/request-types/"+v.part("name")+"/users"); err != nil {
		return err
	}
	return v.show(l)
}

// manyForm says what many users may do with one type.
type manyForm struct {
	Form    *typed
	Type    string
	Search  string
	Users   []managed
	Windows []string
}

func (v *visit) manyForm(f *typed, search string) (manyForm, error) {
	m := manyForm{Form: f, Type: v.r.PathValue("name"), Search: search, Windows: windowNames}
	var users list[managed]
	err := v.get("/users?limit=100&q="+url.QueryEscape(search), &users)
	m.Users = users.Items
	return m, err
}

// Chosen reports whether a user is.
func (m manyForm) Chosen(id string) bool { return slices.Contains(m.Form.Values["users"], id) }

func showTypeAccess(v *visit) error {
	m, err := v.manyForm(v.fill(url.Values{"access": {"granted"}}, ""), v.r.URL.Query().Get("q"))
	if err != nil {
		return err
	}
	return v.show(m)
}

func setAccessOfMany(v *visit) error {
	f := v.typed()
	m, err := v.manyForm(f, f.Get("q"))
	if err != nil {
		return err
	}
	body := map[string]any{"access": f.Get("access")}
	if f.Get("access") == "granted" {
		body = f.grant()
	}
	body["users"] = append([]string{}, f.Values["users"]...)
	if err = f.err(); err == nil {
		_, err = v.send(http.MethodPost, "/request-types/"+v.part("name")+"/access", body, nil, nil)
	}
	if err != nil {
		return v.again(m, err)
	}
	return v.done("types/"+v.part("name")+"/users", "access-set")
}
