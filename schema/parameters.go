package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/domain"
)

// Bounds of a request type's schema and of the parameters it is applied to.
const (
	// MaxParametersSchema bounds a schema, in bytes.
	MaxParametersSchema = 64 << 10
	// MaxParameters bounds one request's parameters, in bytes.
	MaxParameters = 64 << 10
	// maxParametersDepth leaves room for what a log line wraps around them.
	maxParametersDepth = 32
	maxParameterErrors = 20
)

// Parameters is the compiled JSON Schema of a request type's parameters. It
// is safe for concurrent use.
type Parameters struct {
	compiled *jsonschema.Schema
	examples []json.RawMessage
}

// schemaURL is where a schema pretends to be, so that what it refers to
// relatively is nothing that exists.
const schemaURL = "urn:sallyport:parameters"

const draft2020 = "https://json-schema.org/draft/2020-12/schema"

// CompileParameters compiles a JSON Schema, draft 2020-12, with formats
// asserted. It refuses what is larger than [MaxParametersSchema] or nested
// deeper than 32, what is not strict JSON (RFC 8259, RFC 7493), a root that is
// not `"type": "object"`, another draft, examples that the schema itself
// refuses, and every reference that leaves the schema: nothing is ever
// fetched. The error is meant for whoever wrote the schema.
func CompileParameters(raw json.RawMessage) (*Parameters, error) {
	doc, err := strictJSON(raw, MaxParametersSchema)
	if err != nil {
		return nil, fmt.Errorf("the schema: %w", err)
	}
	if err := checkRoot(doc); err != nil {
		return nil, err
	}
	compiled, err := compileAlone(doc)
	if err != nil {
		return nil, err
	}
	p := &Parameters{compiled: compiled}
	return p, p.takeExamples(raw)
}

// compileAlone compiles a schema that was read strictly and stands by itself: it
// fetches nothing.
func compileAlone(doc any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuseToLoad{})
	c.AssertFormat()
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("the schema: %w", err)
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, compileError(err)
	}
	return compiled, nil
}

// refuseToLoad stands where a compiler would read files and fetch pages.
type refuseToLoad struct{}

var errReference = errors.New("a schema may refer to its own parts only, nothing is fetched")

func (refuseToLoad) Load(string) (any, error) { return nil, errReference }

func compileError(err error) error {
	var invalid *jsonschema.SchemaValidationError
	var cause *jsonschema.ValidationError
	switch {
	case errors.Is(err, errReference):
		return errReference
	case errors.As(err, &invalid) && errors.As(invalid.Err, &cause):
		if found := fieldErrors(cause, ""); len(found) > 0 {
			return fmt.Errorf("the schema at %q: %s", found[0].Pointer, found[0].Detail)
		}
	}
	return fmt.Errorf("the schema does not compile: %w", err)
}

func checkRoot(doc any) error {
	root, ok := doc.(map[string]any)
	if !ok {
		return errors.New("the schema must be a JSON object")
	}
	if err := checkDraft(root); err != nil {
		return err
	}
	if root["type"] != "object" {
		return errors.New("the schema must say `\"type\": \"object\"`: parameters have names")
	}
	return nil
}

func checkDraft(root map[string]any) error {
	if draft, ok := root["$schema"]; ok && draft != draft2020 {
		return errors.New("the schema must be of draft 2020-12, `$schema` names another")
	}
	return nil
}

func (p *Parameters) takeExamples(raw json.RawMessage) error {
	var root map[string]json.RawMessage // not a struct, which would take "Examples" too
	if err := json.Unmarshal(raw, &root); err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	var examples []json.RawMessage
	if given, ok := root["examples"]; ok {
		if err := json.Unmarshal(given, &examples); err != nil {
			return fmt.Errorf("the schema's examples: %w", err)
		}
	}
	for i, e := range examples {
		if wrong := p.Check(e, fmt.Sprintf("/examples/%d", i)); len(wrong) > 0 {
			return fmt.Errorf("the schema refuses its own example: %s %s", wrong[0].Pointer, wrong[0].Detail)
		}
	}
	p.examples = examples
	return nil
}

// Check returns what is wrong with a request's parameters, at most twenty
// findings in the order of their pointers, or nothing. Each pointer begins
// with prefix, which says where the parameters stand in the command: with
// `/params`, a missing iata is found at `/params/iata`.
func (p *Parameters) Check(params []byte, prefix string) []domain.FieldError {
	doc, err := strictJSON(params, MaxParameters)
	if err != nil {
		return []domain.FieldError{unreadable(err, prefix)}
	}
	return findings(p.compiled, doc, prefix)
}

// findings are what a schema finds wrong with a value.
func findings(compiled *jsonschema.Schema, doc any, prefix string) []domain.FieldError {
	err := compiled.Validate(doc)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return fieldErrors(invalid, prefix)
	default:
		return []domain.FieldError{{Pointer: prefix, Code: domain.FieldRefused, Detail: "cannot be checked"}}
	}
}

// Examples returns the schema's own `examples`, each valid. May be empty.
func (p *Parameters) Examples() []json.RawMessage {
	examples := make([]json.RawMessage, len(p.examples))
	for i, e := range p.examples {
		examples[i] = bytes.Clone(e)
	}
	return examples
}

// Names returns the names that the schema's `properties` give, sorted.
func (p *Parameters) Names() []string {
	return slices.Sorted(maps.Keys(p.compiled.Properties))
}
