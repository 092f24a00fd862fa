package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	got := tableOf(json.RawMessage(`[{"b":"x","a":1.50},{"a":null,"c":{"d":[1]}}]`))
	if got == nil || fmt.Sprint(got.Columns) != "[b a c]" || fmt.Sprint(got.Numbers) != "[false true false]" {
		t.Fatalf("%+v", got)
	}
	if row := got.Rows[0]; row[0].Text != "x" || row[1].Text != "1.50" || !row[1].Number || !row[2].None {
		t.Errorf("%+v", row)
	}
	if row := got.Rows[1]; !row[0].None || !row[1].None || row[2].Text != `{"d":[1]}` {
		t.Errorf("%+v", row)
	}
	for _, none := range []string{``, `null`, `{}`, `[]`, `[1]`, `[{"a":1},2]`, `[null]`} {
		if tableOf(json.RawMessage(none)) != nil {
			t.Errorf("%s is a table", none)
		}
	}
	long := tableOf(json.RawMessage("[" + strings.Repeat(`{"a":1},`, maxRows) + `{"a":1}]`))
	if len(long.Rows) != maxRows || long.Left != 1 {
		t.Errorf("%d rows, %d left", len(long.Rows), long.Left)
	}
}

// A bundle stands once, behind all events in a row that it carried.
func TestTimeline(t *testing.T) {
	t.Parallel()
	out, in := carrier{Direction: "out", Peer: "core", Seq: 2}, carrier{Direction: "in", Peer: "core", Seq: 7}
	var got []string
	for _, s := range timeline([]pastEvent{{Type: "a", Bundles: []carrier{out}}, {Type: "b", Bundles: []carrier{in}, Data: json.RawMessage(`[]`)},
		{Type: "c", Bundles: []carrier{in}, Data: json.RawMessage(`{"reason":"r"}`)}, {Type: "d"}}, "field") {
		if s.Event != nil {
			got = append(got, s.Event.Type+s.Detail.Reason)
		} else {
			got = append(got, fmt.Sprint(s.Bundle.Direction, s.Bundle.Seq))
		}
	}
	if want := "[a out2 b cr in7 d]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestFileIn(t *testing.T) {
	t.Parallel()
	if f := fileIn(json.RawMessage(`{"file":{"name":"a.txt","content_type":"text/plain","base64":"aGk="}}`)); f == nil || string(f.Content) != "hi" {
		t.Errorf("%+v", f)
	}
	for _, none := range []string{``, `[]`, `{"file":"a"}`, `{"file":{"name":"a"}}`, `{"file":{"base64":"aGk="}}`} {
		if f := fileIn(json.RawMessage(none)); f != nil {
			t.Errorf("%s: %+v", none, f)
		}
	}
}
