package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/message"

	"sallyport/domain"
)

// finding says what a value must be, to a person who knows no JSON Schema, and
// to programs. What is rare is left to the library's own words.
func finding(k jsonschema.ErrorKind, printer *message.Printer) domain.FieldError {
	switch k := k.(type) {
	case *kind.Type:
		return domain.FieldError{Code: domain.FieldType, Detail: fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)}
	case *kind.MinLength:
		return domain.FieldError{Code: domain.FieldTooShort, Detail: fmt.Sprintf("must have at least %d characters", k.Want), Least: count(k.Want)}
	case *kind.MaxLength:
		return domain.FieldError{Code: domain.FieldTooLong, Detail: fmt.Sprintf("must have at most %d characters", k.Want), Most: count(k.Want)}
	case *kind.MinItems:
		return domain.FieldError{Code: domain.FieldTooFew, Detail: fmt.Sprintf("must list at least %d", k.Want), Least: count(k.Want)}
	case *kind.MaxItems:
		return domain.FieldError{Code: domain.FieldTooMany, Detail: fmt.Sprintf("must list at most %d", k.Want), Most: count(k.Want)}
	case *kind.Minimum:
		return domain.FieldError{Code: domain.FieldRange, Detail: "must be at least " + plainNumber(k.Want), Least: json.Number(plainNumber(k.Want))}
	case *kind.Maximum:
		return domain.FieldError{Code: domain.FieldRange, Detail: "must be at most " + plainNumber(k.Want), Most: json.Number(plainNumber(k.Want))}
	case *kind.ExclusiveMinimum:
		return domain.FieldError{Code: domain.FieldRange, Detail: "must be more than " + plainNumber(k.Want)}
	case *kind.ExclusiveMaximum:
		return domain.FieldError{Code: domain.FieldRange, Detail: "must be less than " + plainNumber(k.Want)}
	case *kind.Pattern:
		return domain.FieldError{Code: domain.FieldForm, Detail: "must match " + k.Want}
	case *kind.Enum, *kind.Const:
		return domain.FieldError{Code: domain.FieldNotOneOf, Detail: k.LocalizedString(printer)}
	case *kind.UniqueItems:
		return domain.FieldError{Code: domain.FieldTwice, Detail: k.LocalizedString(printer)}
	default:
		return domain.FieldError{Code: domain.FieldForm, Detail: k.LocalizedString(printer)}
	}
}

func count(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func plainNumber(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
