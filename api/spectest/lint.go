package spectest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Lint returns what is wrong with the description itself: what OpenAPI does
// not allow, and what the rules of this project do not.
func (s *Spec) Lint() []error {
	errs := s.lintDocument()
	ids := map[string]bool{}
	for _, o := range s.operations {
		errs = append(errs, s.lintOperation(o)...)
		if ids[o.ID] {
			errs = append(errs, fmt.Errorf("%s: another operation has the id %s", o, o.ID))
		}
		ids[o.ID] = true
	}
	errs = append(errs, s.lintClosed()...)
	return append(errs, s.lintUse()...)
}

// lintDocument asks a library that knows OpenAPI. Examples are not its: where
// a schema refers to another it holds them against the rules of OpenAPI 3.0.
func (s *Spec) lintDocument() []error {
	text, err := json.Marshal(s.root)
	if err != nil {
		return []error{err}
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return []error{err}
	}
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return []error{err}
	}
	return nil
}

var operationID = regexp.MustCompile(`^[a-z][A-Za-z]+$`)

func (s *Spec) lintOperation(o Operation) []error {
	var errs []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s "+format, append([]any{o}, args...)...))
		}
	}
	must(operationID.MatchString(o.ID), "has the operationId %q, which is no name for a function", o.ID)
	for _, field := range []string{"summary", "description"} {
		text, _ := o.node[field].(string)
		must(text != "", "has no %s", field)
	}
	tags, _ := o.node["tags"].([]any)
	must(len(tags) == 1, "must have one tag")
	must(slices.Contains([]string{"request", "response", "both"}, o.Site), "has the x-site %q", o.Site)
	must(len(o.Roles) > 0, "has no x-roles")
	security, given := o.node["security"].([]any)
	must(o.Open() == (given && len(security) == 0), "must have `security: []` if anyone may call it, and only then")
	wanted := map[int]bool{}
	for _, code := range s.Codes(o) {
		p, ok := s.problems[code]
		must(ok, "names the problem %s, which x-problems at the end does not have", code)
		wanted[p.Status] = true
	}
	for _, status := range statuses(o) {
		must(status < 400 || wanted[status], "has an answer %d, but no problem that comes with it", status)
		delete(wanted, status)
	}
	for status := range wanted {
		must(false, "names a problem of status %d, but has no such answer", status)
	}
	return append(errs, s.lintResponses(o)...)
}

func statuses(o Operation) []int {
	var out []int
	for text := range o.node["responses"].(map[string]any) {
		n, err := strconv.Atoi(text)
		if err != nil {
			n = -1 // `default` and `4XX` say too little
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// lintResponses sees that each refusal is a problem document, that each write
// tells its position, and that each JSON body has a schema and its examples fit.
func (s *Spec) lintResponses(o Operation) []error {
	var errs []error
	responses := o.node["responses"].(map[string]any)
	for _, text := range slices.Sorted(maps.Keys(responses)) {
		response, pointer := s.resolve(responses[text].(map[string]any), o.pointer+"/responses/"+text)
		if headers, _ := response["headers"].(map[string]any); o.Method != http.MethodGet && text < "300" && headers["X-Log-Position"] == nil {
			errs = append(errs, fmt.Errorf("%s writes and answers %s without X-Log-Position", o, text))
		}
		content, _ := response["content"].(map[string]any)
		if _, problem := content["application/problem+json"]; text >= "400" && !problem {
			errs = append(errs, fmt.Errorf("%s answers %s without application/problem+json", o, text))
		}
		for name, media := range content {
			at := pointer + "/content/" + escape(name)
			errs = append(errs, s.lintExamples(media.(map[string]any), at, fmt.Sprintf("%s %s", o, text))...)
		}
	}
	if media, schema, ok := s.requestSchema(o); ok {
		if media["examples"] == nil {
			errs = append(errs, fmt.Errorf("%s has no example of its body", o))
		}
		errs = append(errs, s.lintExamples(media, strings.TrimSuffix(schema, "/schema"), o.String()+" body")...)
	}
	return errs
}

func (s *Spec) lintExamples(media map[string]any, pointer, what string) []error {
	var errs []error
	examples, _ := media["examples"].(map[string]any)
	for name, e := range examples {
		example, _ := s.resolve(e.(map[string]any), "")
		if err := s.fits(pointer+"/schema", example["value"], "the example "+name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	return errs
}

// lintClosed sees that every object says what may be in it.
func (s *Spec) lintClosed() []error {
	var errs []error
	walk(s.root, "#", func(node map[string]any, pointer string) {
		if strings.Contains(pointer, "/examples/") || !isObject(node["type"]) {
			return
		}
		_, additional := node["additionalProperties"]
		_, unevaluated := node["unevaluatedProperties"]
		if !additional && !unevaluated {
			errs = append(errs, fmt.Errorf("%s: an object must say additionalProperties or unevaluatedProperties", pointer))
		}
	})
	return errs
}

func isObject(kind any) bool {
	list, ok := kind.([]any)
	return kind == "object" || ok && slices.Contains(list, any("object"))
}

// lintUse sees that every component and every problem is used.
func (s *Spec) lintUse() []error {
	used := map[string]bool{}
	walk(s.root, "#", func(node map[string]any, _ string) {
		if ref, ok := node["$ref"].(string); ok {
			used[ref] = true
		}
	})
	var errs []error
	for kind, components := range s.root["components"].(map[string]any) {
		for name := range components.(map[string]any) {
			if at := "#/components/" + kind + "/" + name; kind != "securitySchemes" && !used[at] {
				errs = append(errs, fmt.Errorf("%s is used nowhere", at))
			}
		}
	}
	for code, p := range s.problems {
		here := p.For != "" || code == "no-such-path" || code == "wrong-method" // what is no operation
		if !here && !slices.ContainsFunc(s.operations, func(o Operation) bool { return slices.Contains(o.Problems, code) }) {
			errs = append(errs, fmt.Errorf("no operation names the problem %s", code))
		}
	}
	return errs
}

func walk(node any, pointer string, visit func(map[string]any, string)) {
	switch n := node.(type) {
	case map[string]any:
		visit(n, pointer)
		for name, part := range n {
			walk(part, pointer+"/"+escape(name), visit)
		}
	case []any:
		for i, part := range n {
			walk(part, pointer+"/"+strconv.Itoa(i), visit)
		}
	}
}
