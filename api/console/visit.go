package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"

	"sallyport/domain"
)

// visit is one call of a browser on its way through a page.
type visit struct {
	*language
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	page    *page
	choices choices
	session *session // nil: nobody is signed in
	user    *user    // whose session it is; nil before enter
	body    int64    // how many bytes may come with it
	seen    int64    // the log up to here is in what the page shows; 0: nobody knows
}

// user is who is signed in, as GET /auth/me tells it.
type user struct {
	ID       string          `json:"id"`
	Username string          `json:"username"`
	FullName string          `json:"full_name"`
	Email    string          `json:"email"`
	Role     domain.UserRole `json:"role"`
	Profile  string          `json:"profile"`
	Priority int             `json:"priority"`
}

// Is reports whether the user has one of these roles.
func (u *user) Is(roles ...string) bool {
	for _, r := range roles {
		if u != nil && string(u.Role) == r {
			return true
		}
	}
	return false
}

func (k *Console) begin(w http.ResponseWriter, r *http.Request, p *page) *visit {
	chosen := chosenBy(r)
	v := &visit{console: k, w: w, r: r, page: p, choices: chosen, language: k.languages[chosen.Language]}
	v.session = k.sealer.sessionOf(r)
	return v
}

// enter finds out who comes, and sees that the page is for them.
func (v *visit) enter() error {
	if v.r.Method == http.MethodPost {
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, v.body)
		if err := v.r.ParseForm(); err != nil {
			return errForm
		}
	}
	if v.session == nil {
		if v.page.open {
			return nil
		}
		return errSignedOut
	}
	if err := v.get("/auth/me", &v.user); err != nil {
		if v.page.open && errors.Is(err, errSignedOut) {
			v.forget()
			return nil
		}
		return err
	}
	switch {
	case !v.page.on(v.console.Role):
		return errOtherSite
	case !v.page.admits(v.user.Role):
		return errOtherRole
	}
	return nil
}

// lookFrom notes how far the log goes before the page is made of it, so that the
// page can be told what it missed.
func (v *visit) lookFrom() {
	if v.user != nil && v.console.Changes != nil {
		v.seen = v.console.Changes.Seen(v.r.Context())
	}
}

// maxForm bounds what a form without files may send.
const maxForm = 1 << 20

// fail shows what went wrong, and what to do next.
func (v *visit) fail(err error) {
	var p *problem
	switch {
	case errors.Is(err, errSignedOut):
		v.forget()
		v.toSignIn()
		return
	case !errors.As(err, &p):
		v.console.Logger.ErrorContext(v.r.Context(), "a page failed", "path", v.r.URL.Path, "error", err)
		p = errPage
	}
	at := *v.page
	at.key = "problem"
	v.page = &at
	if err := v.render(p.status(), "problem", nil, p); err != nil {
		v.console.Logger.ErrorContext(v.r.Context(), "a page failed", "path", v.r.URL.Path, "error", err)
		http.Error(v.w, errPage.Detail, http.StatusInternalServerError)
	}
}

// fallen shows a page that fell over as one that failed.
func (v *visit) fallen() {
	switch what := recover(); what {
	case nil:
	case http.ErrAbortHandler:
		panic(what) // the browser went away
	default:
		v.fail(fmt.Errorf("panic: %v\n%s", what, debug.Stack()))
	}
}

// toSignIn leads to the sign-in page, and from there back to this one. What
// loads a part of a page is told to leave the page as it is: something may be
// half typed there.
func (v *visit) toSignIn() {
	if v.r.Header.Get("Hx-Request") != "" {
		v.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	next, note := v.r.URL.RequestURI(), ""
	if v.r.Method != http.MethodGet {
		next, note = v.cameFrom(), "not-sent"
	}
	to := Root + "sign-in"
	if next != Root {
		to += "?next=" + url.QueryEscape(next)
		if note != "" {
			to += "&note=" + note
		}
	}
	v.goTo(to)
}

// cameFrom is the page whose form was sent; the front page if the browser does
// not say.
func (v *visit) cameFrom() string {
	from, err := url.Parse(v.r.Referer())
	if err != nil || from.Host != v.r.Host {
		return Root
	}
	return local(from.RequestURI())
}

// here is the address of the visit's page, without a query: that of a form's
// act is no place to come to.
func (v *visit) here() string {
	if v.r.Method == http.MethodGet {
		return v.r.URL.Path
	}
	return pathParameter.ReplaceAllStringFunc(v.page.url(), func(name string) string { return v.part(strings.Trim(name, "{}")) })
}

var pathParameter = regexp.MustCompile(`\{[^}]+\}`)

// show renders the visit's own page.
func (v *visit) show(data any) error { return v.render(http.StatusOK, v.page.key, data, nil) }

// again renders the visit's own page with what was wrong about a form. An error
// that is no problem of the form is returned as it is.
func (v *visit) again(data any, err error) error {
	var p *problem
	if errors.Is(err, errSignedOut) || !errors.As(err, &p) {
		return err
	}
	return v.render(p.status(), v.page.key, data, p)
}

// done leads to a page of the console and has it say what was done: a message
// note.KEY.
func (v *visit) done(path, note string) error {
	to := Root + path
	if note != "" {
		sign := "?"
		if strings.Contains(to, "?") {
			sign = "&"
		}
		to += sign + "note=" + url.QueryEscape(note)
	}
	v.goTo(to)
	return nil
}

// goTo is a redirect, which what loads a part of a page takes for the whole.
func (v *visit) goTo(to string) {
	if v.r.Header.Get("Hx-Request") != "" {
		v.w.Header().Set("Hx-Redirect", to)
		v.w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther) //nolint:gosec // a path of the console, see local
}

// form is a value of the form that was sent.
func (v *visit) form(name string) string { return v.r.PostForm.Get(name) }

// part is a parameter of the page's path, fit to be one of another path.
func (v *visit) part(name string) string { return url.PathEscape(v.r.PathValue(name)) }

// local returns where to go if that is in the console, else the front page.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, Root) || strings.ContainsAny(to, "\\\r\n") {
		return Root
	}
	return to
}
