package commands

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
)

// maxExponent and maxNumber are what a log line may hold (bundle format 1).
const (
	maxExponent       = 308
	maxExponentDigits = 3
	maxNumber         = 128
)

var (
	errNotJSON = errors.New("must be one JSON value in UTF-8, no name twice")
	errNUL     = errors.New("must not hold the character U+0000")
	errNumber  = errors.New("must not hold numbers beyond 128 characters or 1e308")
)

// plainJSON returns a JSON value without insignificant space, its strings and
// numbers as they were written, or says why it may not enter the log: what is
// refused here would be refused there too, but without a place.
func plainJSON(raw json.RawMessage) (json.RawMessage, error) {
	v := jsontext.Value(raw).Clone()
	if err := v.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)); err != nil {
		return nil, errNotJSON
	}
	for i := 0; i < len(v); {
		switch c := v[i]; {
		case c == '"':
			end, nul := scanString(v, i+1)
			if nul {
				return nil, errNUL
			}
			i = end
		case c == '-' || c >= '0' && c <= '9':
			end, ok := scanNumber(v, i)
			if !ok {
				return nil, errNumber
			}
			i = end
		default:
			i++
		}
	}
	return json.RawMessage(v), nil
}

// plainFact refuses a fact whose text may not enter the log: where it is free
// to say anything, the rules look at no character of it.
func plainFact(code string, f domain.Fact) error {
	data, err := domain.Encode(f)
	if err != nil {
		return err
	}
	if _, err := plainJSON(data); err != nil {
		return invalid(code, "", domain.FieldRefused, err.Error())
	}
	return nil
}

// scanString returns where the string that is open at i ends, and whether it
// holds an escaped U+0000. A raw one is no JSON.
func scanString(v []byte, i int) (end int, nul bool) {
	for v[i] != '"' {
		if v[i] == '\\' {
			nul = nul || v[i+1] == 'u' && string(v[i+2:i+6]) == "0000"
			i++
		}
		i++
	}
	return i + 1, nul
}

// scanNumber returns where the number at i ends and whether it is in bounds.
func scanNumber(v []byte, i int) (end int, ok bool) {
	from, exponent := i, -1
	for ; i < len(v); i++ {
		switch c := v[i]; {
		case c == 'e' || c == 'E':
			exponent = i + 1
		case c != '-' && c != '+' && c != '.' && (c < '0' || c > '9'):
			return i, bounded(v[from:i], exponent-from)
		}
	}
	return i, bounded(v[from:i], exponent-from)
}

// bounded checks a number whose exponent, if any, begins at the given place.
func bounded(number []byte, exponent int) bool {
	if len(number) > maxNumber {
		return false
	}
	if exponent <= 0 {
		return true
	}
	digits := bytes.TrimLeft(number[exponent:], "+-")
	n, err := strconv.Atoi(string(digits))
	return err == nil && len(digits) <= maxExponentDigits && n <= maxExponent
}
