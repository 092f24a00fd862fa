package console

import (
	"net/http"
	"net/url"

	"sallyport/domain"
)

// ofAdministrators is what administrators decide on the response site.
func ofAdministrators() []page {
	admins := []domain.UserRole{domain.RoleAdmin}
	on := func(key, path string, listed area, show func(*visit) error, acts ...act) page {
		return page{key: key, path: path, site: domain.ResponseSite, roles: admins, area: listed, show: show, acts: acts}
	}
	return []page{
		on("users", "users", areaManage, showUsers),
		on("user-new", "users/new", "", showNewUser, act{"users/new", createUser}),
		on("user", "users/{id}", "", showUser),
		on("user-change", "users/{id}/change", "", showUserChange, act{"users/{id}/change", changeUser}),
		on("user-active", "users/{id}/active", "", showUserActive, act{"users/{id}/active", activateUser}),
		on("user-password", "users/{id}/password", "", showUserActive, act{"users/{id}/password", setPassword}),
		on("user-limits", "users/{id}/limits", "", showUserLimits, act{"users/{id}/limits", overrideLimits}, act{"users/{id}/limits/clear", clearLimits}),
		on("user-access", "users/{id}/access/{type}", "", showUserAccess, act{"users/{id}/access/{type}", setAccess}),
		on("profiles", "profiles", areaManage, showProfiles),
		on("profile-new", "profiles/_new", "", showNewProfile, act{"profiles/_new", createProfile}),
		on("profile", "profiles/{name}", "", showProfile, act{"profiles/{name}", changeProfile},
			act{"profiles/{name}/retire", sure("profile.retire.sure", retireProfile)}, act{"profiles/{name}/restore", restoreProfile}),
	}
}

// managed is a user as administrators see one.
type managed struct {
	ID         string          `json:"id"`
	Username   string          `json:"username"`
	Email      string          `json:"email"`
	FullName   string          `json:"full_name"`
	Role       string          `json:"role"`
	Profile    string          `json:"profile"`
	Active     bool            `json:"active"`
	Priority   int             `json:"priority"`
	Overridden map[string]*int `json:"limits_overridden"`
	Created    string          `json:"created_at"`
}

// roleNames are the roles, in the order in which forms offer them.
var roleNames = []string{"user", "analyst", "operator", "auditor", "admin"}

type userList struct {
	filtered[managed]

	Roles    []string
	Profiles []profile
}

func showUsers(v *visit) error {
	l := userList{Roles: roleNames}
	var err error
	if l.Profiles, err = every[profile](v, "/profiles"); err != nil {
		return err
	}
	if err := find(v, &l.filtered, "users", "/users", "q", "role", "profile", "active"); err != nil {
		return v.again(l, err)
	}
	return v.show(l)
}

// userForm is a form about a user; a new one has no User.
type userForm struct {
	Form     *typed
	User     managed
	Roles    []string
	Profiles []profile
}

func (v *visit) userForm(f *typed) (userForm, error) {
	profiles, err := every[profile](v, "/profiles")
	return userForm{Form: f, Roles: roleNames, Profiles: profiles}, err
}

func showNewUser(v *visit) error {
	form, err := v.userForm(v.fill(url.Values{"role": {"user"}, "profile": {"basic"}}, ""))
	if err != nil {
		return err
	}
	return v.show(form)
}

func createUser(v *visit) error {
	f := v.typed()
	form, err := v.userForm(f)
	if err != nil {
		return err
	}
	password, err := v.twice()
	if err != nil {
		return v.again(form, err)
	}
	body := map[string]string{"password": password}
	for _, name := range []string{"username", "email", "full_name", "role", "profile"} {
		body[name] = f.Get(name)
	}
	var made managed
	if _, err := v.send(http.MethodPost, "/users", body, &made, nil); err != nil {
		return v.again(form, err)
	}
	return v.done("users/"+made.ID, "user-created")
}

// twice is a password that was typed the same way twice.
func (v *visit) twice() (string, error) {
	password := v.form("password")
	if password != v.form("repeated") {
		return "", &problem{Title: "The two differ", Status: http.StatusUnprocessableEntity, Key: "repeated",
			Detail: "the password was not repeated as it was", Errors: []fieldError{{Pointer: "/repeated", Detail: string(v.T("password.differs"))}}}
	}
	return password, nil
}

// usersPath is where the API lists the users of a site: a request site has a copy.
func (v *visit) usersPath() string {
	if v.console.Role == domain.RequestSite {
		return "/admin/users"
	}
	return "/users"
}

// idOf finds the user of a name.
func (v *visit) idOf(username string) (string, error) {
	var found list[managed]
	if err := v.get(v.usersPath()+"?limit=100&q="+url.QueryEscape(username), &found); err != nil {
		return "", err
	}
	for _, u := range found.Items {
		if u.Username == username {
			return u.ID, nil
		}
	}
	return "", &problem{Title: "No such user", Status: http.StatusUnprocessableEntity, Key: "fields", Detail: "there is no user of this name",
		Errors: []fieldError{{Pointer: "/user", Detail: string(v.T("form.no-user"))}}}
}
