package schema_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
	"sallyport/schema"
	"sallyport/schema/schematest"
)

// TestEveryVersionHasASchemaAndAGolden: of each type, every version from the
// first to the one that is written now, and nothing else.
func TestEveryVersionHasASchemaAndAGolden(t *testing.T) {
	t.Parallel()
	var golden, catalogue []string
	for _, g := range schematest.Goldens(t, goldenDir) {
		if g.Variant == "" {
			golden = append(golden, g.Name())
		}
	}
	for _, k := range domain.Catalogue() {
		for v := 1; v <= k.Schema; v++ {
			catalogue = append(catalogue, schematest.Golden{Type: k.Type, Version: v}.Name())
		}
	}
	slices.Sort(golden)
	slices.Sort(catalogue)
	known := load(t).Known()
	if !slices.Equal(known, catalogue) {
		t.Errorf("there are schemas of\n%v\nthe catalogue has\n%v", known, catalogue)
	}
	if !slices.Equal(golden, catalogue) {
		t.Errorf("there are goldens of\n%v\nthe catalogue has\n%v", golden, catalogue)
	}
}

// TestGoldensOfOldVersionsAreValidToday: what was ever written is, once it is
// read, as valid as if it were written now.
func TestGoldensOfOldVersionsAreValidToday(t *testing.T) {
	t.Parallel()
	events, older := load(t), 0
	for _, g := range schematest.Goldens(t, goldenDir) {
		for _, data := range [][]byte{g.Realistic, g.Minimal} {
			now, err := domain.Upcast(domain.Event{Type: g.Type, Schema: g.Version, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			if now.Schema > g.Version {
				older++
			}
			if err := events.Validate(now.Type, now.Schema, now.Data); err != nil {
				t.Errorf("%s became %s: %v", data, now.Data, err)
			}
		}
	}
	if older == 0 {
		t.Error("no golden of an older version: this test sees nothing")
	}
}

// TestGrantsOfBothVersionsMeanTheSame: any valid grant of version 1 is a valid
// one of version 2 once it is read, says the same, and version 1 can say all
// that version 2 says.
func TestGrantsOfBothVersionsMeanTheSame(t *testing.T) {
	t.Parallel()
	events := load(t)
	rapid.Check(t, func(t *rapid.T) {
		said := domain.AccessGranted{RequestType: defined().Draw(t, "type"), MaxResults: rapid.IntRange(0, 1000).Draw(t, "max"),
			Indices: rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]([a-z0-9._-]{0,5}|a{98})[*a]`), 0, 32, rapid.ID[string]).Draw(t, "indices")}
		if rapid.Bool().Draw(t, "has limits") {
			said.Limits = &domain.Limits{Hour: rapid.IntRange(0, 1_000_000_000).Draw(t, "hour")}
		}
		first := grantOf(t, events, said, 1)
		second := grantOf(t, events, said, 2)
		if !reflect.DeepEqual(first, said) || !reflect.DeepEqual(second, said) {
			t.Fatalf("said %+v, read %+v of version 1 and %+v of version 2", said, first, second)
		}
	})
}

// grantOf writes a grant in a version, reads it, and holds both forms against
// their schemas.
func grantOf(t *rapid.T, events *schema.Events, said domain.AccessGranted, version int) domain.Fact {
	data, err := domain.EncodeAs(said, version)
	if err != nil {
		t.Fatal(err)
	}
	e := domain.Event{Type: said.EventType(), Schema: version, Data: data}
	now, err := domain.Upcast(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []domain.Event{e, now} {
		if err := events.Validate(e.Type, e.Schema, e.Data); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", e.Data, err))
		}
	}
	f, err := domain.Decode(e)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
