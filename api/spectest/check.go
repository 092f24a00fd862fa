package spectest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Find returns the operation that answers a call; false if there is none.
func (s *Spec) Find(method, path string) (Operation, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var best Operation
	found := false
	for _, o := range s.operations {
		// of several, the one with more fixed parts: /requests/stats before /requests/{id}
		if o.Method == method && matches(o.Path, path) && (!found || strings.Count(o.Path, "{") < strings.Count(best.Path, "{")) {
			best, found = o, true
		}
	}
	return best, found
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if variable := strings.HasPrefix(w, "{"); variable && got[i] == "" || !variable && w != got[i] {
			return false
		}
	}
	return true
}

// Check holds one answer against the description.
func (s *Spec) Check(r *http.Request, status int, header http.Header, body []byte) error {
	if r.Method == http.MethodOptions && status == http.StatusNoContent {
		return nil // a browser asks whether it may ask: no operation
	}
	o, found := s.Find(r.Method, r.URL.Path)
	if !found {
		return s.checkProblem(nil, "#/components/schemas/Problem", status, body)
	}
	responses := o.node["responses"].(map[string]any)
	response, ok := responses[strconv.Itoa(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("the description of %s knows no status %d (it knows %v)", o, status, slices.Sorted(maps.Keys(responses)))
	}
	response, pointer := s.resolve(response, o.pointer+"/responses/"+strconv.Itoa(status))
	return errors.Join(checkParameters(o, r, status), s.checkHeaders(response, pointer, header),
		s.checkBody(&o, response, pointer, r.Method, status, header, body))
}

// ordinary are headers that any call may have.
var ordinary = []string{"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
	"Cookie", "Forwarded", "Origin", "Te", "Transfer-Encoding", "User-Agent", "X-Api-Key", "X-Forwarded-For", "X-Request-Id"}

// checkParameters sees that what a call that worked was sent is written down.
func checkParameters(o Operation, r *http.Request, status int) error {
	if status >= 400 {
		return nil
	}
	for name := range r.URL.Query() {
		if !slices.Contains(o.Queries, name) {
			return fmt.Errorf("%s takes a query parameter %q that the description does not know", o, name)
		}
	}
	for name := range r.Header {
		if !slices.Contains(ordinary, name) && !slices.Contains(o.Headers, name) {
			return fmt.Errorf("%s was sent a header %q that the description does not know", o, name)
		}
	}
	return nil
}

func (s *Spec) checkHeaders(response map[string]any, at string, header http.Header) error {
	known, _ := response["headers"].(map[string]any)
	var errs []error
	written := map[string]bool{}
	for name, h := range known {
		canonical := http.CanonicalHeaderKey(name)
		written[canonical] = true
		node, pointer := s.resolve(h.(map[string]any), at+"/headers/"+escape(name))
		given, ok := header[canonical]
		switch {
		case !ok && node["required"] == true:
			errs = append(errs, fmt.Errorf("the header %s is missing", name))
		case ok && len(given) != 1:
			errs = append(errs, fmt.Errorf("the header %s is there %d times", name, len(given)))
		case ok:
			errs = append(errs, s.fits(pointer+"/schema", given[0], "the header "+name))
		}
	}
	for _, name := range s.headers {
		written[http.CanonicalHeaderKey(name)] = true
	}
	for name, values := range header {
		if !written[name] {
			errs = append(errs, fmt.Errorf("the description knows no header %s here: %q", name, values))
		}
	}
	return errors.Join(errs...)
}

func (s *Spec) checkBody(o *Operation, response map[string]any, pointer, method string, status int, header http.Header, body []byte) error {
	content, ok := response["content"].(map[string]any)
	if !ok {
		if len(body) > 0 {
			return fmt.Errorf("a body where the description has none: %.200q", body)
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("the Content-Type %q: %w", header.Get("Content-Type"), err)
	}
	kind, ok := content[media].(map[string]any)
	if !ok {
		return fmt.Errorf("the description knows no %s here, but %v", media, slices.Sorted(maps.Keys(content)))
	}
	if _, ok := kind["schema"]; !ok || method == http.MethodHead {
		return nil
	}
	at := pointer + "/content/" + escape(media) + "/schema"
	if media == "application/problem+json" {
		return s.checkProblem(o, at, status, body)
	}
	if media == "application/jsonl" {
		return s.fitsLines(at, body)
	}
	return s.fitsText(at, body)
}

// fitsLines holds each line of a body against the schema.
func (s *Spec) fitsLines(pointer string, body []byte) error {
	if len(body) > 0 && body[len(body)-1] != '\n' {
		return fmt.Errorf("the last line is cut off: %.200q", body)
	}
	var errs []error
	for line := range bytes.Lines(body) {
		errs = append(errs, s.fitsText(pointer, line))
	}
	return errors.Join(errs...)
}

// checkProblem sees that a body is a problem document, whose code comes with
// this status and is one of the operation's.
func (s *Spec) checkProblem(o *Operation, schema string, status int, body []byte) error {
	if err := s.fitsText(schema, body); err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	code := strings.TrimPrefix(v.(map[string]any)["type"].(string), "urn:sallyport:problem:")
	p, ok := s.problems[code]
	switch {
	case !ok:
		return fmt.Errorf("the description knows no problem %s (x-problems at its end)", code)
	case !slices.Contains(p.statuses(), status):
		return fmt.Errorf("the problem %s came with %d, and the description says %v", code, status, p.statuses())
	case o != nil && !slices.Contains(s.Codes(*o), code):
		return fmt.Errorf("x-problems of %s does not name %s", o, code)
	}
	return nil
}

// Codes are all problem codes that an operation may answer with.
func (s *Spec) Codes(o Operation) []string {
	codes := slices.Clone(o.Problems)
	for _, code := range slices.Sorted(maps.Keys(s.problems)) {
		if s.appliesTo(o, s.problems[code].For) {
			codes = append(codes, code)
		}
	}
	return codes
}

func (s *Spec) appliesTo(o Operation, group string) bool {
	switch group {
	case "every":
		return true
	case "login":
		return !o.Open()
	case "roles":
		return !o.Open() && len(o.Roles) < len(s.at("#/components/schemas/Role")["enum"].([]any))
	case "keys":
		return !o.Open() && !o.inPerson() && o.node["x-any-key"] != true
	case "person":
		return !o.Open() && o.inPerson()
	case "site":
		return o.Site != "both"
	case "json":
		return s.takesJSON(o)
	case "write":
		return o.Method != http.MethodGet
	}
	return false
}

func (s *Spec) takesJSON(o Operation) bool {
	_, _, ok := s.requestSchema(o)
	return ok
}

// requestSchema returns the JSON body of an operation and where its schema is.
func (s *Spec) requestSchema(o Operation) (media map[string]any, schema string, ok bool) {
	body, ok := o.node["requestBody"].(map[string]any)
	if !ok {
		return nil, "", false
	}
	body, pointer := s.resolve(body, o.pointer+"/requestBody")
	media, ok = body["content"].(map[string]any)["application/json"].(map[string]any)
	return media, pointer + "/content/application~1json/schema", ok
}

// fits holds a value against the schema at a pointer.
func (s *Spec) fits(pointer string, value any, what string) error {
	schema, err := s.schema(pointer)
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s does not fit the description: %w", what, err)
	}
	return nil
}

func (s *Spec) fitsText(pointer string, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w: %.200q", err, text)
	}
	return s.fits(pointer, value, fmt.Sprintf("the body %.500s", text))
}

// Examples returns the examples of an operation's JSON body by their names.
func (s *Spec) Examples(o Operation) map[string]any {
	media, _, ok := s.requestSchema(o)
	if !ok {
		return nil
	}
	out := map[string]any{}
	for name, e := range media["examples"].(map[string]any) {
		example, _ := s.resolve(e.(map[string]any), "")
		out[name] = example["value"]
	}
	return out
}

// Example returns the first example of an operation's JSON body, nil if it
// takes none.
func (s *Spec) Example(o Operation) any {
	all := s.Examples(o)
	if len(all) == 0 {
		return nil
	}
	return all[slices.Sorted(maps.Keys(all))[0]]
}

// Properties are the names of the fields of an operation's JSON body.
func (s *Spec) Properties(o Operation) []string {
	media, _, ok := s.requestSchema(o)
	if !ok {
		return nil
	}
	schema, _ := s.resolve(media["schema"].(map[string]any), "")
	properties, _ := schema["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}
