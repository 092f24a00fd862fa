package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sallyport/domain"
)

// Numbers are compared as exact fractions: a short text such as 1e999999999
// would become gigabytes of digits.
const (
	maxNumberText     = 64
	maxNumberExponent = 400
)

var errNotStrict = errors.New("must be one JSON value in UTF-8, no name twice")

// strictJSON reads one JSON value that every reader understands alike: valid
// UTF-8, no name twice (RFC 7493), bounded in size, depth and numbers.
func strictJSON(raw []byte, maxBytes int) (any, error) {
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("must be at most %d KiB", maxBytes>>10)
	}
	d := newDecoder(raw, maxParametersDepth, exactNumber)
	defer d.free()
	value, err := d.value()
	var bound boundError
	switch {
	case errors.As(err, &bound):
		return nil, err
	case err != nil:
		return nil, errNotStrict
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errNotStrict
	}
	return value, nil
}

// unreadable is a value that [strictJSON] did not take, or that is unfit.
func unreadable(err error, pointer string) domain.FieldError {
	code := domain.FieldTooLarge // in bytes, in depth, or a number in it
	switch {
	case errors.Is(err, errNotStrict):
		code = domain.FieldJSON
	case errors.Is(err, errUnfitText):
		code = domain.FieldCharacters
	}
	return domain.FieldError{Pointer: pointer, Code: code, Detail: err.Error()}
}

// exactNumber keeps what is no machine integer as text, for the validator to
// compare as an exact fraction.
func exactNumber(text string) (any, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if !boundedNumber(text) {
		return nil, boundError{fmt.Errorf("must not hold numbers beyond %d characters or 1e%d", maxNumberText, maxNumberExponent)}
	}
	return json.Number(text), nil
}

func boundedNumber(text string) bool {
	if len(text) > maxNumberText {
		return false
	}
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(text[i+1:])
	return err == nil && exponent >= -maxNumberExponent && exponent <= maxNumberExponent
}
