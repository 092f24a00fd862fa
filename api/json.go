package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"sync"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// decode reads a call's body strictly.
func decode[In any](r *http.Request) (In, error) {
	var in In
	if err := checkMediaType(r.Header); err != nil {
		return in, err
	}
	body, err := readBody(r)
	if err != nil {
		return in, bodyError(err)
	}
	if err := strict.Unmarshal(body, &in, strict.RejectUnknownMembers(true)); err != nil {
		return in, jsonError(err)
	}
	return in, nil
}

// trusted is how much memory a body's announced length is worth before any
// of it has arrived; most bodies are smaller.
const trusted = 4 << 10

// readBody takes memory as bytes arrive, whatever length was announced.
func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(r.ContentLength, 0), trusted)) + bytes.MinRead)
	n, err := b.ReadFrom(r.Body)
	if err == nil && r.ContentLength >= 0 && n < r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return b.Bytes(), err
}

func checkMediaType(h http.Header) error {
	text := h.Get("Content-Type")
	if text == "application/json" && h.Get("Content-Encoding") == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(text)
	charset, given := params["charset"]
	if err != nil || media != "application/json" || given && !strings.EqualFold(charset, "utf-8") ||
		h.Get("Content-Encoding") != "" {
		return errMediaType
	}
	return nil
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &problem{Status: http.StatusRequestEntityTooLarge, code: "body-too-large",
			Detail: fmt.Sprintf("the body is larger than %d MiB; nothing was stored", tooLarge.Limit>>20)}
	}
	return &problem{Status: http.StatusBadRequest, code: "incomplete-body",
		Detail: "the body did not arrive whole; nothing was stored"}
}

// jsonError tells what is not JSON (400) from JSON that does not fit (422),
// each with its place.
func jsonError(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		what := "the body is not one JSON value in UTF-8"
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			what = "the body has a name twice in one object"
		case strings.Count(string(syntax.JSONPointer), "/") >= maxDepth:
			what = "the body is nested too deep"
		}
		return &problem{Status: http.StatusBadRequest, code: "malformed-json",
			Detail: fmt.Sprintf("%s: look at byte %d; nothing was stored", what, syntax.ByteOffset),
			Errors: []fieldError{{Pointer: place(syntax.JSONPointer), Code: domain.FieldJSON, Detail: what}}}
	}
	var wrong *strict.SemanticError
	if !errors.As(err, &wrong) {
		return err
	}
	code, detail := domain.FieldType, "must be "+kindOf(wrong.GoType)
	if errors.Is(err, strict.ErrUnknownName) {
		code, detail = domain.FieldUnknown, "is not a known field"
		if known := namesIn(wrong.GoType); len(known) > 0 {
			detail += "; known are " + strings.Join(known, ", ")
		}
	}
	pointer := place(wrong.JSONPointer)
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-body",
		Detail: strings.TrimSpace(pointer+" "+detail) + "; nothing was stored",
		Fields: []domain.FieldError{{Pointer: pointer, Code: code, Detail: detail}}}
}

const (
	// maxDepth is where the reader of JSON gives up.
	maxDepth = 10_000
	// maxPlace bounds what a refusal repeats of a body, in bytes.
	maxPlace = 1 << 10
)

// place is a pointer, or that to the nearest value around it which is not too
// long to be told.
func place(p jsontext.Pointer) string {
	for len(p) > maxPlace {
		p = p.Parent()
	}
	return string(p)
}

// namesIn lists the members that an object read into a Go type may have.
func namesIn(t reflect.Type) []string {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// kindOf names the JSON type that a Go type is read from.
func kindOf(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	if t == reflect.TypeFor[domain.Timestamp]() {
		return "a time such as 2026-01-31T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// draft is the memory that an answer is put together in. It is used again.
type draft struct {
	headers headers
	buffer  bytes.Buffer
	json    *json.Encoder // into the buffer
}

var drafts = sync.Pool{New: func() any {
	var d draft
	d.json = json.NewEncoder(&d.buffer)
	d.json.SetEscapeHTML(false)
	return &d
}}

// body returns an answer's body, which is good until the draft is freed.
func (d *draft) body(a *answer) ([]byte, error) {
	if a.value == nil {
		return a.raw, nil
	}
	if err := d.json.Encode(a.value); err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return d.buffer.Bytes(), nil
}

// maxKept is the most memory that a draft keeps; few answers are longer.
const maxKept = 64 << 10

// free lets the next answer have the memory.
func (d *draft) free() {
	if d.buffer.Cap() <= maxKept {
		d.buffer.Reset()
		d.headers.reset()
		drafts.Put(d)
	}
}
