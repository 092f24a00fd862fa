package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/domain"
)

func TestSearchesAreDecidedByShape(t *testing.T) {
	t.Parallel()
	good := domain.SearchQuery{Indices: []string{"books-*", "authors"}, Body: []byte(`{"query":{"match_all":{}}}`)}
	in := func(indices ...string) *domain.SearchQuery {
		return &domain.SearchQuery{Indices: indices, Body: good.Body}
	}
	for name, c := range map[string]struct {
		search  *domain.SearchQuery
		pointer string // of what is wrong; empty: nothing
	}{
		"good":                 {&good, ""},
		"one letter":           {in("a"), ""},
		"a hundred characters": {in(strings.Repeat("a", 99) + "*"), ""},
		"none":                 {nil, "/search"},
		"no index":             {in(), "/search/indices"},
		"too many":             {in(slices.Repeat([]string{"a"}, 33)...), "/search/indices"},
		"twice":                {in("books", "books"), "/search/indices"},
		"everything":           {in("*"), "/search/indices"},
		"all":                  {in("_all"), "/search/indices"},
		"the engine's own":     {in(".security"), "/search/indices"},
		"another cluster":      {in("far:books"), "/search/indices"},
		"of a date":            {in("<books-{now/d}>"), "/search/indices"},
		"two in one":           {in("books,secret"), "/search/indices"},
		"excluded":             {in("books-*", "-books-2024"), "/search/indices"},
		"a wildcard within":    {in("b*s"), "/search/indices"},
		"another path":         {in("books/_doc/1"), "/search/indices"},
		"a line feed":          {in("books\n"), "/search/indices"},
		"capital letters":      {in("Books"), "/search/indices"},
		"too long":             {in(strings.Repeat("a", 101)), "/search/indices"},
		"a body that is none":  {&domain.SearchQuery{Indices: good.Indices, Body: []byte(`[]`)}, "/search/body"},
		"a body that is long":  {&domain.SearchQuery{Indices: good.Indices, Body: []byte(`{"a":"` + strings.Repeat("x", 32<<10) + `"}`)}, "/search/body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.ResponderConfig{}.Decide(domain.ResponderConfigured{Kind: domain.ResponderElasticsearch, Source: "library", Search: c.search})
			var refused *domain.Error
			switch {
			case c.pointer == "" && err != nil:
				t.Error(err)
			case c.pointer != "" && (!errors.As(err, &refused) || refused.Fields[0].Pointer != c.pointer):
				t.Errorf("got %v, want a refusal of %s", err, c.pointer)
			}
		})
	}
}

func TestAGrantsIndicesAreShapedLikeASearchs(t *testing.T) {
	t.Parallel()
	user := domain.User{}.Apply(domain.UserRegistered{Username: "alice"})
	grant := func(indices []string) domain.GrantAccess {
		return domain.GrantAccess{AccessGranted: domain.AccessGranted{RequestType: "books", Indices: indices}, TypeExists: true}
	}
	for _, wrong := range [][]string{{}, {"_all"}, {"*"}, {"a", "a"}} {
		if _, err := user.Decide(grant(wrong)); err == nil {
			t.Errorf("%q were granted", wrong)
		}
	}
	facts, err := user.Decide(grant([]string{"books-2024"}))
	if err != nil || len(facts) != 1 {
		t.Fatal(facts, err)
	}
	user = user.Apply(facts[0])
	if again, err := user.Decide(grant([]string{"books-2024"})); err != nil || len(again) != 0 {
		t.Errorf("the same grant led to %v (%v)", again, err)
	}
	if other, err := user.Decide(grant(nil)); err != nil || len(other) != 1 {
		t.Errorf("a wider grant led to %v (%v)", other, err)
	}
}

// TestNarrowingIsWhatBothAdmit: an index is read if, and only if, the type's
// list and the grant's both have it.
func TestNarrowingIsWhatBothAdmit(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[ab]{1,4}`)
	list := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,3}\*?`), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		ofType, ofGrant, index := list.Draw(t, "type"), list.Draw(t, "grant"), name.Draw(t, "index")
		both := domain.NarrowIndices(ofType, ofGrant)
		if got, want := admits(both, index), admits(ofType, index) && admits(ofGrant, index); got != want {
			t.Fatalf("%q in %q: %t, want %t", index, both, got, want)
		}
		if all := domain.NarrowIndices(ofType, nil); !slices.Equal(all, ofType) {
			t.Fatalf("no grant left %q of %q", all, ofType)
		}
	})
}

func admits(list []string, index string) bool {
	return slices.ContainsFunc(list, func(i string) bool {
		begin, open := strings.CutSuffix(i, "*")
		return open && strings.HasPrefix(index, begin) || i == index
	})
}
