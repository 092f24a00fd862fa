package bundle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/bridge/bundle"
)

func TestCheckLine(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{}`, `{"a":[]}`, `{"a":null,"b":true,"c":false}`, `{"a":-0,"b":0.5,"c":1e308,"d":-1.5E-10,"e":12345678901234567890}`,
		`{"a":"é☂😀\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"}`, `{"a":{"a":{"a":1}},"A":2}`, `{"":0}`, nested(64),
		`{"a":"` + strings.Repeat("x", 100) + `","b":"\u0001"}`, manyNames(1000, -1), "{\"a\":\"\u007f\u0085\uffff\"}",
	} {
		if err := bundle.CheckLine([]byte(text(1, data)), bundle.Limits{}); err != nil {
			t.Errorf("%.60s: %v", data, err)
		}
	}
	for _, data := range []string{
		``, `[]`, `1`, `null`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1}}`, `{"a":1}{}`, `{"a":tru}`, `{"a":True}`, `{"a":1 }`,
		`{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":1e309}`, `{"a":1e-999}`, `{"a":NaN}`,
		`{"a":` + strings.Repeat("9", 129) + `}`,
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u000g"}`, `{"a":"\u0000"}`, "{\"a\":\"\x00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}",
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800x"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}",
		"{\"\xff\":1}", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":[{"\n":1,"\u000a":1}]}`, nested(65), manyNames(1000, 3), manyNames(13, 0),
	} {
		if err := bundle.CheckLine([]byte(text(1, data)), bundle.Limits{}); err == nil {
			t.Errorf("accepted %.60s", data)
		}
	}
}

// manyNames gives an object of n names, the one at double twice.
func manyNames(n, double int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"name%d":%d`, i, i)
	}
	if double >= 0 {
		fmt.Fprintf(&b, `,"\u006eame%d":0`, double)
	}
	return "{" + b.String()[1:] + "}"
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	good := text(1, `{}`)
	longest := strings.Repeat("é", 256)
	for _, edit := range [][2]string{
		{"", ""}, {`"pos":1`, `"pos":9007199254740991`}, {`"cause":""`, `"cause":"` + longest + `"`}, {`site:field`, `Zoë`},
		{`2026-11-22`, `2024-02-29`}, {`2026-11-22`, `0000-01-01`},
	} {
		if err := bundle.CheckLine([]byte(strings.Replace(good, edit[0], edit[1], 1)), bundle.Limits{}); err != nil {
			t.Errorf("%q: %v", edit, err)
		}
	}
	for _, edit := range [][2]string{
		{`"pos":1`, `"pos":0`}, {`"pos":1`, `"pos":01`}, {`"pos":1`, `"pos":-1`}, {`"pos":1`, `"pos":1.0`}, {`"pos":1`, `"pos":9007199254740992`},
		{`"pos":1`, `"pos":"1"`}, {`"pos":1`, `"pos":99999999999999999999`}, {`"ver":1`, `"ver":0`}, {`"schema":1`, `"schema":0`},
		{`019aa000`, `019AA000`}, {`019aa000-`, `019aa0000`}, {`request.submitted`, ``}, {`site:field`, `a\"b`}, {`site:field`, `a\\b`}, {`site:field`, "a\tb"},
		{`site:field`, "\xff"}, {`site:field`, ``}, {`"corr":"`, `"corr":null,"x":"`}, {`"cause":""`, `"cause":null`}, {`"cause":""`, `"cause":"` + longest + `x"`},
		{`,"cause":""`, ``}, {`"data":{}`, `"data":{},"x":1`}, {`"data"`, `"Data"`}, {`{"pos"`, ` {"pos"`}, {`{"pos"`, "\ufeff" + `{"pos"`},
		{`2026-11-22`, `2026-02-29`}, {`2026-11-22`, `2026-13-01`}, {`2026-11-22`, `2026-00-10`}, {`T09:`, `T24:`}, {`:26:`, `:60:`}, {`:02.`, `:60.`},
		{`001Z`, `001+`}, {`.000001Z`, `.0001Z`}, {`T09`, `t09`},
	} {
		line := strings.Replace(good, edit[0], edit[1], 1)
		if line == good {
			t.Fatalf("%q changes nothing", edit)
		}
		if err := bundle.CheckLine([]byte(line), bundle.Limits{}); err == nil {
			t.Errorf("accepted %q", edit)
		}
	}
}

func TestLineLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  string
		size int
	}{{"request.submitted", 1 << 20}, {bundle.RecordedType, 16 << 20}} {
		if err := bundle.CheckLine([]byte(long(1, c.typ, c.size)), bundle.Limits{}); err != nil {
			t.Errorf("%s at its limit: %v", c.typ, err)
		}
		if err := bundle.CheckLine([]byte(long(1, c.typ, c.size+1)), bundle.Limits{}); err == nil {
			t.Errorf("%s over its limit is accepted", c.typ)
		}
	}
}

func TestWithheldLine(t *testing.T) {
	t.Parallel()
	w := bundle.Withheld{After: 41, Through: 57, Chain: bundle.Hash{1, 2}}
	good := string(bundle.AppendWithheld(nil, w))
	if want := `{"after":41,"through":57,"withheld":16,"chain":"0102` + strings.Repeat("00", 30) + `"}`; good != want {
		t.Errorf("got %s", good)
	}
	if l, err := bundle.ParseLine([]byte(good), bundle.Limits{}); err != nil || *l.Withheld != w {
		t.Errorf("%+v, %v", l.Withheld, err)
	}
	for _, edit := range [][2]string{{"16", "15"}, {"41", "57"}, {"41", "-1"}, {"0102", "01AB"}, {"0102", "010"}, {"}", ",\"x\":1}"}, {"\"}", "\"} "}, {"57", "5.7e1"}} {
		if _, err := bundle.ParseLine([]byte(strings.Replace(good, edit[0], edit[1], 1)), bundle.Limits{}); err == nil {
			t.Errorf("accepted %q", edit)
		}
	}
	if err := bundle.CheckLine([]byte(good), bundle.Limits{}); err == nil {
		t.Error("a withheld run may enter a log")
	}
}

func TestEventRoundTrip(t *testing.T) {
	t.Parallel()
	bare := rapid.StringMatching(`[a-zA-Z0-9:é☂ <>&'+.-]{1,100}`)
	number := rapid.Int64Range(1, 1<<53-1)
	float := rapid.Float64Range(-1e300, 1e300).Filter(func(f float64) bool { return f == 0 || math.Abs(f) > 1e-300 }) // a line's exponents
	rapid.Check(t, func(rt *rapid.T) {
		value, err := json.Marshal(map[string]any{"s": rapid.String().Filter(func(s string) bool { return !strings.ContainsRune(s, 0) }).Draw(rt, "s"),
			"n": float.Draw(rt, "n"), "l": rapid.SliceOf(rapid.Int()).Draw(rt, "l")})
		if err != nil {
			rt.Fatal(err)
		}
		e := bundle.Event{Pos: number.Draw(rt, "pos"), ID: "019aa000-0000-7000-8000-000000000001", Stream: bare.Draw(rt, "stream"),
			Ver: number.Draw(rt, "ver"), Type: bare.Draw(rt, "type"), Schema: number.Draw(rt, "schema"),
			At:    time.UnixMicro(rapid.Int64Range(-6e16, 2.5e17).Draw(rt, "at")).UTC(),
			Actor: bare.Draw(rt, "actor"), Corr: bare.Draw(rt, "corr"), Data: value}
		line := bundle.AppendEvent(nil, e)
		l, err := bundle.ParseLine(line, bundle.Limits{})
		if err != nil {
			rt.Fatal(err)
		}
		if again := bundle.AppendEvent(nil, l.Event); !bytes.Equal(again, line) || l.Event.Stream != e.Stream || !l.Event.At.Equal(e.At) {
			rt.Fatalf("%s became %s", line, again)
		}
	})
}

func TestCheckLineTakesNoMemory(t *testing.T) {
	line := []byte(text(1, `{"a":"é\n","b":[1,{"c":null}]}`))
	if n := testing.AllocsPerRun(100, func() { _ = bundle.CheckLine(line, bundle.Limits{}) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}
