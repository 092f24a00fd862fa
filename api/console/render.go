package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/domain"
)

// document is what a template is given.
type document struct {
	*language
	Key      string // of the page
	Choices  choices
	Site     string
	Role     domain.Role
	Version  string
	User     *user // nil: nobody is signed in
	Nav      navigation
	ReadOnly string   // why nothing can be stored; empty: it can
	Note     string   // a message note.KEY to show; empty: none
	Problem  *problem // what is wrong about the form; nil: nothing
	URL      string   // of this page with its query, without the note
	Live     bool     // the page hears of changes
	Seen     int64    // how much of the log it was made of; 0: nobody knows
	Data     any      // the page's own
}

// render shows a page, whole: nothing was sent before it could be made.
func (v *visit) render(status int, key string, data any, wrong *problem) error {
	k := v.console
	d := document{language: v.language, Key: v.page.key, Choices: v.choices, Site: k.Site, Role: k.Role, Version: k.Version,
		User: v.user, ReadOnly: k.ReadOnly(v.r.Context()), Problem: wrong.in(v.language), Data: data, Live: k.Changes != nil && v.user != nil, Seen: v.seen}
	if v.user != nil {
		d.Nav = navigate(k.Role, v.user.Role, v.page)
	}
	q := v.r.URL.Query()
	if note := q.Get("note"); v.Has("note." + note) {
		d.Note = note
	}
	d.URL = v.here()
	q.Del("note")
	if v.r.Method == http.MethodGet && len(q) > 0 {
		d.URL += "?" + q.Encode()
	}
	t, err := k.templates[v.Lang].page(key)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", d); err != nil {
		return fmt.Errorf("make the page %s: %w", key, err)
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Language, Cookie")
	if wrong != nil && wrong.RetryAfter != "" {
		h.Set("Retry-After", wrong.RetryAfter)
	}
	v.w.WriteHeader(status)
	if _, err := v.w.Write(b.Bytes()); err != nil {
		return nil //nolint:nilerr // the browser went away
	}
	return nil
}

// functions are what templates may call.
func (l *language) functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"t":     l.T,
		"has":   l.Has,
		"num":   l.Number,
		"size":  l.Size,
		"asset": a.url,
		"when":  l.when,
		"json":  indented,
		"dict":  dict,
		"query": url.QueryEscape,
		"add":   func(a, b int) int { return a + b },
		"title": func(key string) template.HTML { return l.T("page." + key + ".title") },
	}
}

// when is a moment in UTC, which a script shows in local time to who wants it.
// Nothing is shown of none.
func (l *language) when(at any) (template.HTML, error) {
	if text, ok := at.(*string); ok && text != nil {
		at = *text
	}
	var t time.Time
	switch x := pointed(at).(type) {
	case time.Time:
		t = x
	case string:
		if x == "" {
			break
		}
		var err error
		if t, err = time.Parse(time.RFC3339Nano, x); err != nil {
			return "", fmt.Errorf("show a time: %w", err)
		}
	}
	if t.IsZero() {
		return `<span class="none">–</span>`, nil
	}
	t = t.UTC()
	return template.HTML(`<time dir="ltr" datetime="` + t.Format(time.RFC3339) + `">` + l.figures(t.Format("2006-01-02 15:04:05")) + ` UTC</time>`), nil //nolint:gosec // made of digits
}

// indented is JSON for people to read.
func indented(value any) (string, error) {
	var b bytes.Buffer
	if raw, ok := value.(json.RawMessage); ok {
		err := json.Indent(&b, raw, "", "  ")
		return b.String(), err
	}
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return strings.TrimSpace(b.String()), err
}

// dict is what a part is given: names and values in turn.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict has a name without a value: %v", pairs)
	}
	d := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict has a name that is no text: %v", pairs[i])
		}
		d[name] = pairs[i+1]
	}
	return d, nil
}
