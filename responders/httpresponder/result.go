package httpresponder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"sallyport/domain"
	"sallyport/responders"
)

// maxDepth bounds how deep an answer is nested, so that a line of the log holds
// it.
const maxDepth = 48

var (
	errNoJSON = errors.New("the service's answer is no JSON in UTF-8, or has a name twice in an object")
	errDepth  = fmt.Errorf("the service's answer is nested deeper than %d", maxDepth)
)

// result takes what a call asked for out of a service's answer.
func result(body []byte, c domain.ServiceCall, maxRows, maxBytes int) (responders.Answer, *responders.Failure) {
	if err := strict(body); err != nil {
		return responders.Answer{}, errBadAnswer.By(err)
	}
	whole := jsontext.Value(body)
	if err := whole.Compact(); err != nil {
		return responders.Answer{}, errBadAnswer.By(errNoJSON)
	}
	at, found := find(whole, c.Rows)
	if !found {
		return responders.Answer{}, errBadAnswer.By(fmt.Errorf("the service's answer has nothing at %q", c.Rows))
	}
	a := responders.Answer{ContentType: contentType}
	switch at.Kind() {
	case 'n':
		a.Result = []byte("[]")
	case '[':
		collect(&a, at, c.Fields, maxRows, maxBytes)
	default:
		a.Result, a.Count = []byte(chosen(at, c.Fields)), 1
		if len(a.Result) > maxBytes {
			return responders.Answer{}, errTooLarge.By(errors.New("the result is one value, and larger than a result may be"))
		}
	}
	return a, nil
}

// collect writes the rows as one JSON array until a limit is reached.
func collect(a *responders.Answer, rows jsontext.Value, fields map[string]string, maxRows, maxBytes int) {
	out := []byte{'['}
	for row := range elements(rows) {
		row = chosen(row, fields)
		if a.Count == maxRows || len(out)+len(row)+len(",]") > maxBytes {
			a.Truncated = true
			break
		}
		if a.Count > 0 {
			out = append(out, ',')
		}
		out = append(out, row...)
		a.Count++
	}
	a.Result = append(out, ']')
}

// chosen is what a row keeps: an object of the fields in the order of their
// names, null where the row has nothing.
func chosen(row jsontext.Value, fields map[string]string) jsontext.Value {
	if len(fields) == 0 {
		return row
	}
	out := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, found := find(row, fields[name])
		if !found {
			value = jsontext.Value("null")
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, name) // the rules admit UTF-8 only
		out = append(append(out, ':'), value...)
	}
	return append(out, '}')
}

// strict holds an answer to what every reader understands alike.
func strict(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	for values := 0; ; {
		_, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && values == 1:
			return nil
		case err != nil || values == 1:
			return errNoJSON
		case d.StackDepth() > maxDepth:
			return errDepth
		case d.StackDepth() == 0:
			values++
		}
	}
}

// find returns what a JSON pointer leads to.
func find(v jsontext.Value, pointer string) (jsontext.Value, bool) {
	for token := range jsontext.Pointer(pointer).Tokens() {
		inner, found := inside(v, token)
		if !found {
			return nil, false
		}
		v = inner
	}
	return v, true
}

// inside returns an object's member or an array's element.
func inside(v jsontext.Value, token string) (jsontext.Value, bool) {
	switch v.Kind() {
	case '{':
		for name, value := range members(v) {
			if name == token {
				return value, true
			}
		}
	case '[':
		i := 0
		for value := range elements(v) {
			if strconv.Itoa(i) == token {
				return value, true
			}
			i++
		}
	}
	return nil, false
}
