package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
	"sallyport/internal/dev"
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
	for _, end := range []*dev.End{w.stack.Field, w.stack.Core} {
		if _, err := end.Pool.Exec(ctx, `INSERT INTO poisoned (reactor, seq, target, reason) VALUES ('example', 1, '', 'the receiver answers with status 500')`); err != nil {
			return err
		}
	}
	return w.api(ctx, domain.ResponseSite, http.MethodPut, "/settings/portal.notice", token, `{"value":"closed on Sunday","public":true,"description":"shown on the portal"}`, nil)
}

// managedExamples are those of administrators' pages.
func (w *world) managedExamples() map[string]string {
	user := "users/" + w.ids["user"]
	return map[string]string{
		"user": user, "user-change": user + "/change", "user-active": user + "/active", "user-password": user + "/password",
		"poisoned": "poison/1", "rate-limits-of": "rate-limits/" + w.ids["user"], "type": "types/airport", "type-change": "types/airport/change", "type-users": "types/airport/users", "type-access": "types/airport/access",
		"type-try": "types/airports-in-country/try", "responder": "types/airport/responder", "setting": "settings/portal.notice",
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

// What an administrator sets up is what a user of the other site can ask: a
// profile, a type with its responder, tried out, and a user with a grant.
func TestFromProfileToAnswer(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.ResponseSite, domain.RoleAdmin)
	b.visit("profiles/_new")
	b.fill(map[string]string{"name": "night-shift", "display_name": "Night shift", "limits/minute": "100"})
	b.sendForm("name")
	b.visit("types/_new")
	b.fill(map[string]string{"name": "airports-of", "title": "Airports of a country"})
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("[name=public]").checked = false`))
	b.sendForm("name")
	b.visit("types/airports-of/responder?kind=sql")
	b.fill(map[string]string{"statement": "select iata, name from airport where iso_country = @country::text"})
	b.do(chromedp.Submit("#statement"), chromedp.WaitVisible(`[role="alert"]`))
	b.forgive(http.StatusUnprocessableEntity)
	b.do(chromedp.SetValue("#statement", "select iata, name from airports where country = @country::text order by name"))
	b.sendForm("statement")
	b.visit("types/airports-of/try")
	b.do(chromedp.Submit("#user"), chromedp.WaitVisible("#result"))
	if got := result(b, chromedp.Text("#result")); !strings.Contains(got, "Bern") {
		t.Errorf("tried: %s", got)
	}
	b.accessible("a type that was tried out")
	b.visit("users/new")
	b.fill(map[string]string{"username": "night-nurse", "full_name": "Night Nurse", "email": "night@example.org", "password": "a long enough one",
		"repeated": "a long enough one", "profile": "night-shift"})
	b.sendForm("username")
	user := strings.TrimPrefix(result(b, chromedp.Location()), b.base+"/console/")
	b.visit(user + "/access/airports-of")
	b.do(chromedp.Click(`[name="access"][value="granted"]`), chromedp.SetValue(`[id="max_results"]`, "3"))
	b.sendForm("max_results")
	if got := result(b, chromedp.Text("#user")); !strings.Contains(got, "granted") {
		t.Errorf("the rights: %s", got)
	}
	b.clean("setting up")

	w.crossed(t, "crossed.night-shift")
	c := w.tab(t, domain.RequestSite, "")
	c.visit("ask/airports-of?example=0")
	c.do(chromedp.SendKeys("#username", "night-nurse"), chromedp.SendKeys("#password", "a long enough one"), chromedp.Submit("#password"), chromedp.WaitVisible("form.ask"))
	c.do(chromedp.Submit("form.ask"), chromedp.WaitVisible(".chip.answered"))
	c.clean("asking")
}

// fill writes into fields by their ids.
func (b *tab) fill(values map[string]string) {
	b.t.Helper()
	for id, text := range values {
		b.do(chromedp.SetValue(`[id="`+id+`"]`, text))
	}
}

// sendForm sends the form of a field and waits until it was taken.
func (b *tab) sendForm(id string) {
	b.t.Helper()
	b.submit(`[id="` + id + `"]`)
}

// submit sends the form of an element and waits until it was taken: what the page
// says of a form before does not count.
func (b *tab) submit(element string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("[data-note]")?.remove()`), chromedp.Submit(element), chromedp.WaitVisible("[data-note]"))
}

