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

// home is the front page: where somebody can go, and of who asks what they
// asked last.
type home struct {
	Recent []request
	Limits *limits
}

func showHome(v *visit) error {
	var h home
	if v.console.Role == domain.RequestSite {
		var found list[request]
		if err := v.get("/requests?limit=5", &found); err != nil {
			return err
		}
		h.Recent = found.Items
		if err := v.get("/rate-limit", &h.Limits); err != nil {
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
