package resultcache

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/responders"
)

// any JSON value, as a tree in which numbers are their digits.
func anyValue(depth int) *rapid.Generator[any] {
	plain := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.StringN(0, 5, -1), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "1", "-1", "1.0", "10", "1e1", "9007199254740992", "9007199254740993", "0.1", "0.10"}), func(n string) any { return json.Number(n) }))
	if depth == 0 {
		return plain
	}
	return rapid.OneOf(plain, rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return anyValue(depth - 1) }), 0, 3), func(l []any) any { return l }),
		rapid.Map(anyObject(depth), func(o map[string]any) any { return o }))
}

func anyObject(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.StringN(0, 3, -1), rapid.Deferred(func() *rapid.Generator[any] { return anyValue(depth - 1) }), 0, 4)
}

// written writes a tree in one of the many ways in which it can be written.
func written(v any, r *rand.Rand) string {
	space := strings.Repeat(" ", r.IntN(2)) + strings.Repeat("\n", r.IntN(2))
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		names := slices.Collect(maps.Keys(v))
		slices.Sort(names)
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, n := range names {
			parts = append(parts, written(n, r)+":"+written(v[n], r))
		}
		return space + "{" + strings.Join(parts, ",") + space + "}"
	case []any:
		for _, e := range v {
			parts = append(parts, written(e, r))
		}
		return space + "[" + strings.Join(parts, ",") + "]" + space
	case string:
		var b strings.Builder
		for _, c := range v {
			if c > 0xffff || c >= 0x20 && c != '"' && c != '\\' && r.IntN(2) == 0 {
				b.WriteRune(c)
			} else {
				fmt.Fprintf(&b, `\u%04x`, c)
			}
		}
		return space + `"` + b.String() + `"` + space
	default:
		text, _ := json.Marshal(v)
		return space + string(text)
	}
}

// Equal parameters have one key, however they are written, and others another.
func TestKeysAreCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyObject(3).Draw(t, "a"), anyObject(3).Draw(t, "b")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		key := func(v any) string {
			text := written(v, r)
			k, err := keyOf("salt", responders.Question{Params: json.RawMessage(text)})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			return k
		}
		one, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		other, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		first, again, another := key(a), key(a), key(b)
		if first != again {
			t.Fatalf("%s has two keys", one)
		}
		if (first == another) != (string(one) == string(other)) {
			t.Fatalf("%s and %s: equal keys %t", one, other, first == another)
		}
	})
}

func TestParametersWithoutAKey(t *testing.T) {
	t.Parallel()
	for _, params := range []string{``, `{`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{} {}`} {
		q := responders.Question{Params: json.RawMessage(params)}
		if k, err := keyOf("", q); err == nil {
			t.Errorf("%q has the key %s", params, k)
		}
	}
	params := json.RawMessage(`{"b":1, "a":2}`)
	if _, err := keyOf("", responders.Question{Params: params}); err != nil || string(params) != `{"b":1, "a":2}` {
		t.Errorf("%s, %v", params, err)
	}
}
