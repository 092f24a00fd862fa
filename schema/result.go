package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sallyport/domain"
)

// MaxResult bounds what a person answers with in JSON, in bytes. More is a file.
const MaxResult = 1 << 20

// Result is the compiled JSON Schema of what a person answers with. The zero
// value lets any JSON pass that the log can hold. It is safe for concurrent use.
type Result struct {
	compiled *jsonschema.Schema // nil: any
}

// CompileResult compiles a schema as [CompileParameters] does, but its root may
// be of any type. Nil leads to the zero value.
func CompileResult(raw json.RawMessage) (Result, error) {
	if raw == nil {
		return Result{}, nil
	}
	doc, err := strictJSON(raw, MaxParametersSchema)
	if err != nil {
		return Result{}, fmt.Errorf("the schema: %w", err)
	}
	switch root := doc.(type) {
	case bool:
	case map[string]any:
		if err := checkDraft(root); err != nil {
			return Result{}, err
		}
	default:
		return Result{}, errors.New("the schema must be a JSON object, true or false")
	}
	compiled, err := compileAlone(doc)
	return Result{compiled}, err
}

// Check returns what is wrong with a result, as [Parameters.Check] does.
func (r Result) Check(result []byte, prefix string) []domain.FieldError {
	doc, err := strictJSON(result, MaxResult)
	if err == nil {
		err = unfit(doc)
	}
	if err != nil {
		return []domain.FieldError{unreadable(err, prefix)}
	}
	if r.compiled == nil {
		return nil
	}
	return findings(r.compiled, doc, prefix)
}

var (
	errUnfitText   = errors.New("must not hold the character U+0000")
	errUnfitNumber = errors.New("must not hold numbers beyond 1e308")
)

// unfit says why the log could not hold a value, as the format of bundles has
// it.
func unfit(value any) error {
	switch v := value.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return errUnfitText
		}
	case json.Number:
		if _, err := strconv.ParseFloat(string(v), 64); err != nil {
			return errUnfitNumber
		}
	case []any:
		for _, e := range v {
			if err := unfit(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, e := range v {
			if err := errors.Join(unfit(name), unfit(e)); err != nil {
				return err
			}
		}
	}
	return nil
}
