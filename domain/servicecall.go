package domain

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ResponderHTTP answers by one call of an internal service.
const ResponderHTTP ResponderKind = "http"

// ServiceCall says what is asked of a service and what of its answer is the
// result. Where the service is and how to log in there stands in the site's
// configuration.
type ServiceCall struct {
	// Method is GET, or POST for a service that is asked by a body; the call
	// must change nothing there.
	Method string `json:"method"`
	// Path is the path's template below the service's URL, such as
	// /orders/{order}.
	Path string `json:"path"`
	// Query is the template of the query's parameters: an object of plain values
	// and arrays of such. Nil: none.
	Query json.RawMessage `json:"query,omitempty"`
	// Headers are sent as they stand. No secret belongs here.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is the template of a JSON body, of the method POST only.
	Body json.RawMessage `json:"body,omitempty"`
	// Rows is the JSON pointer to the result in what the service answers; empty:
	// all of it.
	Rows string `json:"rows,omitempty"`
	// Fields are what a row keeps: names with JSON pointers into it. Nil: all.
	Fields map[string]string `json:"fields,omitempty"`
}

// Bounds and defaults of a call.
const (
	DefaultMethod  = "GET"
	postMethod     = "POST"
	maxCallPath    = 2 << 10
	maxCallQuery   = 8 << 10
	maxCallBody    = 32 << 10
	maxCallHeaders = 32
	maxHeaderValue = 1000
	maxFields      = 100
	maxFieldName   = 100
	maxPointer     = 300
)

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)
	// pointerForm is that of a JSON pointer (RFC 6901).
	pointerForm = regexp.MustCompile(`^(/([^~/]|~[01])*)*$`)
)

// ownHeaders are those that the call or the site's configuration makes.
var ownHeaders = []string{"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host",
	"keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// filled is the call with what was left out; what is nil stays nil.
func (c *ServiceCall) filled() *ServiceCall {
	if c == nil || c.Method != "" {
		return c
	}
	out := *c
	out.Method = DefaultMethod
	return &out
}

func (c *ServiceCall) check(f *fieldErrors) {
	if c == nil {
		f.require(false, "/call", FieldRequired, `is required: say what is asked of the service, such as {"path": "/orders/{order}"}`)
		return
	}
	f.require(c.Method == DefaultMethod || c.Method == postMethod, "/call/method", FieldNotOneOf, "must be GET or POST")
	f.text("/call/path", c.Path, 1, maxCallPath)
	f.require(strings.HasPrefix(c.Path, "/"), "/call/path", FieldForm, "must be a path such as /orders/{order}")
	checkTemplate(f, "/call/query", c.Query, maxCallQuery)
	query := bytes.TrimSpace(c.Query)
	f.require(len(query) == 0 || query[0] == '{' || !json.Valid(query), "/call/query", FieldType, "must be an object")
	checkTemplate(f, "/call/body", c.Body, maxCallBody)
	f.require(c.Body == nil || c.Method == postMethod, "/call/body", FieldUnwanted, "has no meaning for the method %s", c.Method)
	c.checkHeaders(f)
	checkPointer(f, "/call/rows", c.Rows)
	f.bounded(len(c.Fields) <= maxFields, "/call/fields", FieldTooMany, 0, maxFields, "must be at most %[2]d")
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		f.text("/call/fields", name, 1, maxFieldName)
		checkPointer(f, "/call/fields", c.Fields[name])
	}
}

func (c *ServiceCall) checkHeaders(f *fieldErrors) {
	f.bounded(len(c.Headers) <= maxCallHeaders, "/call/headers", FieldTooMany, 0, maxCallHeaders, "must be at most %[2]d")
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		low := strings.ToLower(name)
		f.require(headerName.MatchString(name) && !seen[low], "/call/headers", FieldForm, "must have names of a-z A-Z 0-9 - that are all different, and %q is not", name)
		f.require(!slices.Contains(ownHeaders, low), "/call/headers", FieldUnwanted, "must not set %s: the call sets it, or the site's configuration, where secrets belong", name)
		f.text("/call/headers", c.Headers[name], 0, maxHeaderValue)
		seen[low] = true
	}
}

// checkTemplate holds a template to its size; the responder reads it.
func checkTemplate(f *fieldErrors, at string, text json.RawMessage, most int) {
	f.require(text == nil || json.Valid(text), at, FieldJSON, "must be JSON")
	f.require(len(text) <= most, at, FieldTooLarge, "must be at most %d KiB", most>>10)
}

func checkPointer(f *fieldErrors, at, pointer string) {
	f.text(at, pointer, 0, maxPointer)
	f.require(pointerForm.MatchString(pointer), at, FieldForm, "must be a JSON pointer such as /items/0, or empty, and %q is not", pointer)
}
