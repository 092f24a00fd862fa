package console

import (
	"net/http"

	"sallyport/domain"
)

// ofOneself is what everybody has who is signed in.
func ofOneself() []page {
	return []page{
		{key: "home", show: showHome, acts: []act{{"sign-out", signOut}}},
		{key: "keys", path: "keys", area: areaAccount, show: showKeys, acts: []act{{"keys", issueKey}, {"keys/{id}/revoke", sure("keys-page.confirm", revokeKey)}}},
		{key: "account", path: "account", area: areaAccount, show: showAccount},
		{key: "password", path: "password", site: domain.ResponseSite, area: areaAccount, show: (*visit).bare,
			acts: []act{{"password", changePassword}}},
	}
}

// bare shows a page that needs nothing but who is signed in.
func (v *visit) bare() error { return v.show(nil) }

// home is the front page: what waits for somebody, and where they can go.
type home struct {
	Links  []link // of who carries
	Work   *list[work]
	Recent []request
	Limits *limits
}

// Asks reports whether the front page is about asking: of users it always is, of
// the others once they have asked.
func (h home) Asks(u *user) bool { return h.Limits != nil && (u.Is("user") || len(h.Recent) > 0) }

func showHome(v *visit) error {
	var h home
	if v.user.Is("operator", "admin") {
		var err error
		if h.Links, err = v.links(); err != nil {
			return err
		}
	}
	if v.console.Role == domain.RequestSite {
		var found list[request]
		if err := v.get("/requests?limit=5", &found); err != nil {
			return err
		}
		h.Recent = found.Items
		if err := v.get("/rate-limit", &h.Limits); err != nil {
			return err
		}
	} else if v.user.Is("analyst") {
		h.Work = &list[work]{}
		if err := v.get("/work?state=open&limit=5", h.Work); err != nil {
			return err
		}
	}
	return v.show(h)
}

func showAccount(v *visit) error { return v.show(nil) }

func changePassword(v *visit) error {
	fresh := v.form("new")
	if fresh != v.form("repeated") {
		return v.again(nil, &problem{Title: "The two differ", Status: http.StatusUnprocessableEntity, Key: "repeated",
			Detail: "the new password was not repeated as it was", Errors: []fieldError{{Pointer: "/repeated", Detail: string(v.T("password.differs"))}}})
	}
	if _, err := v.send(http.MethodPut, "/auth/password", map[string]string{"old": v.form("old"), "new": fresh}, nil, nil); err != nil {
		return v.again(nil, err)
	}
	return v.done("account", "password-changed")
}
