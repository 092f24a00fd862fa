package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// fillManaged makes what the examples of administrators' pages show.
func (w *world) fillManaged(ctx context.Context) error {
	token, err := w.token(ctx, domain.ResponseSite, domain.RoleAdmin)
	if err != nil {
		return err
	}
	var found struct{ Items []struct{ ID string } }
	if err := w.api(ctx, domain.ResponseSite, http.MethodGet, "/users?q="+url.QueryEscape(w.account(domain.RoleUser).Username), token, "", &found); err != nil {
		return err
	}
	w.ids["user"] = found.Items[0].ID
	return nil
}

// managedExamples are those of administrators' pages.
func (w *world) managedExamples() map[string]string {
	user := "users/" + w.ids["user"]
	return map[string]string{
		"user": user, "user-change": user + "/change", "user-active": user + "/active", "user-password": user + "/password",
		"user-limits": user + "/limits", "user-access": user + "/access/airport", "profile": "profiles/basic",
	}
}

// Two administrators change the same user: the second one is told, keeps what
// was typed, and can store it over the first one's.
func TestTwoEditors(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.ResponseSite, domain.RoleAdmin)
	b.visit("users/new")
	for id, text := range map[string]string{"username": "two-editors", "full_name": "First", "email": "two-editors@example.org", "password": "a long enough one", "repeated": "another one"} {
		b.do(chromedp.SendKeys("#"+id, text))
	}
	b.do(chromedp.Submit("#username"), chromedp.WaitVisible("#repeated-wrong"))
	b.forgive(http.StatusUnprocessableEntity)
	if typed := result(b, chromedp.Evaluate[string](`document.querySelector("#email").value + document.querySelector("#password").value`)); typed != "two-editors@example.org" {
		t.Errorf("after a refusal the form has %q: what was typed, but no password", typed)
	}
	b.do(chromedp.SendKeys("#password", "a long enough one"), chromedp.SendKeys("#repeated", "a long enough one"), chromedp.Submit("#username"), chromedp.WaitVisible("[data-note]"))
	user := strings.TrimPrefix(result(b, chromedp.Location()), b.base+"/console/")
	b.visit(user + "/change")
	token, err := w.token(t.Context(), domain.ResponseSite, domain.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api(t.Context(), domain.ResponseSite, http.MethodPatch, "/"+user, token, `{"full_name":"Second"}`, nil); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.SetValue("#full_name", "Third"), chromedp.Submit("#full_name"), chromedp.WaitVisible(".banner.info"))
	b.forgive(http.StatusPreconditionFailed)
	b.accessible("a conflict")
	if said := result(b, chromedp.Text(".banner.info")); !strings.Contains(said, "Second") || !strings.Contains(said, "Third") {
		t.Errorf("the conflict is told as %q", said)
	}
	b.do(chromedp.Submit("#full_name"), chromedp.WaitVisible("[data-note]"))
	if said := result(b, chromedp.Text("#user")); !strings.Contains(said, "Third") {
		t.Errorf("the user is %q", said)
	}
	b.clean("two editors")
}
