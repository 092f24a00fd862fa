package eventstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// TestSearch seeks on a log of several pages what is common, what is rare and
// what is not there.
func TestSearch(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	const streams, each = 40, 20
	var a eventstore.Append
	for i := range streams {
		w := eventstore.Write{Stream: domain.UsernameStream(fmt.Sprint("u", i))}
		for j := range each {
			w.Facts = append(w.Facts, claim(j))
		}
		a.Writes = append(a.Writes, w)
	}
	a.Actor, a.Corr = "user-1", "one"
	mustAppend(t, site.Store, a)
	rare := mustAppend(t, site.Store, eventstore.Append{Actor: "user-2", Corr: "two", Writes: []eventstore.Write{
		{Stream: domain.UserStream("1"), Facts: []domain.Fact{domain.UserDeactivated{Reason: "left"}}}}})[0]
	stored, err := site.Store.ReadStream(t.Context(), domain.UserStream("1"))
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	rare.StoredAt = stored[0].StoredAt
	if err := site.Store.Mirror(t.Context(), foreign(t, 1, 2)); err != nil {
		t.Fatal(err)
	}
	// The same is found where a range of the log was summed up, and where not yet.
	for _, statement := range []string{`SELECT 1`, `VACUUM ANALYZE events; SELECT brin_summarize_new_values('events_sought')`} {
		for _, sql := range strings.Split(statement, ";") {
			if _, err := site.Owner.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]struct {
			filter eventstore.Filter
			want   int
		}{
			"all":                 {eventstore.Filter{}, streams*each + 4},
			"after":               {eventstore.Filter{After: streams * each}, 4},
			"between":             {eventstore.Filter{After: 5, Through: 700}, 695},
			"a common type":       {eventstore.Filter{Type: "username.claimed"}, streams*each + 2},
			"a rare type":         {eventstore.Filter{Type: "user.deactivated"}, 1},
			"a type that is not":  {eventstore.Filter{Type: "user.reactivated"}, 0},
			"what no log holds":   {eventstore.Filter{Stream: "username-\x00"}, 0},
			"no text at all":      {eventstore.Filter{Actor: "\xff"}, 0},
			"a stream":            {eventstore.Filter{Stream: "username-u7"}, each},
			"an actor":            {eventstore.Filter{Actor: "user-2"}, 1},
			"a correlation":       {eventstore.Filter{Corr: "two"}, 1},
			"a peer":              {eventstore.Filter{Origin: "hq"}, 2},
			"both, and they meet": {eventstore.Filter{Type: "username.claimed", Stream: "username-u7", After: 10, Actor: "user-1"}, each},
			"both, and they part": {eventstore.Filter{Type: "user.deactivated", Actor: "user-1"}, 0},
		} {
			var found []eventstore.Stored
			for e, err := range site.Store.Search(t.Context(), c.filter) {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if n := len(found); n > 0 && e.Seq <= found[n-1].Seq {
					t.Fatalf("%s: seq %d after %d", name, e.Seq, found[n-1].Seq)
				}
				found = append(found, e)
			}
			if len(found) != c.want {
				t.Errorf("%s: %d events, want %d", name, len(found), c.want)
			}
			c.filter.Backward = true
			for e, err := range site.Store.Search(t.Context(), c.filter) {
				if err != nil || len(found) == 0 || e.Seq != found[len(found)-1].Seq {
					t.Fatalf("%s: backward seq %d with %d to come, %v", name, e.Seq, len(found), err)
				}
				found = found[:len(found)-1]
			}
			if len(found) != 0 {
				t.Errorf("%s: %d events are missing backward", name, len(found))
			}
		}
	}
	if seq, err := site.Store.SeqAt(t.Context(), rare.StoredAt); err != nil || seq != rare.Seq {
		t.Errorf("stored by then: %d, %v, want %d", seq, err, rare.Seq)
	}
	for at, want := range map[time.Time]int64{rare.StoredAt.Add(-time.Microsecond): rare.Seq - 1, rare.StoredAt.Add(-time.Hour): 0, rare.StoredAt.Add(time.Hour): rare.Seq + 2} {
		if seq, err := site.Store.SeqAt(t.Context(), at); err != nil || seq != want {
			t.Errorf("stored by %s: %d, %v, want %d", at, seq, err, want)
		}
	}
	if _, err := site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL; DELETE FROM events WHERE seq = 700`); err != nil {
		t.Fatal(err)
	}
	for _, backward := range []bool{false, true} {
		var gap *eventstore.GapError
		for _, err := range site.Store.Search(t.Context(), eventstore.Filter{Backward: backward}) {
			if err != nil && (!errors.As(err, &gap) || gap.Want != 700) {
				t.Errorf("got %v", err)
			}
		}
		if gap == nil {
			t.Errorf("the hole was not noticed, backward: %t", backward)
		}
	}
}

// TestShown: the line as it is stored, with what is beside, and never a hash.
func TestShown(t *testing.T) {
	t.Parallel()
	const envelope = `{"pos":1,"id":"x","stream":"s","ver":1,"type":"%s","schema":1,"at":"2026-01-31T12:00:00.000000Z","actor":"a","corr":"","cause":"","data":%s}`
	for typ, c := range map[string]struct{ data, shown, pointer string }{
		"user.deactivated":      {data: `{"reason":"left"}`, shown: `{"reason":"left"}`},
		"user.password_changed": {`{"credential":{"algorithm":"bcrypt","hash":"SECRET"}}`, `{"credential":{"algorithm":"bcrypt","hash":"withheld"}}`, "/data/credential/hash"},
		"user.registered": {`{"username":"u","email":"e","full_name":"","role":"user","profile":"p","credential":{"algorithm":"bcrypt","hash":"SECRET"}}`,
			`{"username":"u","email":"e","full_name":"","role":"user","profile":"p","credential":{"algorithm":"bcrypt","hash":"withheld"}}`, "/data/credential/hash"},
	} {
		e := eventstore.Stored{Seq: 9, Origin: "core", StoredAt: time.Date(2026, 1, 31, 13, 0, 0, 0, time.UTC), Type: typ, Line: fmt.Appendf(nil, envelope, typ, c.data)}
		got, err := e.Shown()
		want := strings.TrimSuffix(fmt.Sprintf(envelope, typ, c.shown), "}") + `,"seq":9,"origin":"core","stored_at":"2026-01-31T13:00:00.000000Z"`
		if c.pointer != "" {
			want += `,"withheld":["` + c.pointer + `"]`
		}
		if err != nil || string(got) != want+"}" || !json.Valid(got) {
			t.Errorf("got %s, %v, want %s}", got, err, want)
		}
	}
	for _, e := range []eventstore.Stored{{Type: "user.x", Line: []byte(`{"data":{}}`)}, {Type: "user.deactivated"}, {Type: "user.deactivated", Line: []byte(`{}`)}, {Type: "user.registered", Line: []byte(`{"schema":1,"data":{"x":1}}`)}} {
		if got, err := e.Shown(); err == nil {
			t.Errorf("%s of a line that is none", got)
		}
	}
}
