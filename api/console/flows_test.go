package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// Somebody asks by a form, is told what is wrong beside the field, clicks twice
// and has asked once, sees the request cross and come back, and reads the answer
// as a table and as JSON.
func TestAskUntilAnswered(t *testing.T) {
	t.Parallel()
	w := open(t)
	b := w.tab(t, domain.RequestSite, domain.RoleUser)
	b.visit("ask")
	b.do(chromedp.Click(`a[href="/console/ask/airport"]`), chromedp.WaitVisible(`[name="/params/iata"]`),
		chromedp.SendKeys(`[name="/params/iata"]`, "x"), chromedp.Submit(`[name="/params/iata"]`), chromedp.WaitVisible(`[role="alert"]`))
	if wrong := result(b, chromedp.Text(`[id="f/params/iata-wrong"]`)); !strings.Contains(wrong, "^[A-Z]{3}$") {
		t.Errorf("beside the field stands %q", wrong)
	}
	b.forgive(http.StatusUnprocessableEntity)
	b.accessible("a form with what is wrong")
	b.do(chromedp.SetValue(`[name="/params/iata"]`, "AMS"), chromedp.Click("details.more summary"), chromedp.SendKeys("#name", "schiphol"),
		chromedp.Evaluate[chromedp.Void](`{const f = document.querySelector("form.ask"), again = f.cloneNode(true); f.requestSubmit(); f.requestSubmit()}`),
		chromedp.WaitVisible("[data-note]"), chromedp.WaitVisible("#request .chip.answered"), chromedp.WaitVisible(".timeline .crossing"))
	text := result(b, chromedp.Text(".timeline"))
	for _, want := range []string{"Asked", "Bundle", "to core", "from core", "Answered"} {
		if !strings.Contains(text, want) {
			t.Errorf("the timeline lacks %q: %s", want, text)
		}
	}
	b.do(chromedp.Click(`#request .actions a.button`), chromedp.WaitVisible("table.data"))
	if cells := result(b, chromedp.Text("table.data")); !strings.Contains(cells, "EHAM") {
		t.Errorf("the table: %s", cells)
	}
	b.do(chromedp.Click(`a[href="?as=json"]`), chromedp.WaitVisible("#answer pre"))
	if text := result(b, chromedp.Text("#answer pre")); !strings.Contains(text, `"icao": "EHAM"`) {
		t.Errorf("as JSON: %s", text)
	}
	b.clean("from asking to the answer")
	w.once(t, "schiphol")
}

// once fails the test unless there is one request of a name.
func (w *world) once(t *testing.T, name string) (id string) {
	t.Helper()
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Items []struct{ ID string } }
	if err := w.api(t.Context(), domain.RequestSite, http.MethodGet, "/requests?name="+name, token, "", &found); err != nil || len(found.Items) != 1 {
		t.Fatalf("of the name %s there are %v, %v", name, found.Items, err)
	}
	return found.Items[0].ID
}

var hidden = regexp.MustCompile(`name="key" value="([^"]+)"`)

// Without scripts: the same form, sent twice, is one request; JSON is taken as it
// is; what is downloaded is what the API gives.
func TestAskWithoutScripts(t *testing.T) {
	t.Parallel()
	w := open(t)
	v := w.visitor(t, domain.RequestSite, domain.RoleUser)
	_, _, body := v.get("ask/airport?mode=json")
	form := url.Values{"key": {hidden.FindStringSubmatch(body)[1]}, "mode": {"json"}, "params": {`{"iata":"KEF"}`}, "name": {"keflavik"}}
	_, first, _ := v.post("ask/airport", form)
	_, second, _ := v.post("ask/airport", form)
	if first != second || !strings.HasSuffix(first, "?note=asked") {
		t.Errorf("sent twice: %s and %s", first, second)
	}
	id := w.once(t, "keflavik")
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleUser)
	if err != nil {
		t.Fatal(err)
	}
	var want json.RawMessage
	if err := w.api(t.Context(), domain.RequestSite, http.MethodGet, "/requests/"+id+"/response", token, "", &want); err != nil {
		t.Fatal(err)
	}
	if status, _, got := v.get("requests/" + id + "/answer.json"); status != http.StatusOK || strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
		t.Errorf("the download: %d %s, want %s", status, got, want)
	}
	if status, _, got := v.get("requests/" + id + "/answer.file"); status != http.StatusNotFound {
		t.Errorf("a file that there is not: %d %s", status, got)
	}
	for what, params := range map[string]string{"This is no JSON": `{"iata"`, "Invalid request": `{"iata":1}`} {
		form.Set("params", params)
		form.Set("key", params[:3])
		if status, _, got := v.post("ask/airport", form); status != http.StatusUnprocessableEntity || !strings.Contains(got, what) {
			t.Errorf("%s: %d", params, status)
		}
	}
}
