package sqlresponder

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// bind turns parameters into values for the statement's @names, each as the
// text that PostgreSQL reads itself: no number is rounded on the way, and the
// cast in the statement decides the type. Absent and null bind NULL, an array
// of plain values binds a PostgreSQL array, anything nested binds its JSON.
func bind(params json.RawMessage) (pgx.NamedArgs, error) {
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber()
	var values map[string]any
	if err := dec.Decode(&values); err != nil {
		return nil, err
	}
	args := make(pgx.NamedArgs, len(values))
	for name, v := range values {
		if text, ok := scalar(v); ok {
			args[name] = text
			continue
		}
		if v == nil {
			continue
		}
		text, err := nested(v)
		if err != nil {
			return nil, err
		}
		args[name] = text
	}
	return args, nil
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return number(v.String()), true
	default:
		return "", false
	}
}

// number writes what JSON Schema calls an integer (1e3, 5.0) as PostgreSQL
// expects one, and leaves every other number as it stands.
func number(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	if r, ok := new(big.Rat).SetString(text); ok && r.IsInt() {
		return r.Num().String()
	}
	return text
}

func nested(v any) (string, error) {
	if list, ok := v.([]any); ok {
		if text, ok := array(list); ok {
			return text, nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// array writes an array literal (PostgreSQL, 8.15.2), every element quoted,
// unless one of them is no plain value.
func array(list []any) (string, bool) {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	elements := make([]string, len(list))
	for i, v := range list {
		text, ok := scalar(v)
		switch {
		case ok:
			elements[i] = `"` + quote.Replace(text) + `"`
		case v == nil:
			elements[i] = "NULL"
		default:
			return "", false
		}
	}
	return "{" + strings.Join(elements, ",") + "}", true
}
