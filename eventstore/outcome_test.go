package eventstore_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// identified gives an append an id of its own.
func identified(a eventstore.Append) eventstore.Append {
	a.ID = uuid.NewString()
	return a
}

// TestAnAppendIsRepeatedByItsID: whatever stands in the way of storing it again,
// the caller gets what was stored the first time.
func TestAnAppendIsRepeatedByItsID(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	two := write(eventstore.NoStream, "username-c", claim(1), claim(2))
	two.Writes = append(two.Writes, eventstore.Write{Stream: "user-c", Facts: []domain.Fact{claim(3)}})
	noting := write(eventstore.Any, "username-d", claim(1))
	noting.With = note(1, nil)
	for name, a := range map[string]eventstore.Append{
		"the stream exists by then":      identified(write(eventstore.NoStream, "username-a", claim(1))),
		"only the id does":               identified(write(eventstore.Any, "username-b", claim(1))),
		"several events":                 identified(two),
		"statements of its own":          identified(noting),
		"a statement that travels along": identified(also(2, write(eventstore.Any, "username-e", claim(1)))),
	} {
		first := mustAppend(t, site.Store, a)
		mustAppend(t, site.Store, write(eventstore.Any, a.Writes[0].Stream, claim(9)))
		if first[0].ID != a.ID {
			t.Errorf("%s: stored as %s", name, first[0].ID)
		}
		if again := mustAppend(t, site.Store, a); !reflect.DeepEqual(again, first) {
			t.Errorf("%s: first\n%+v, then\n%+v", name, first, again)
		}
		other := write(eventstore.Any, a.Writes[0].Stream, claim(4))
		other.ID = a.ID
		var taken *eventstore.IDTakenError
		if _, err := site.Store.Append(t.Context(), other); !errors.As(err, &taken) || taken.Seq != first[0].Seq {
			t.Errorf("%s: another append by its id: %v", name, err)
		}
	}
	for _, bad := range []string{"x", "019AA1D4-11F3-7D02-8A47-6F1F5A3B9C0D", "{019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d}"} {
		a := write(eventstore.Any, "username-a", claim(1))
		a.ID = bad
		if _, err := site.Store.Append(t.Context(), a); err == nil {
			t.Errorf("%q was taken for an id", bad)
		}
	}
	if got := len(all(t, site.Store)); got != 1+5+2+5 {
		t.Errorf("%d events are stored", got)
	}
}

// TestRepeatedWithinAGroup: whoever did not wait for the first outcome gets it too.
func TestRepeatedWithinAGroup(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	known, unknown := identified(write(eventstore.NoStream, "username-a", claim(1))), identified(write(eventstore.Any, "username-b", claim(1)))
	_, other := submitted(`{}`)
	o := together(t, site, []eventstore.Append{known, unknown, known, other, unknown})
	for i, got := range o {
		if got.err != nil {
			t.Fatalf("append %d: %v", i, got.err)
		}
	}
	if !reflect.DeepEqual(o[0], o[2]) || !reflect.DeepEqual(o[1], o[4]) {
		t.Errorf("the outcomes differ: %+v", o)
	}
	if got := len(all(t, site.Store)); got != 1+1+3 {
		t.Errorf("%d events are stored", got)
	}
}