// crossed waits, on a page that moves by itself, until what was decided so far is
// on the request site: a setting that is made now comes after it.
func (w *world) crossed(t *testing.T, key string) {
	t.Helper()
	token, err := w.token(t.Context(), domain.ResponseSite, domain.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api(t.Context(), domain.ResponseSite, http.MethodPut, "/settings/"+key, token, `{"value":1,"public":true}`, nil); err != nil {
		t.Fatal(err)
	}
	b := w.tab(t, domain.RequestSite, domain.RoleAdmin)
	b.visit("settings")
	b.do(chromedp.WaitVisible(`//bdi[text()="` + key + `"]`))
	b.clean("settings")
}

// An administrator lets a user begin anew, and has a message that was given up
// tried again, or dropped.
func TestLimitsAndPoison(t *testing.T) {
	t.Parallel()
	w := open(t)
	var narrow dev.Account
	for _, a := range w.stack.Accounts {
		if a.Username == "narrow" {
			narrow = a
		}
	}
	var got struct {
		Token string `json:"access_token"`
	}
	var asked struct{ ID string }
	login, err := json.Marshal(map[string]string{"username": narrow.Username, "password": narrow.Password})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		into               any
	}{{http.MethodPost, "/auth/login", string(login), &got}, {http.MethodPost, "/requests", `{"type":"airport","params":{"iata":"AMS"}}`, nil}, {http.MethodGet, "/auth/me", "", &asked}} {
		if err := w.api(t.Context(), domain.RequestSite, c.method, c.path, got.Token, c.body, c.into); err != nil {
			t.Fatal(err)
		}
	}
	b := w.tab(t, domain.RequestSite, domain.RoleAdmin)
	b.visit("rate-limits")
	b.do(chromedp.SendKeys("#user", asked.ID), chromedp.Submit("#user"), chromedp.WaitVisible("#limits"))
	b.visit("rate-limits")
	b.do(chromedp.SendKeys("#user", narrow.Username[1:]), chromedp.Submit("#user"), chromedp.WaitVisible("#found"))
	b.accessible("users that were found")
	b.do(chromedp.Click(`#found a[href$="`+asked.ID+`"]`), chromedp.WaitVisible("#limits"))
	if text := result(b, chromedp.Text("#limits")); !strings.Contains(text, "1 of") {
		t.Errorf("before: %s", text)
	}
	for _, window := range []string{"minute", "hour", "day", "month"} {
		b.submit(`form:has([value="` + window + `"]) button`)
	}
	if text := result(b, chromedp.Text("#limits")); strings.Contains(text, "1 of") {
		t.Errorf("after: %s", text)
	}
	b.clean("limits")

	var id string
	if err := w.stack.Core.Pool.QueryRow(t.Context(), `INSERT INTO poisoned (reactor, seq, target, reason) VALUES ('example', 2, '', 'away') RETURNING id::text`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(t, domain.ResponseSite, domain.RoleOperator)
	if status, where, _ := v.post("poison/"+id+"/requeue", nil); status != http.StatusSeeOther || !strings.Contains(where, "poison-requeued") {
		t.Errorf("requeue: %d %s", status, where)
	}
	if _, _, page := v.get("poison"); !strings.Contains(page, "being tried again") {
		t.Error("the list does not say that the message is tried again")
	}
	if status, _, _ := v.post("poison/"+id+"/drop", url.Values{"sure": {"yes"}}); status != http.StatusSeeOther {
		t.Errorf("drop: %d", status)
	}
	if status, _, _ := v.get("poison/" + id); status != http.StatusNotFound {
		t.Errorf("what was dropped is still there: %d", status)
	}
}

// Whoever sees to the queue says why a job is called off, and whoever asked is
// told it.
func TestJobIsCalledOff(t *testing.T) {
	t.Parallel()
	w := open(t)
	id, v := w.ids["task/ended"], w.visitor(t, domain.ResponseSite, domain.RoleOperator)
	why := url.Values{"reason": {"the airport is closed"}, "sure": {"yes"}}
	if status, where, body := v.post("queue/"+id+"/cancel", why); status != http.StatusSeeOther || where != "/console/queue?note=job-cancelled" {
		t.Fatalf("called off: %d %s %s", status, where, body)
	}
	var told string
	if err := w.stack.Core.Pool.QueryRow(t.Context(), `SELECT error_detail FROM readmodel.responses WHERE request_id = $1`, id).Scan(&told); err != nil || !strings.HasSuffix(told, ": the airport is closed") {
		t.Errorf("whoever asked is told %q (%v)", told, err)
	}
	if status, _, body := v.post("queue/"+id+"/retry", nil); status != http.StatusSeeOther {
		t.Errorf("once more: %d %s", status, body)
	}
}
