package api

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
		return query{}, errQuery
	}
	for name, given := range values {
		if name != "limit" && name != "cursor" && !slices.Contains(known, name) {
			return query{}, badQuery(name, domain.FieldUnknown, "is not a known parameter")
		}
		if len(given) > 1 {
			return query{}, badQuery(name, domain.FieldTwice, "is given more than once")
		}
	}
	q := query{values: values, page: projections.Page{Cursor: values.Get("cursor")}}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > projections.MaxLimit {
			return query{}, badQuery("limit", domain.FieldRange, "must be 1 to "+strconv.Itoa(projections.MaxLimit))
		}
		q.page.Limit = n
	}
	return q, nil
}

var errQuery = &problem{Status: http.StatusBadRequest, code: "invalid-query",
	Detail: "the query cannot be read: write names and values in percent-encoding, with & between them",
	Errors: []fieldError{{Code: domain.FieldForm, Detail: "the query cannot be read"}}}

// noQuery refuses parameters where none has a meaning.
func noQuery(c *call) error {
	if c.URL.RawQuery == "" {
		return nil
	}
	_, err := onlyQuery(c)
	return err
}

// onlyQuery reads the query of an endpoint that is no list: the given
// parameters, each once, and no other.
func onlyQuery(c *call, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, errQuery
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			return nil, badQuery(name, domain.FieldUnknown, "is not a known parameter")
		}
		if len(values[name]) > 1 {
			return nil, badQuery(name, domain.FieldTwice, "is given more than once")
		}
	}
	return values, nil
}

// time reads a parameter that is an RFC 3339 time; the zero time if it is not given.
func (q query) time(name string) (time.Time, error) { return timeOf(q.values, name) }

func timeOf(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, badQuery(name, domain.FieldTime, "must be a time such as 2026-01-31T12:00:00Z")
	}
	return t, nil
}

// flag reads a parameter that is true or false; nil if it is not given.
func (q query) flag(name string) (*bool, error) {
	switch text := q.values.Get(name); text {
	case "":
		return nil, nil //nolint:nilnil // as promised
	case "true", "false":
		return new(text == "true"), nil
	default:
		return nil, badQuery(name, domain.FieldNotOneOf, "must be true or false")
	}
}

func badQuery(parameter, code, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, code: "invalid-query",
		Detail: "the query parameter " + parameter + " " + detail,
		Errors: []fieldError{{Parameter: parameter, Code: code, Detail: detail}}}
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

// listedBy matches what lists in memory are in the order of: names, ids, and a
// kind with a name.
var listedBy = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// listByName is a page of a list that is in memory, in the order of names.
func listByName[T any](c *call, page projections.Page, items []T, name func(T) string) (answer, error) {
	if page.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
		if err != nil || !listedBy.Match(after) {
			return answer{}, projections.ErrCursor
		}
		from := slices.IndexFunc(items, func(t T) bool { return name(t) > string(after) })
		if from < 0 {
			from = len(items)
		}
		items = items[from:]
	}
	limit := page.Limit
	if limit == 0 {
		limit = projections.DefaultLimit
	}
	if len(items) <= limit {
		return list(c, items, ""), nil
	}
	return list(c, items[:limit], base64.RawURLEncoding.EncodeToString([]byte(name(items[limit-1])))), nil
}

// idOf returns the path's id as it is stored, in lower case; what cannot be
// one is not looked up. A path with an id takes no query.
func idOf(c *call) (string, error) {
	if err := noQuery(c); err != nil {
		return "", err
	}
	return idIn(c)
}

// idIn is idOf where there may be a query.
func idIn(c *call) (string, error) {
	id := strings.ToLower(mux.Vars(c.Request)["id"])
	if len(id) != 36 || uuid.Validate(id) != nil {
		return "", errNotFound
	}
	return id, nil
}

// sameName refuses a body that names something else than its path; it may
// leave the name out.
func sameName(given, path, code string) error {
	if given == "" || given == path {
		return nil
	}
	return &domain.Error{Kind: domain.Invalid, Code: code, Detail: "the body names another one than the path; nothing was stored",
		Fields: []domain.FieldError{{Pointer: "/name", Code: domain.FieldUnwanted, Detail: "must be the name in the path, or be left out"}}}
}

// slugOf returns the path's name; what cannot be one is not looked up. A path
// with a name takes no query.
func slugOf(c *call) (string, error) {
	if err := noQuery(c); err != nil {
		return "", err
	}
	name := mux.Vars(c.Request)["name"]
	if !domain.ValidSlug(name) {
		return "", errNotFound
	}
	return name, nil
}
