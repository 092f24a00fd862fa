package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/internal/dev"
)

// asker is somebody who asks what a person answers, with the analyst beside.
type asker struct {
	*visitor
	w              *world
	token, analyst string // of the API
}

func (w *world) asker(t *testing.T) asker {
	t.Helper()
	a := asker{visitor: w.visitor(t, domain.RequestSite, domain.RoleAdmin), w: w}
	for site, into := range map[domain.Role]struct {
		role  domain.UserRole
		token *string
	}{domain.RequestSite: {domain.RoleAdmin, &a.token}, domain.ResponseSite: {domain.RoleAnalyst, &a.analyst}} {
		token, err := w.token(t.Context(), site, into.role)
		if err != nil {
			t.Fatal(err)
		}
		*into.token = token
	}
	return a
}

// asks sends a request by the form of its type.
func (a asker) asks(plan string) (id string) {
	a.t.Helper()
	_, _, body := a.get("ask/opinion")
	status, where, body := a.post("ask/opinion", url.Values{"key": {hidden.FindStringSubmatch(body)[1]}, "mode": {"form"},
		"/params/iata": {"INN"}, "/params/plan": {plan}})
	if status != http.StatusSeeOther {
		a.t.Fatalf("asked: %d %s", status, body)
	}
	return strings.TrimSuffix(strings.TrimPrefix(where, "/console/requests/"), "?note=asked")
}

// reaches waits until a request has a status.
func (a asker) reaches(id, want string) {
	a.t.Helper()
	for range 40 {
		var q struct{ Status string }
		if err := a.w.api(a.t.Context(), domain.RequestSite, http.MethodGet, "/requests/"+id+"/status", a.token, "", &q); err != nil {
			a.t.Fatal(err)
		}
		if q.Status == want {
			return
		}
		tick(a.t)
	}
	a.t.Fatalf("the request never was %s", want)
}

// answers has the analyst end a request's work in a way.
func (a asker) answers(id, how, body string) {
	a.t.Helper()
	for _, call := range [][2]string{{"claim", ""}, {how, body}} {
		if err := a.w.api(a.t.Context(), domain.ResponseSite, http.MethodPost, "/work/"+id+"/"+call[0], a.analyst, call[1], nil); err != nil {
			a.t.Fatal(err)
		}
	}
}

// A request that fails says why and can be asked again; a file that comes back
// is there to be kept, and not to be opened.
func TestFailedThenAnsweredWithFile(t *testing.T) {
	t.Parallel()
	a := open(t).asker(t)
	id := a.asks("<b>a night flight</b>")
	a.reaches(id, "processing")
	a.answers(id, "fail", `{"reason":"the plan is <unreadable>"}`)
	a.reaches(id, "failed")
	for path, want := range map[string]string{"requests/" + id: "/retry", "requests/" + id + "/answer": "the plan is &lt;unreadable&gt;"} {
		if status, _, body := a.get(path); status != http.StatusOK || !strings.Contains(body, want) || strings.Contains(body, "<b>a night") {
			t.Errorf("%s: %d, lacks %q: %s", path, status, want, body)
		}
	}
	if status, where, _ := a.post("requests/"+id+"/retry", url.Values{"reason": {"another try"}}); status != http.StatusSeeOther || !strings.HasSuffix(where, "?note=retried") {
		t.Errorf("asked again: %d %s", status, where)
	}
	a.reaches(id, "processing")
	a.answers(id, "answer", `{"file":{"name":"night plan <x>.html","content_type":"text/html","base64":"PHNjcmlwdD4="}}`)
	a.reaches(id, "answered")
	status, header, body := a.file("requests/" + id + "/answer.file")
	if status != http.StatusOK || body != "<script>" || header.Get("Content-Type") != "application/octet-stream" ||
		!regexp.MustCompile(`^attachment; filename="[a-z.-]+"$`).MatchString(header.Get("Content-Disposition")) {
		t.Errorf("the file: %d %v %q", status, header, body)
	}
	if status, _, body := a.post("requests/"+id+"/retry", nil); status != http.StatusConflict || !strings.Contains(body, "role=\"alert\"") {
		t.Errorf("asked again although it is answered: %d", status)
	}
	_, _, page := a.get("requests/" + id)
	for _, want := range []string{"Asked again", "another try", "Answered"} {
		if !strings.Contains(page, want) {
			t.Errorf("the timeline lacks %q", want)
		}
	}
}

// file reads what is to be kept.
func (v *visitor) file(path string) (status int, header http.Header, body string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+"/console/"+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.send(r)
}

