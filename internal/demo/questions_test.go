package demo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"sallyport/internal/dataset"
)

func begun(t *testing.T) *run {
	t.Helper()
	airports, err := dataset.Airports()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{airports: airports, types: map[string]dataset.RequestType{}}
	for _, typ := range dataset.RequestTypes() {
		r.types[typ.Name] = typ
	}
	return r
}

// The demo asks enough, of every type, and knows beforehand that most of it
// must find something.
func TestQuestions(t *testing.T) {
	t.Parallel()
	r := begun(t)
	found, empty, types := 0, 0, map[string]int{}
	for _, q := range r.questions() {
		types[q.typ.Name]++
		rows, err := q.typ.Answer(r.airports, q.params)
		if err != nil {
			t.Fatalf("%s %s: %v", q.typ.Name, q.params, err)
		}
		if len(rows) > 0 {
			found++
		} else {
			empty++
		}
	}
	if found+empty < 200 || found < 120 || empty < 20 || len(types) < 3 {
		t.Errorf("%d questions find something, %d nothing, types %v", found, empty, types)
	}
}

// asAnswered is the right answer as it comes over HTTP.
func asAnswered(t *testing.T, r *run, q *question) (result []map[string]any) {
	t.Helper()
	rows, err := q.typ.Answer(r.airports, q.params)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[:min(len(rows), q.typ.MaxResults)] {
		object := map[string]any{}
		for i, column := range q.typ.Columns {
			object[column] = row[i]
		}
		result = append(result, object)
	}
	raw, err := json.Marshal(result)
	if err == nil {
		result = nil
		err = json.Unmarshal(raw, &result)
	}
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// An answer that is wrong anywhere is found out.
func TestCompare(t *testing.T) {
	t.Parallel()
	r := begun(t)
	for _, q := range []*question{
		{typ: r.types["airport"], params: json.RawMessage(`{"iata":"FRA"}`)},
		{typ: r.types["airports-in-country"], params: json.RawMessage(`{"country":"CH"}`)},
		{typ: r.types["highest-airports"], params: json.RawMessage(`{"country":"CH","n":3}`)},
	} {
		right := asAnswered(t, r, q)
		if err := r.compare(q, right); err != nil || q.rows != len(right) || q.rows == 0 {
			t.Fatalf("the right answer of %d rows: %v", len(right), err)
		}
		if r.compare(q, right[1:]) == nil || r.compare(q, append(slices.Clone(right), right[0])) == nil || r.compare(q, nil) == nil {
			t.Errorf("%s: a row too few or too many was not noticed", q.typ.Name)
		}
		for _, column := range q.typ.Columns {
			wrong := asAnswered(t, r, q)
			wrong[len(wrong)-1][column] = "something else"
			if r.compare(q, wrong) == nil {
				t.Errorf("%s: a wrong %s was not noticed", q.typ.Name, column)
			}
		}
		if len(right) > 1 {
			slices.Reverse(right)
			if r.compare(q, right) == nil {
				t.Errorf("%s: another order was not noticed", q.typ.Name)
			}
		}
	}
}

func TestNewestBundle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := newestBundle(dir, "_field-core_"); err == nil {
		t.Error("found one in an empty folder")
	}
	for _, name := range []string{"2026/10/sp1_field-core_01234567_0000000009.jsonl.zst", "2026/11/sp1_field-core_01234567_0000000010.jsonl.zst",
		"2026/11/sp1_core-field_01234567_0000000012.jsonl.zst.age"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := newestBundle(dir, "_field-core_"); err != nil || filepath.Base(got) != "sp1_field-core_01234567_0000000010.jsonl.zst" {
		t.Errorf("%s, %v", got, err)
	}
}

// One failure ends the round and is what the round says.
func TestEach(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	questions := make([]*question, 100)
	for i := range questions {
		questions[i] = &question{rows: i}
	}
	var done atomic.Int64
	err := each(t.Context(), questions, func(_ context.Context, q *question) error {
		done.Add(1)
		if q.rows == 50 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || done.Load() < 51 {
		t.Errorf("%d done, %v", done.Load(), err)
	}
}
