package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"sallyport/domain"
	"sallyport/projections"
)

// query is what a list was asked for.
type query struct {
	page   projections.Page
	values url.Values
}

// parseQuery reads limit and cursor, and those further parameters that the
// list knows. Any other is refused: a filter that is misspelt must not give
// everything.
func parseQuery(c *call, known ...string) (query, error) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return query{}, badQuery("", "cannot be read")
	}
	for name, given := range values {
		if name != "limit" && name != "cursor" && !slices.Contains(known, name) {
			return query{}, badQuery(name, "is not a known parameter")
		}
		if len(given) > 1 {
			return query{}, badQuery(name, "is given more than once")
		}
	}
	q := query{values: values, page: projections.Page{Cursor: values.Get("cursor")}}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > projections.MaxLimit {
			return query{}, badQuery("limit", "must be 1 to "+strconv.Itoa(projections.MaxLimit))
		}
		q.page.Limit = n
	}
	return q, nil
}

// time reads a parameter that is an RFC 3339 time; the zero time if it is not given.
func (q query) time(name string) (time.Time, error) {
	text := q.values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badQuery(name, "must be a time such as 2026-01-31T12:00:00Z")
	}
	return t, nil
}

func badQuery(parameter, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, code: "invalid-query",
		Detail: "the query parameter " + parameter + " " + detail,
		Errors: []fieldError{{Parameter: parameter, Detail: detail}}}
}

type listShape struct {
	Items      any     `json:"items"`
	NextCursor *string `json:"next_cursor"` // null at the end
}

// list is the answer of a list; next is the cursor of its next page.
func list[T any](c *call, items []T, next string) answer {
	if items == nil {
		items = []T{}
	}
	if next == "" {
		return answer{value: listShape{Items: items}}
	}
	values := c.URL.Query()
	values.Set("cursor", next)
	return answer{value: listShape{Items: items, NextCursor: &next},
		link: "<" + c.URL.EscapedPath() + "?" + values.Encode() + `>; rel="next"`}
}

// idOf returns the path's id; what cannot be one is not looked up.
func idOf(c *call) (string, error) {
	id := mux.Vars(c.Request)["id"]
	if len(id) != 36 || uuid.Validate(id) != nil {
		return "", errNotFound
	}
	return id, nil
}

// slugOf returns the path's name; what cannot be one is not looked up.
func slugOf(c *call) (string, error) {
	name := mux.Vars(c.Request)["name"]
	if !domain.ValidSlug(name) {
		return "", errNotFound
	}
	return name, nil
}
