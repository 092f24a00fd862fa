package schema

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"sallyport/domain"
)

const maxDetail = 200

// fieldErrors flattens the library's tree into what a person can act on: one
// entry a wrong field, named by its JSON Pointer (RFC 6901).
func fieldErrors(e *jsonschema.ValidationError, prefix string) []domain.FieldError {
	f := finder{prefix: prefix, printer: message.NewPrinter(language.English)}
	f.visit(e)
	slices.SortStableFunc(f.found, func(a, b domain.FieldError) int { return cmp.Compare(a.Pointer, b.Pointer) })
	f.found = slices.Compact(f.found)
	return f.found[:min(len(f.found), maxParameterErrors)]
}

type finder struct {
	prefix  string
	printer *message.Printer
	found   []domain.FieldError
}

// visit names the leaves, but of a choice only the choice: the reasons why
// each of its forms did not fit would contradict each other.
func (f *finder) visit(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		f.each(e, k.Missing, domain.FieldError{Code: domain.FieldRequired, Detail: "is required"})
	case *kind.AdditionalProperties:
		f.each(e, k.Properties, domain.FieldError{Code: domain.FieldUnknown, Detail: "is not a known parameter"})
	case *kind.FalseSchema:
		f.add(e.InstanceLocation, domain.FieldError{Code: domain.FieldUnwanted, Detail: "is not allowed"})
	case *kind.AnyOf, *kind.OneOf, *kind.Contains:
		f.add(e.InstanceLocation, domain.FieldError{Code: domain.FieldForm, Detail: k.LocalizedString(f.printer)})
	default:
		if len(e.Causes) == 0 {
			f.add(e.InstanceLocation, finding(k, f.printer))
		}
		for _, cause := range e.Causes {
			f.visit(cause)
		}
	}
}

func (f *finder) each(e *jsonschema.ValidationError, names []string, what domain.FieldError) {
	for _, name := range names {
		f.add(append(slices.Clone(e.InstanceLocation), name), what)
	}
}

func (f *finder) add(location []string, what domain.FieldError) {
	if len(what.Detail) > maxDetail {
		cut := maxDetail
		for !utf8.RuneStart(what.Detail[cut]) {
			cut--
		}
		what.Detail = what.Detail[:cut] + "…"
	}
	what.Pointer = f.prefix + pointer(location)
	f.found = append(f.found, what)
}

func pointer(location []string) string {
	var b strings.Builder
	for _, name := range location {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}
