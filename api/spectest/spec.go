// Package spectest holds what a site answers against the description of the
// API that it serves itself. It is for tests.
//
// # Promised
//
//   - [Checked] fails the test for every answer that the description does not
//     foresee: an unknown status, header, media type or field, a problem code
//     that the operation does not name, a query parameter that worked and is
//     not written down.
//   - The schemas are used as they are written, by a JSON Schema validator for
//     the draft that OpenAPI 3.1 is made of.
package spectest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Spec is the description of the API.
type Spec struct {
	root       map[string]any
	operations []Operation
	problems   map[string]Problem
	headers    []string // those that every answer may carry

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// Operation is one method of one path.
type Operation struct {
	Method, Path string
	ID           string
	Site         string // request, response or both
	Roles        []string
	Problems     []string // the codes that it names itself
	Queries      []string // the names of its query parameters
	Headers      []string // the names of its header parameters

	node    map[string]any
	pointer string
}

// Problem is what the description says of one problem code.
type Problem struct {
	Status int    `json:"status"`
	Also   int    `json:"also"` // another status that it comes with; 0: none
	For    string `json:"for"`  // the operations that need not name it; empty: none
}

func (p Problem) statuses() []int {
	if p.Also == 0 {
		return []int{p.Status}
	}
	return []int{p.Status, p.Also}
}

const resource = "openapi.json"

// Load reads a description in JSON.
func Load(text []byte) (*Spec, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	s := &Spec{root: doc.(map[string]any), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	s.compiler.AssertFormat()
	if err := s.compiler.AddResource(resource, doc); err != nil {
		return nil, err
	}
	if err := recode(s.root["x-problems"], &s.problems); err != nil {
		return nil, fmt.Errorf("x-problems: %w", err)
	}
	if err := recode(s.root["x-headers"], &s.headers); err != nil {
		return nil, fmt.Errorf("x-headers: %w", err)
	}
	return s, s.readOperations()
}

// recode gives a part of a document another type.
func recode(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

var methods = []string{"get", "put", "post", "delete", "patch", "head", "options", "trace"}

func (s *Spec) readOperations() error {
	paths, _ := s.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		for _, method := range methods {
			node, ok := item[method].(map[string]any)
			if !ok {
				continue
			}
			o := Operation{Method: strings.ToUpper(method), Path: path, node: node, pointer: "#/paths/" + escape(path) + "/" + method}
			o.ID, _ = node["operationId"].(string)
			o.Site, _ = node["x-site"].(string)
			if err := recode(node["x-roles"], &o.Roles); err != nil {
				return fmt.Errorf("%s: x-roles: %w", o, err)
			}
			if err := recode(node["x-problems"], &o.Problems); err != nil {
				return fmt.Errorf("%s: x-problems: %w", o, err)
			}
			for _, p := range s.parameters(item, node) {
				switch name := p["name"].(string); p["in"] {
				case "query":
					o.Queries = append(o.Queries, name)
				case "header":
					o.Headers = append(o.Headers, http.CanonicalHeaderKey(name))
				}
			}
			s.operations = append(s.operations, o)
		}
	}
	return nil
}

// parameters are those of a path and those of an operation of it.
func (s *Spec) parameters(item, operation map[string]any) []map[string]any {
	var out []map[string]any
	for _, from := range []map[string]any{item, operation} {
		list, _ := from["parameters"].([]any)
		for _, p := range list {
			node, _ := s.resolve(p.(map[string]any), "")
			out = append(out, node)
		}
	}
	return out
}

func (o Operation) String() string { return o.Method + " " + o.Path }

// Open reports whether the operation needs no login.
func (o Operation) Open() bool { return slices.Equal(o.Roles, []string{"anyone"}) }

// inPerson says whether the operation takes no API keys: it has a security of
// its own that does not name them.
func (o Operation) inPerson() bool {
	own, ok := o.node["security"].([]any)
	return ok && !slices.ContainsFunc(own, func(v any) bool { return v.(map[string]any)["apiKey"] != nil })
}

// Operations lists all operations in the order of their paths.
func (s *Spec) Operations() []Operation { return slices.Clone(s.operations) }

// Root is the whole document.
func (s *Spec) Root() map[string]any { return s.root }

// resolve follows a reference, and returns what it leads to and where that is.
func (s *Spec) resolve(node map[string]any, pointer string) (map[string]any, string) {
	for {
		ref, ok := node["$ref"].(string)
		if !ok {
			return node, pointer
		}
		node, pointer = s.at(ref), ref
	}
}

// at returns the object at a pointer such as `#/components/schemas/User`.
func (s *Spec) at(pointer string) map[string]any {
	var node any = s.root
	for _, name := range strings.Split(strings.TrimPrefix(pointer, "#/"), "/") {
		object, _ := node.(map[string]any)
		node = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	object, ok := node.(map[string]any)
	if !ok {
		panic("the description refers to " + pointer + ", where nothing is")
	}
	return object
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// schema compiles the schema at a pointer, once.
func (s *Spec) schema(pointer string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.schemas[pointer]; ok {
		return known, nil
	}
	compiled, err := s.compiler.Compile(resource + strings.ReplaceAll(strings.ReplaceAll(pointer, "{", "%7B"), "}", "%7D"))
	if err != nil {
		return nil, fmt.Errorf("the schema at %s: %w", pointer, err)
	}
	s.schemas[pointer] = compiled
	return compiled, nil
}
