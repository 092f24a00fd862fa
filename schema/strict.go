package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Numbers are compared as exact fractions: a short text such as 1e999999999
// would become gigabytes of digits.
const (
	maxNumberText     = 64
	maxNumberExponent = 400
)

// strictJSON reads one JSON value that every reader understands alike: valid
// UTF-8, no name twice (RFC 7493), bounded in size, depth and numbers.
func strictJSON(raw []byte, maxBytes int) (any, error) {
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("must be at most %d KiB", maxBytes>>10)
	}
	notStrict := errors.New("must be one JSON value in UTF-8, no name twice")
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := dec.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				return nil, notStrict
			}
			return doc, nil
		case err != nil:
			return nil, notStrict
		case dec.StackDepth() > maxParametersDepth:
			return nil, fmt.Errorf("must not be nested deeper than %d", maxParametersDepth)
		case token.Kind() == '0' && !boundedNumber(token.String()):
			return nil, fmt.Errorf("must not hold numbers beyond %d characters or 1e%d", maxNumberText, maxNumberExponent)
		}
	}
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
