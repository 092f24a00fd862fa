package httpresponder

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// elements are those of an array that was held to be strict JSON.
func elements(array jsontext.Value) iter.Seq[jsontext.Value] {
	return func(yield func(jsontext.Value) bool) {
		d := jsontext.NewDecoder(bytes.NewReader(array))
		if _, err := d.ReadToken(); err != nil {
			return
		}
		for k := d.PeekKind(); k != ']' && k != 0; k = d.PeekKind() {
			v, err := d.ReadValue()
			if err != nil || !yield(v.Clone()) {
				return
			}
		}
	}
}

// members are those of an object that was held to be strict JSON.
func members(object jsontext.Value) iter.Seq2[string, jsontext.Value] {
	return func(yield func(string, jsontext.Value) bool) {
		d := jsontext.NewDecoder(bytes.NewReader(object))
		if _, err := d.ReadToken(); err != nil {
			return
		}
		for k := d.PeekKind(); k != '}' && k != 0; k = d.PeekKind() {
			name, err := d.ReadToken()
			if err != nil {
				return
			}
			text := name.String()
			v, err := d.ReadValue()
			if err != nil || !yield(text, v.Clone()) {
				return
			}
		}
	}
}
