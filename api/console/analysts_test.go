package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sallyport/domain"
)

// fillForAnalysts asks what only a person answers, and waits until it has crossed.
func (w *world) fillForAnalysts(ctx context.Context) error {
	for _, name := range []string{"task/ended", "task", "task/answered"} {
		id, err := w.askForOpinion(ctx)
		if err != nil {
			return err
		}
		w.ids[name] = id
	}
	token, err := w.token(ctx, domain.ResponseSite, domain.RoleAnalyst)
	if err != nil {
		return err
	}
	ctx, end := context.WithTimeout(ctx, 2*time.Minute)
	defer end()
	for look := time.Tick(200 * time.Millisecond); ; {
		err := w.api(ctx, domain.ResponseSite, http.MethodGet, "/work/"+w.ids["task/answered"], token, "", nil)
		if err == nil {
			return nil
		}
		select {
		case <-look:
		case <-ctx.Done():
			return err
		}
	}
}

func (w *world) askForOpinion(ctx context.Context) (string, error) {
	token, err := w.token(ctx, domain.RequestSite, domain.RoleAdmin)
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	err = w.api(ctx, domain.RequestSite, http.MethodPost, "/requests", token, `{"type":"opinion","params":{"iata":"INN","plan":"a night flight on Sundays"}}`, &made)
	return made.ID, err
}

// An analyst claims a request and answers it by the form of its type; the answer
// crosses and is there on the request site.
func TestAnalystClaimsAndAnswers(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.ids["task/answered"]
	b := w.tab(t, domain.ResponseSite, domain.RoleAnalyst)
	b.visit("work")
	b.do(chromedp.Click(`#list a[href$="`+id+`"]`), chromedp.WaitVisible("#claim"), chromedp.Click(`form[action$="/claim"] button`),
		chromedp.WaitVisible("[data-until]"), chromedp.WaitVisible("#answer"))
	b.accessible("work that is claimed")
	b.do(chromedp.SetValue(`[name="/result/verdict"]`, `"perhaps"`), chromedp.SetValue(`[name="/result/because"]`, "the valley is narrow"),
		chromedp.Click(`form[action$="/answer"] button`), chromedp.WaitVisible("#outcome"))
	b.clean("answering")
	token, err := w.token(t.Context(), domain.RequestSite, domain.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Status string
		Result json.RawMessage
	}
	if err := w.api(t.Context(), domain.RequestSite, http.MethodGet, "/requests/"+id+"/response", token, "", &got); err != nil {
		t.Fatal(err)
	}
	if got.Status != "answered" || !strings.Contains(string(got.Result), "the valley is narrow") {
		t.Errorf("the answer there: %s %s", got.Status, got.Result)
	}
}

// What an analyst writes stays there when it is refused, and without scripts
// work is claimed, given back and answered too.
func TestAnalystsForms(t *testing.T) {
	t.Parallel()
	w := open(t)
	id, err := w.askForOpinion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := w.visitor(t, domain.ResponseSite, domain.RoleAnalyst)
	late := time.After(2 * time.Minute)
	for look := time.Tick(200 * time.Millisecond); ; {
		if status, _, _ := v.get("work/" + id); status == http.StatusOK {
			break
		}
		select {
		case <-look:
		case <-late:
			t.Fatal("the request did not cross")
		}
	}
	if status, body := v.postFile("work/"+id+"/answer", "file", "large", make([]byte, domain.MaxAnswerFile+1)); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "file is too large") {
		t.Errorf("a file that is too large: %d", status)
	}
	for _, step := range []struct {
		verb   string
		form   map[string][]string
		status int
		says   string
	}{
		{"release", nil, http.StatusConflict, `role="alert"`},
		{"claim", nil, http.StatusSeeOther, ""},
		{"answer", map[string][]string{"mode": {"json"}, "result": {"{nothing"}}, http.StatusUnprocessableEntity, "{nothing"},
		{"answer", map[string][]string{"mode": {"form"}, "/result/because": {"typed"}}, http.StatusUnprocessableEntity, "typed"},
		{"fail", map[string][]string{"sure": {"yes"}}, http.StatusUnprocessableEntity, `id="reason-wrong"`},
		{"release", nil, http.StatusSeeOther, ""},
		{"claim", nil, http.StatusSeeOther, ""},
		{"answer", map[string][]string{"mode": {"json"}, "result": {`{"verdict":"no","because":"mountains"}`}}, http.StatusSeeOther, ""},
	} {
		status, where, body := v.post("work/"+id+"/"+step.verb, step.form)
		if status != step.status || !strings.Contains(body, step.says) || status == http.StatusSeeOther && where != fmt.Sprintf("/console/work/%s?note=work-%s", id, step.verb) {
			t.Errorf("%s %v: %d to %s", step.verb, step.form, status, where)
		}
	}
}
