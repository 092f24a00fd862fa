package bundle_test

import (
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// badLines are signed payloads in which the event at position 2 breaks one rule.
func badLines(t *testing.T) []vector {
	one, two := text(1, `{"a":1}`), text(2, `{"a":2}`)
	vectors := []vector{}
	add := func(name, line string) {
		vectors = append(vectors, vector{File: "line-" + name, Code: bundle.Refused, Frame: 1, Line: 3, Position: 2, Says: "breaks a rule", raw: forge(one, line).file(t)})
	}
	for _, c := range [][3]string{
		{"key-twice", `{"a":2}`, `{"a":2,"a":3}`},
		{"key-twice-escaped", `{"a":2}`, `{"a":2,"\u0061":3}`},
		{"key-twice-deep", `{"a":2}`, `{"a":[{"b":1,"b":2}]}`},
		{"key-other-case", `"pos"`, `"Pos"`},
		{"key-order", `"actor":"site:field","corr":"`, `"corr":"site:field","actor":"`},
		{"key-missing", `"cause":"",`, ``},
		{"key-unknown", `"data":{"a":2}`, `"data":{"a":2},"x":1`},
		{"key-twice-in-envelope", `"pos":2,`, `"pos":2,"pos":2,`},
		{"not-utf-8", `{"a":2}`, "{\"a\":\"\xff\"}"},
		{"overlong-utf-8", `{"a":2}`, "{\"a\":\"\xc0\x80\"}"},
		{"nul", `{"a":2}`, `{"a":"\u0000"}`},
		{"nul-in-key", `{"a":2}`, `{"a\u0000":2}`},
		{"raw-nul", `{"a":2}`, "{\"a\":\"\x00\"}"},
		{"raw-tab", `{"a":2}`, "{\"a\":\"\t\"}"},
		{"lone-high-surrogate", `{"a":2}`, `{"a":"\ud800"}`},
		{"lone-low-surrogate", `{"a":2}`, `{"a":"\udc00"}`},
		{"surrogates-swapped", `{"a":2}`, `{"a":"\udc00\ud800"}`},
		{"unknown-escape", `{"a":2}`, `{"a":"\x41"}`},
		{"depth-65", `{"a":2}`, nested(65)},
		{"white-space-in-data", `{"a":2}`, `{"a": 2}`},
		{"white-space-before", `{"pos"`, ` {"pos"`},
		{"white-space-after", `{"a":2}}`, `{"a":2}} `},
		{"cr", `{"a":2}}`, "{\"a\":2}}\r"},
		{"bom", `{"pos"`, "\ufeff{\"pos\""},
		{"empty", two, ``},
		{"not-json", two, `event 2`},
		{"unfinished", `{"a":2}}`, `{"a":2}`},
		{"two-on-one", `{"a":2}}`, `{"a":2}}{}`},
		{"data-array", `{"a":2}`, `[2]`},
		{"data-null", `{"a":2}`, `null`},
		{"number-leading-zero", `{"a":2}`, `{"a":02}`},
		{"number-plus", `{"a":2}`, `{"a":+2}`},
		{"number-nan", `{"a":2}`, `{"a":NaN}`},
		{"number-exponent-309", `{"a":2}`, `{"a":1e309}`},
		{"number-129-characters", `{"a":2}`, `{"a":` + strings.Repeat("9", 129) + `}`},
		{"pos-0", `"pos":2`, `"pos":0`},
		{"pos-text", `"pos":2`, `"pos":"2"`},
		{"pos-decimal", `"pos":2`, `"pos":2.0`},
		{"pos-repeat", `"pos":2`, `"pos":1`},
		{"pos-hole", `"pos":2`, `"pos":3`},
		{"ver-0", `"ver":1`, `"ver":0`},
		{"schema-0", `"schema":1`, `"schema":0`},
		{"schema-beyond-2-53", `"schema":1`, `"schema":9007199254740992`},
		{"id-upper-case", `"id":"019aa000`, `"id":"019AA000`},
		{"id-no-hyphens", `"id":"019aa000-0000`, `"id":"019aa00000000`},
		{"type-empty", `"type":"request.submitted"`, `"type":""`},
		{"type-escaped", `"type":"request.submitted"`, `"type":"request\u002esubmitted"`},
		{"actor-513-bytes", `site:field`, strings.Repeat("a", 513)},
		{"actor-empty", `site:field`, ``},
		{"cause-null", `"cause":""`, `"cause":null`},
		{"at-25-characters", `000002Z`, `0002Z`},
		{"at-26-characters", `000002Z`, `00002Z`},
		{"at-offset", `000002Z`, `000002+00:00`},
		{"at-no-such-day", `2026-11-22`, `2026-02-29`},
		{"at-second-60", `:02.`, `:60.`},
	} {
		line := strings.Replace(two, c[1], c[2], 1)
		if line == two {
			t.Fatalf("%s changes nothing", c[0])
		}
		add(c[0], line)
	}
	add("over-1-mib", long(2, "request.submitted", 1<<20+1))
	return vectors
}

// badRanges are payloads whose lines are good and do not make up what the
// manifest and the first line promise.
func badRanges(t *testing.T) []vector {
	one, two := text(1, `{"a":1}`), text(2, `{"a":2}`)
	chain, events := forge(one, two), forge(one, two)
	chain.first.Span.Chain.Through[5] ^= 1
	events.first.Events = 3
	events.change = func(m *bundle.Manifest) { m.Frames[0].Events = 2 }
	after := forgeAt(10, text(11, `{}`))
	after.first.Span.Chain.After[0] ^= 1
	short, beyond, fewer := forge(one, two), forge(one, two), forge(one, two)
	short.first.Span.Range.Through = 3
	beyond.first.Span.Range.Through = 1
	fewer.first.Events = 1
	fewer.change = func(m *bundle.Manifest) { m.Frames[0].Events = 2 }
	swapped := forge(two, one)
	none := forge(one)
	none.text = ""
	none.change = func(m *bundle.Manifest) { m.Frames[0].Events = 0 }
	return append([]vector{
		{File: "chain-through-of-another", Code: bundle.Damaged, Line: 3, Position: 2, Says: "chain does not lead", raw: chain.file(t)},
		{File: "chain-after-of-another", Code: bundle.Damaged, Line: 2, Position: 11, Says: "chain does not lead", raw: after.file(t)},
		{File: "events-one-more-announced", Code: bundle.Damaged, Line: 3, Position: 2, Says: "2 events, 3 announced", raw: events.file(t)},
		{File: "events-one-less-announced", Code: bundle.Refused, Frame: 1, Line: 3, Position: 2, Says: "more events", raw: fewer.file(t)},
		{File: "range-ends-later", Code: bundle.Damaged, Line: 3, Position: 2, Says: "the range at 3", raw: short.file(t)},
		{File: "range-ends-earlier", Code: bundle.Refused, Frame: 1, Line: 3, Position: 2, Says: "does not follow", raw: beyond.file(t)},
		{File: "range-without-lines", Code: bundle.Damaged, Line: 1, Says: "lines end at position 0", raw: none.file(t)},
		{File: "range-lines-swapped", Code: bundle.Refused, Frame: 1, Line: 2, Position: 1, Says: "does not follow", raw: swapped.file(t)},
	}, resigned(t, exampleRecipe().file(t), []edit{
		{"chain-after-of-another-site", `("after": ")[0-9a-f]{64}`, `${1}` + bundle.Start(epoch, "core").String(), "start of this log"},
		{"chain-after-of-another-epoch", `("after": ")[0-9a-f]{64}`, `${1}` + bundle.Start(salt, "field").String(), "start of this log"},
	})...)
}

// badRuns are payloads whose run of withheld events, positions 2 to 4 between
// events 1 and 5, breaks one rule.
func badRuns(t *testing.T) []vector {
	lines := []string{text(1, `{}`), text(2, `{}`), text(3, `{}`), text(4, `{}`), text(5, `{}`)}
	honest := forge(lines...)
	at := bundle.Start(epoch, "field")
	for _, l := range lines[:4] {
		at = at.Next([]byte(l))
	}
	run := string(bundle.AppendWithheld(nil, bundle.Withheld{After: 1, Through: 4, Chain: at}))
	vectors := []vector{}
	add := func(name, old, new string, line int, position int64) {
		changed := strings.Replace(run, old, new, 1)
		if changed == run {
			t.Fatalf("%s changes nothing", name)
		}
		f := forge(lines...)
		f.first = honest.first
		f.first.Events = 2
		f.text = lines[0] + "\n" + changed + "\n" + lines[4] + "\n"
		v := vector{File: "withheld-" + name, Code: bundle.Refused, Frame: 1, Line: line, Position: position, Says: "breaks a rule", raw: f.file(t)}
		if name == "chain-of-another" {
			v.Code, v.Frame, v.Says = bundle.Damaged, 0, "chain does not lead"
		}
		vectors = append(vectors, v)
	}
	add("count-one-less", `"withheld":3`, `"withheld":2`, 3, 2)
	add("count-one-more", `"withheld":3`, `"withheld":4`, 3, 2)
	add("count-0", `"after":1,"through":4,"withheld":3`, `"after":1,"through":1,"withheld":0`, 3, 2)
	add("backwards", `"after":1,"through":4`, `"after":4,"through":1`, 3, 2)
	add("overlap", `"after":1,"through":4,"withheld":3`, `"after":0,"through":4,"withheld":4`, 3, 2)
	add("hole-before", `"after":1,"through":4,"withheld":3`, `"after":2,"through":4,"withheld":2`, 3, 2)
	add("hole-after", `"through":4,"withheld":3`, `"through":3,"withheld":2`, 4, 4)
	add("beyond-range", `"through":4,"withheld":3`, `"through":6,"withheld":5`, 3, 2)
	add("covers-an-event", `"through":4,"withheld":3`, `"through":5,"withheld":4`, 4, 6)
	add("chain-of-another", at.String(), strings.Repeat("0", 64), 4, 5)
	add("chain-upper-case", at.String(), strings.Repeat("A", 64), 3, 2)
	add("chain-63-digits", at.String(), at.String()[:63], 3, 2)
	add("key-order", `"after":1,"through":4`, `"through":4,"after":1`, 3, 2)
	add("key-unknown", `"}`, `","x":1}`, 3, 2)
	add("white-space", `"after":1`, `"after": 1`, 3, 2)
	add("number-decimal", `"through":4`, `"through":4.0`, 3, 2)
	add("missing", run, ``, 3, 2)
	return vectors
}
