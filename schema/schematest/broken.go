package schematest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
)

// Broken is data that its schema must refuse.
type Broken struct {
	What string // what is wrong, such as `without /limits/day`
	Data []byte
}

// free names the members whose inside the event's schema does not bound, by
// their key or by their place.
var free = []string{"params", "result", "parameters", "value", "result_schema", "/call/query", "body"}

// Break makes wrong data from a golden file: from minimal by leaving out each
// member, and from realistic by adding an unknown member to each object and by
// giving each scalar and list another type.
func (g Golden) Break(t testing.TB) []Broken {
	t.Helper()
	var all []Broken
	g.walk(t, g.Minimal, func(w walked) {
		if w.parent != nil {
			delete(w.parent, w.key)
			all = append(all, Broken{"without " + w.pointer, w.whole(t)})
			w.parent[w.key] = w.value
		}
	})
	g.walk(t, g.Realistic, func(w walked) {
		if object, ok := w.value.(map[string]any); ok {
			object["unheard_of"] = 1
			all = append(all, Broken{"with " + w.pointer + "/unheard_of", w.whole(t)})
			delete(object, "unheard_of")
			return
		}
		for _, other := range []any{nil, true, 1.5, "x", []any{}} {
			if reflect.TypeOf(other) == reflect.TypeOf(w.value) {
				continue
			}
			w.set(other)
			all = append(all, Broken{fmt.Sprintf("%s as %T", w.pointer, other), w.whole(t)})
		}
		w.set(w.value)
	})
	return all
}

// walked is one place of a document under change.
type walked struct {
	root    any
	parent  map[string]any // nil for the root and for what stands in a list
	key     string
	pointer string
	value   any
	set     func(any)
}

func (w walked) whole(t testing.TB) []byte {
	data, err := json.Marshal(w.root)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// walk visits all that the schema bounds, outside in.
func (g Golden) walk(t testing.TB, data []byte, visit func(walked)) {
	var root any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatalf("%s: %v", g.Name(), err)
	}
	var step func(w walked)
	step = func(w walked) {
		if slices.Contains(free, w.key) || slices.Contains(free, w.pointer) {
			return
		}
		visit(w)
		switch v := w.value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				step(walked{root, v, key, w.pointer + "/" + key, v[key], func(other any) { v[key] = other }})
			}
		case []any:
			for i := range v {
				step(walked{root, nil, "", w.pointer + "/-", v[i], func(other any) { v[i] = other }})
			}
		}
	}
	step(walked{root: root, value: root, set: func(other any) { root = other }})
}
