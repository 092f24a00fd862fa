package console

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// unsure is a form that somebody has sent and has not confirmed yet.
type unsure struct {
	Question template.HTML
	To, Back string // where the form goes, and where who is not sure goes
	Sent     url.Values
}

// Fields are what the form has, by name.
func (u unsure) Fields() []string { return slices.Sorted(maps.Keys(u.Sent)) }

// sure asks first, by the message of a question with the form's fields as its
// placeholders, and does it when whoever sent the form is sure. A button with
// data-confirm asks before, by a script, and sends the answer as the field sure.
func sure(question string, do func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		if v.form("sure") == "yes" {
			return do(v)
		}
		u := unsure{To: v.r.URL.Path, Back: v.here(), Sent: v.r.PostForm}
		var with []any
		for _, name := range u.Fields() {
			with = append(with, name, u.Sent.Get(name))
		}
		u.Question = v.T(question, with...)
		at := *v.page
		at.key = "sure"
		v.page = &at
		return v.render(http.StatusOK, "sure", u, nil)
	}
}
