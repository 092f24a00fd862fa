package schema

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/message"
)

// words says what a value must be, to a person who knows no JSON Schema. What
// is rare is left to the library's own words.
func words(k jsonschema.ErrorKind, printer *message.Printer) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.Pattern:
		return "must match " + k.Want
	case *kind.Minimum:
		return "must be at least " + plainNumber(k.Want)
	case *kind.Maximum:
		return "must be at most " + plainNumber(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + plainNumber(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + plainNumber(k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must list at least %d", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must list at most %d", k.Want)
	default:
		return k.LocalizedString(printer)
	}
}

func plainNumber(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}
