package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/domain"
)

// typed is a form as somebody typed it, which is shown again if it is refused.
// A field is named as the pointer to it in the API's body, without the first
// slash, so that what the API says of a place is said beside the field.
type typed struct {
	url.Values

	// Tag is what was looked at when the form was opened, for If-Match.
	Tag string
	// Meanwhile is what is otherwise now than it was typed, after somebody else
	// changed it.
	Meanwhile []difference
	wrong     []fieldError
}

// difference is a field that somebody else changed while it was typed.
type difference struct{ Name, Now, Typed string }

// typed is the form that was sent.
func (v *visit) typed() *typed {
	return &typed{Values: v.r.PostForm, Tag: v.form("tag")}
}

// fill is a form that is opened with these values.
func (v *visit) fill(values url.Values, tag string) *typed {
	return &typed{Values: values, Tag: tag}
}

// match has a change refused if it was not made to what is there by now.
func (f *typed) match() map[string]string {
	if f.Tag == "" {
		return nil
	}
	return map[string]string{"If-Match": f.Tag}
}

// number is a whole number; 0 if nothing was typed.
func (f *typed) number(name string) int {
	if n := f.optional(name); n != nil {
		return *n
	}
	return 0
}

// optional is a whole number; nil if nothing was typed.
func (f *typed) optional(name string) *int {
	text := strings.TrimSpace(f.Get(name))
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		f.refuse(name, domain.FieldType, "must be a whole number")
	}
	return &n
}

// json is a JSON text; nil if nothing was typed.
func (f *typed) json(name string) json.RawMessage {
	text := strings.TrimSpace(f.Get(name))
	if text == "" {
		return nil
	}
	if !json.Valid([]byte(text)) {
		f.refuse(name, domain.FieldJSON, notJSON(text))
		return nil
	}
	return json.RawMessage(text)
}

// lines are the lines, and what is between commas, that hold something.
func (f *typed) lines(name string) []string {
	all := []string{}
	for _, line := range strings.FieldsFunc(f.Get(name), func(r rune) bool { return r == '\n' || r == ',' }) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// refuse notes what is wrong about a field, as the API would say it.
func (f *typed) refuse(name, code, why string) {
	f.wrong = append(f.wrong, fieldError{Pointer: "/" + name, Code: code, Detail: why})
}

// err is what could not be read of the form; nil: all could.
func (f *typed) err() error {
	if len(f.wrong) == 0 {
		return nil
	}
	return &problem{Title: "Not filled in rightly", Status: http.StatusUnprocessableEntity, Key: "fields",
		Detail: "nothing was stored: mend what is marked", Errors: f.wrong}
}

// refused shows a form again that was not taken. If that was because somebody
// else has changed the same, it shows what is there now, and what was typed can
// be stored over it.
func (v *visit) refused(data any, f *typed, err error, now func() (url.Values, string, error)) error {
	var p *problem
	if !errors.As(err, &p) || p.Code() != "precondition-failed" {
		return v.again(data, err)
	}
	is, tag, lookErr := now()
	if lookErr != nil {
		return lookErr
	}
	f.Tag, f.Meanwhile = tag, nil
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if values := is[name]; len(values) > 0 && plain(values[0]) != plain(f.Get(name)) {
			f.Meanwhile = append(f.Meanwhile, difference{name, values[0], f.Get(name)})
		}
	}
	return v.again(data, &problem{Type: p.Type, Title: p.Title, Status: p.Status, Detail: p.Detail, Key: "conflict"})
}

// plain is a text as it was before a browser sent it.
func plain(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }

// every reads a whole list of the API, up to a bound that no page could show.
func every[T any](v *visit, path string) ([]T, error) {
	all, cursor := []T{}, ""
	for range 10 {
		var l list[T]
		q := "?limit=500"
		if strings.Contains(path, "?") {
			q = "&limit=500"
		}
		if cursor != "" {
			q += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := v.get(path+q, &l); err != nil {
			return nil, err
		}
		all = append(all, l.Items...)
		if l.Next == nil {
			break
		}
		cursor = *l.Next
	}
	return all, nil
}

// filtered is a list of the API with the filter that made it.
type filtered[T any] struct {
	list[T]

	Filter   url.Values
	Filtered bool
	pagingLinks
}

// find fills a list of a page from a path of the API, with those of the page's
// parameters that the filter knows. The list is as it was if that fails.
func find[T any](v *visit, l *filtered[T], page, path string, known ...string) error {
	asked := v.r.URL.Query()
	l.Filter = url.Values{}
	for _, name := range known {
		if value := strings.TrimSpace(asked.Get(name)); value != "" {
			l.Filter.Set(name, value)
			l.Filtered = true
		}
	}
	call := v.apiFilter(l.Filter)
	call.Set("limit", "25")
	if cursor := asked.Get("cursor"); cursor != "" {
		call.Set("cursor", cursor)
	}
	if err := v.get(path+"?"+call.Encode(), &l.list); err != nil {
		return err
	}
	l.pagingLinks = v.paging(page, l.Filter, l.Next)
	return nil
}
