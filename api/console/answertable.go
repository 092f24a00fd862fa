package console

import (
	"bytes"
	"encoding/json"
	"slices"
)

// table is a list of objects, as people read it.
type table struct {
	Columns []string
	Numbers []bool // columns that hold numbers alone
	Rows    [][]cell
	Left    int // rows that are not shown
}

type cell struct {
	Text   string
	Number bool
	None   bool // there is no such member, or it is null
}

const (
	maxRows    = 1000
	maxColumns = 60
)

// tableOf makes a table of a result; nil: it is none.
func tableOf(result json.RawMessage) *table {
	var items []json.RawMessage
	if json.Unmarshal(result, &items) != nil || len(items) == 0 {
		return nil
	}
	t := &table{Left: max(0, len(items)-maxRows)}
	objects := make([]map[string]json.RawMessage, 0, min(len(items), maxRows))
	for _, item := range items[:min(len(items), maxRows)] {
		var o map[string]json.RawMessage
		if json.Unmarshal(item, &o) != nil || o == nil {
			return nil
		}
		objects = append(objects, o)
		for _, name := range namesOf(item) {
			if !slices.Contains(t.Columns, name) {
				t.Columns = append(t.Columns, name)
			}
		}
		if len(t.Columns) > maxColumns {
			return nil
		}
	}
	t.Numbers = slices.Repeat([]bool{true}, len(t.Columns))
	for _, o := range objects {
		row := make([]cell, len(t.Columns))
		for i, name := range t.Columns {
			row[i] = cellOf(o[name])
			t.Numbers[i] = t.Numbers[i] && (row[i].Number || row[i].None)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// namesOf lists an object's names in their order.
func namesOf(object json.RawMessage) (names []string) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return names
		}
		text, _ := name.(string)
		names = append(names, text)
	}
	return names
}

func cellOf(value json.RawMessage) cell {
	if len(value) == 0 || string(value) == "null" {
		return cell{None: true}
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return cell{Text: text}
	}
	return cell{Text: string(value), Number: value[0] == '-' || value[0] >= '0' && value[0] <= '9'}
}

// answerFile is a file that somebody answered with.
type answerFile struct {
	Name    string `json:"name"`
	Type    string `json:"content_type"`
	Content []byte `json:"base64"`
}

// fileIn returns the file that a result is; nil: it is none.
func fileIn(result json.RawMessage) *answerFile {
	var r struct {
		File *answerFile `json:"file"`
	}
	if json.Unmarshal(result, &r) != nil || r.File == nil || r.File.Name == "" || r.File.Content == nil {
		return nil
	}
	return r.File
}
