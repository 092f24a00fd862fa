package console

import (
	"errors"
	"net/http"
)

// entrance is what is open to who is not signed in.
func entrance() []page {
	return []page{
		{key: "sign-in", path: "sign-in", open: true, show: showSignIn, acts: []act{{"sign-in", signIn}, {"choices", choose}}},
	}
}

// signInForm is what the sign-in page shows again.
type signInForm struct{ Username, Next string }

func showSignIn(v *visit) error {
	if v.user != nil {
		return v.done("", "")
	}
	return v.show(signInForm{Next: local(v.r.URL.Query().Get("next"))})
}

func signIn(v *visit) error {
	form := signInForm{Username: v.form("username"), Next: local(v.form("next"))}
	var t tokens
	_, err := v.plainly(http.MethodPost, "/auth/login", map[string]string{"username": form.Username, "password": v.form("password")}, &t)
	var p *problem
	if errors.As(err, &p) && p.Code() == "invalid-credentials" {
		p.Key = "credentials"
	}
	if err != nil {
		v.session, v.user = nil, nil
		return v.again(form, err)
	}
	if err := v.keep(t.session(v.console.Now())); err != nil {
		return err
	}
	v.goTo(form.Next)
	return nil
}

// signOut closes the session, wherever its tokens are.
func signOut(v *visit) error {
	user, refresh := v.user.ID, v.session.Refresh
	if _, err := v.plainly(http.MethodPost, "/auth/logout", map[string]string{"refresh_token": refresh}, nil); err != nil {
		return err
	}
	v.console.streams.look(user)
	v.forget()
	return v.done("sign-in", "signed-out")
}
