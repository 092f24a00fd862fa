package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// responder is how a request type is answered.
type responder struct {
	Kind      string       `json:"kind"`
	Source    string       `json:"source,omitempty"`
	Statement string       `json:"statement,omitempty"`
	TimeoutMS int          `json:"timeout_ms,omitempty"`
	Cache     *int         `json:"cache_seconds,omitempty"`
	Search    *searchQuery `json:"search,omitempty"`
	Call      *serviceCall `json:"call,omitempty"`
	Task      *manualTask  `json:"task,omitempty"`
}

type searchQuery struct {
	Indices []string        `json:"indices"`
	Body    json.RawMessage `json:"body"`
}

type serviceCall struct {
	Method  string          `json:"method,omitempty"`
	Path    string          `json:"path"`
	Query   json.RawMessage `json:"query,omitempty"`
	Headers json.RawMessage `json:"headers,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	Rows    string          `json:"rows,omitempty"`
	Fields  json.RawMessage `json:"fields,omitempty"`
}

type manualTask struct {
	Instructions string          `json:"instructions,omitempty"`
	Schema       json.RawMessage `json:"result_schema,omitempty"`
	ClaimMinutes int             `json:"claim_minutes,omitempty"`
}

// kinds of responders, in the order in which forms offer them.
var kinds = []string{"sql", "elasticsearch", "http", "manual"}

// responderOf reads how the type of the page's path is answered; nil: it is
// not.
func (v *visit) responderOf() (*responder, string, error) {
	var r responder
	h, err := v.call(http.MethodGet, "/request-types/"+v.part("name")+"/responder", nil, &r, nil)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return nil, "", nil
	}
	return &r, h.Get("Etag"), err
}

// responderForm is how a type is answered, as a form of one kind.
type responderForm struct {
	Form    *typed
	Type    string
	Kind    string
	Kinds   []string
	Sources []string // that the site has of the kind
	Now     *responder
}

func (v *visit) responderForm(f *typed, kind string, now *responder) (responderForm, error) {
	form := responderForm{Form: f, Type: v.r.PathValue("name"), Kind: kind, Kinds: kinds, Now: now}
	if !slices.Contains(kinds, kind) {
		form.Kind = kinds[0]
		if now != nil {
			form.Kind = now.Kind
		}
	}
	var known list[struct{ Kind, Name string }]
	err := v.get("/admin/sources?limit=1000", &known)
	for _, s := range known.Items {
		if s.Kind == form.Kind {
			form.Sources = append(form.Sources, s.Name)
		}
	}
	return form, err
}

func showResponder(v *visit) error {
	now, tag, err := v.responderOf()
	if err != nil {
		return err
	}
	form, err := v.responderForm(nil, v.r.URL.Query().Get("kind"), now)
	if err != nil {
		return err
	}
	values := url.Values{"call/method": {"GET"}, "call/path": {"/"}}
	if now != nil && now.Kind == form.Kind {
		if values, err = now.values(); err != nil {
			return err
		}
	}
	form.Form = v.fill(values, tag)
	return v.show(form)
}

// values are how a type is answered, as the form has it.
func (r responder) values() (url.Values, error) {
	values := url.Values{"source": {r.Source}, "statement": {r.Statement}}
	if r.TimeoutMS > 0 {
		values.Set("timeout_ms", strconv.Itoa(r.TimeoutMS))
	}
	if r.Cache != nil {
		values.Set("cache_seconds", strconv.Itoa(*r.Cache))
	}
	texts := map[string]json.RawMessage{}
	if q := r.Search; q != nil {
		values.Set("search/indices", strings.Join(q.Indices, "\n"))
		texts["search/body"] = q.Body
	}
	if c := r.Call; c != nil {
		values.Set("call/method", c.Method)
		values.Set("call/path", c.Path)
		values.Set("call/rows", c.Rows)
		texts["call/query"], texts["call/headers"], texts["call/body"], texts["call/fields"] = c.Query, c.Headers, c.Body, c.Fields
	}
	if t := r.Task; t != nil {
		values.Set("task/instructions", t.Instructions)
		values.Set("task/claim_minutes", strconv.Itoa(t.ClaimMinutes))
		texts["task/result_schema"] = t.Schema
	}
	for name, text := range texts {
		if len(text) == 0 {
			continue
		}
		shown, err := indented(text)
		if err != nil {
			return nil, err
		}
		values.Set(name, shown)
	}
	return values, nil
}

// responder is what a form of a kind says, as the API takes it.
func (f *typed) responder(kind string) (responder, error) {
	r := responder{Kind: kind}
	if kind != "manual" {
		r.Source, r.TimeoutMS, r.Cache = f.Get("source"), f.number("timeout_ms"), f.optional("cache_seconds")
	}
	switch kind {
	case "sql":
		r.Statement = strings.TrimSpace(f.Get("statement"))
	case "elasticsearch":
		r.Search = &searchQuery{Indices: f.lines("search/indices"), Body: f.json("search/body")}
	case "http":
		r.Call = &serviceCall{Method: f.Get("call/method"), Path: f.Get("call/path"), Rows: f.Get("call/rows"), Query: f.json("call/query"),
			Headers: f.json("call/headers"), Body: f.json("call/body"), Fields: f.json("call/fields")}
	case "manual":
		r.Task = &manualTask{Instructions: f.Get("task/instructions"), Schema: f.json("task/result_schema"), ClaimMinutes: f.number("task/claim_minutes")}
	}
	return r, f.err()
}

func setResponder(v *visit) error {
	f := v.typed()
	now, _, err := v.responderOf()
	if err != nil {
		return err
	}
	form, err := v.responderForm(f, f.Get("kind"), now)
	if err != nil {
		return err
	}
	r, err := f.responder(form.Kind)
	if err == nil {
		_, err = v.send(http.MethodPut, "/request-types/"+v.part("name")+"/responder", r, nil, f.match())
	}
	if err != nil {
		return v.refused(form, f, err, func() (url.Values, string, error) {
			now, tag, err := v.responderOf()
			if err != nil || now == nil {
				return nil, tag, err
			}
			values, err := now.values()
			return values, tag, err
		})
	}
	return v.done("types/"+v.part("name"), "responder-set")
}

func disableResponder(v *visit) error {
	if _, err := v.send(http.MethodDelete, "/request-types/"+v.part("name")+"/responder", nil, nil, nil); err != nil {
		return err
	}
	return v.done("types/"+v.part("name"), "responder-disabled")
}