// A request is cancelled on its way and gets no answer.
func TestCancel(t *testing.T) {
	t.Parallel()
	a := open(t).asker(t)
	id := a.asks("to be cancelled")
	if status, where, _ := a.post("requests/"+id+"/cancel", url.Values{"reason": {"changed my mind"}}); status != http.StatusSeeOther || !strings.HasSuffix(where, "?note=cancelled") {
		t.Errorf("cancelled: %d %s", status, where)
	}
	if status, _, body := a.get("requests/" + id + "?note=cancelled"); status != http.StatusOK || !strings.Contains(body, "The request was cancelled.") || !strings.Contains(body, "changed my mind") {
		t.Errorf("its page: %d %s", status, body)
	}
	if status, _, body := a.get("requests/" + id + "/answer"); status != http.StatusGone || !strings.Contains(body, "it gets no answer") {
		t.Errorf("its answer: %d %s", status, body)
	}
	if status, _, _ := a.get("requests/" + id + "?note=<script>"); status != http.StatusOK {
		t.Errorf("a note that is none: %d", status)
	}
}

var shownKey = regexp.MustCompile(`<pre id="key"[^>]*>(spk_[0-9A-Za-z]+)</pre>`)

// A key is shown once, does what it was issued for, and is refused once it was
// revoked.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.RequestSite, domain.RoleOperator)
	if status, _, body := v.post("keys", url.Values{"name": {"none"}, "days": {"7"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, `id="scopes-wrong"`) {
		t.Errorf("a key for nothing: %d", status)
	}
	status, _, body := v.post("keys", url.Values{"name": {"for the <nightly>"}, "days": {"7"}, "scopes": {"requests:read"}})
	found := shownKey.FindStringSubmatch(body)
	if status != http.StatusOK || found == nil {
		t.Fatalf("issued: %d %s", status, body)
	}
	uses := func() error {
		return w.api(t.Context(), domain.RequestSite, http.MethodGet, "/requests", found[1], "", nil)
	}
	if err := uses(); err != nil {
		t.Error(err)
	}
	_, _, list := v.get("keys")
	if strings.Contains(list, found[1]) || !strings.Contains(list, "for the &lt;nightly&gt;") || !strings.Contains(list, found[1][:10]) {
		t.Errorf("the list: %s", list)
	}
	id := regexp.MustCompile(`keys/([0-9a-f-]+)/revoke`).FindStringSubmatch(list)
	if status, where, _ := v.post(fmt.Sprintf("keys/%s/revoke", id[1]), url.Values{"sure": {"yes"}}); status != http.StatusSeeOther || where != "/console/keys?note=key-revoked" {
		t.Errorf("revoked: %d %s", status, where)
	}
	if err := uses(); err == nil {
		t.Error("the key is still good")
	}
}

// somebody makes an account that no other test uses.
func (w *world) somebody(t *testing.T, name string) dev.Account {
	t.Helper()
	token, err := w.token(t.Context(), domain.ResponseSite, domain.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	a := dev.Account{Username: name, Password: "the first of two passwords"}
	if err := w.api(t.Context(), domain.ResponseSite, http.MethodPost, "/users", token, fmt.Sprintf(
		`{"username":%q,"email":"%s@example.org","full_name":"Somebody","role":"user","profile":"free","password":%q}`, name, name, a.Password), nil); err != nil {
		t.Fatal(err)
	}
	return a
}

// Somebody changes their password where that is done, and is told where else.
func TestOwnPassword(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.ResponseSite, "")
	narrow := w.somebody(t, "changes-password")
	signs := func(password string) int {
		status, _, _ := v.post("sign-in", url.Values{"username": {narrow.Username}, "password": {password}})
		return status
	}
	if status := signs(narrow.Password); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	const fresh = "four words and more"
	for what, c := range map[string]struct {
		form   url.Values
		status int
		want   string
	}{
		"repeated otherwise": {url.Values{"old": {narrow.Password}, "new": {fresh}, "repeated": {"other"}}, http.StatusUnprocessableEntity, "repeated-wrong"},
		"too short":          {url.Values{"old": {narrow.Password}, "new": {"x"}, "repeated": {"x"}}, http.StatusUnprocessableEntity, "new-wrong"},
		"not the old one":    {url.Values{"old": {"wrong"}, "new": {fresh}, "repeated": {fresh}}, http.StatusForbidden, "Wrong password"},
	} {
		if status, _, body := v.post("password", c.form); status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, fresh) {
			t.Errorf("%s: %d, want %d and %q: %s", what, status, c.status, c.want, body)
		}
	}
	if status, where, _ := v.post("password", url.Values{"old": {narrow.Password}, "new": {fresh}, "repeated": {fresh}}); status != http.StatusSeeOther || where != "/console/account?note=password-changed" {
		t.Errorf("changed: %d %s", status, where)
	}
	if old, now := signs(narrow.Password), signs(fresh); old != http.StatusUnauthorized || now != http.StatusSeeOther {
		t.Errorf("the old password: %d, the new one: %d", old, now)
	}
	elsewhere := w.visitor(t, domain.RequestSite, domain.RoleAnalyst)
	if status, _, body := elsewhere.get("password"); status != http.StatusNotFound || !strings.Contains(body, "on the other site") {
		t.Errorf("on the request site: %d", status)
	}
	if _, _, body := elsewhere.get("account"); !strings.Contains(body, "on the response site") {
		t.Error("the account does not say where passwords are changed")
	}
}
