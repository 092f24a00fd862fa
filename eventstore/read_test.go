package eventstore_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// twelve stores twelve events in three streams, after the founding one.
func twelve(t *testing.T) *eventstoretest.Site {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	for i := range 4 {
		a := eventstore.Append{Actor: "user-1"}
		for _, name := range []string{"a", "b", "c"} {
			a.Writes = append(a.Writes, eventstore.Write{Stream: "username-" + name, Expected: eventstore.Version(i), Facts: []domain.Fact{claim(i)}})
		}
		mustAppend(t, site.Store, a)
	}
	return site
}

func TestReadPages(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	for _, c := range []struct{ after, limit, first, last int }{
		{0, 5, 1, 5}, {5, 5, 6, 10}, {10, 5, 11, 13}, {13, 5, 0, 0}, {99, 5, 0, 0}, {0, 0, 1, 1}, {0, -1, 1, 1}, {0, 1 << 30, 1, 13},
	} {
		records, err := site.Store.Read(t.Context(), int64(c.after), c.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []int
		for _, r := range records {
			got = append(got, int(r.Seq))
		}
		for s := c.first; s <= c.last && s > 0; s++ {
			want = append(want, s)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %d, limit %d: %v, want %v", c.after, c.limit, got, want)
		}
	}
}

func TestReadStream(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	records, err := site.Store.ReadStream(t.Context(), "username-b")
	if err != nil || len(records) != 4 {
		t.Fatalf("%d events, %v", len(records), err)
	}
	for i, r := range records {
		if r.Ver != int64(i)+1 || r.Stream != "username-b" || r.Fact != claim(i) || r.Pos != int64(3*i+3) {
			t.Errorf("version %d: %+v", i+1, r)
		}
	}
	if records, err := site.Store.ReadStream(t.Context(), "username-"); err != nil || len(records) != 0 {
		t.Errorf("a stream that does not exist: %v, %v", records, err)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	site := twelve(t)
	if err := site.Store.Mirror(t.Context(), foreign(t, 5, 3)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		origin                string
		after, through, limit int
		want                  []int64
	}{
		{"field", 0, 13, 100, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}}, {"field", 3, 6, 100, []int64{4, 5, 6}}, {"field", 3, 99, 2, []int64{4, 5}},
		{"field", 6, 6, 9, nil}, {"hq", 0, 99, 9, []int64{5, 6, 7}}, {"hq", 5, 6, 9, []int64{6}}, {"none", 0, 99, 9, nil},
	} {
		lines, err := site.Store.ReadLines(t.Context(), c.origin, int64(c.after), int64(c.through), c.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, l := range lines {
			got = append(got, l.Pos)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
	records, err := site.Store.Read(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := site.Store.ReadLines(t.Context(), "field", 1, 2, 1)
	if err != nil || string(lines[0].Bytes) != string(records[0].Line) || lines[0].Stream != "username-a" || lines[0].Type != "username.claimed" {
		t.Errorf("%+v, %v", lines, err)
	}
}

// TestTheLineOfFormat1 holds the bytes of an exported line: key order, no
// space, 27 characters of time.
func TestTheLineOfFormat1(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	a := write(eventstore.NoStream, "request-1", domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{ "iata": "<&> ü" }`), Priority: 5, User: "1"})
	a.Actor, a.Corr, a.Cause = `site:"a\b"<&>`+"\x01ü", "corr", "cause"
	r := mustAppend(t, site.Store, a)[0]
	want := fmt.Sprintf(`{"pos":2,"id":"%s","stream":"request-1","ver":1,"type":"request.submitted","schema":1,"at":"%s","actor":"site:\"a\\b\"<&>\u0001ü","corr":"corr","cause":"cause",`+
		`"data":{"type":"airport","type_version":1,"params":{"iata":"<&> ü"},"priority":5,"user":"1"}}`, r.ID, r.At.Format("2006-01-02T15:04:05.000000Z"))
	if string(r.Line) != want {
		t.Errorf("got  %s\nwant %s", r.Line, want)
	}
	if stored := all(t, site.Store)[1]; string(stored.Line) != want || stored.Actor != a.Actor {
		t.Errorf("stored %s", stored.Line)
	}
}

func TestReadNoticesDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, statement string
		noticed         func(error) bool
	}{
		{"a row is gone", `DELETE FROM events WHERE seq = 3`, func(err error) bool {
			var gap *eventstore.GapError
			return errors.As(err, &gap) && *gap == eventstore.GapError{Want: 3, Got: 4}
		}},
		{"a line is no JSON", `UPDATE events SET line = 'x' WHERE seq = 3`, func(err error) bool { return err != nil }},
		{"an event of a newer program", `UPDATE events SET line = replace(line, '"schema":1', '"schema":99') WHERE seq = 3`, func(err error) bool {
			var unknown *domain.UnknownEventError
			return errors.As(err, &unknown)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			site := twelve(t)
			if _, err := site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL; `+c.statement); err != nil {
				t.Fatal(err)
			}
			var told []error
			config := site.Config
			config.Damaged = func(gap *eventstore.GapError) { told = append(told, gap) }
			s, err := eventstore.Open(t.Context(), site.Pool, config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if records, err := s.Read(t.Context(), 0, 100); !c.noticed(err) || records != nil {
				t.Errorf("read %d events, %v", len(records), err)
			} else if gap := new(eventstore.GapError); errors.As(err, &gap) != (len(told) == 1) {
				t.Errorf("of %v people were told %v", err, told)
			}
		})
	}
}

// A page of lines ends by bytes too, but holds one line however long it is.
func TestAPageOfLinesIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	for i, size := range []int{5 << 20, 5 << 20, 5 << 20, 5 << 20, 17 << 20, 100, 100} {
		params := []byte(`{"x":"` + strings.Repeat("a", size) + `"}`)
		mustAppend(t, site.Store, write(eventstore.NoStream, fmt.Sprintf("request-%d", i),
			domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: params, Priority: 5, User: "1"}))
	}
	var pages [][]int64
	for after := int64(0); ; {
		lines, err := site.Store.ReadLines(t.Context(), site.Store.Site(), after, 99, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			break
		}
		var page []int64
		for _, l := range lines {
			page = append(page, l.Pos)
		}
		pages, after = append(pages, page), page[len(page)-1]
	}
	if want := [][]int64{{1, 2, 3, 4}, {5}, {6}, {7, 8}}; !reflect.DeepEqual(pages, want) {
		t.Errorf("pages %v, want %v", pages, want)
	}
	head, err := site.Store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := site.Store.Verify(t.Context(), eventstore.Epoch{Origin: head.Site, Epoch: head.Epoch, Through: head.Pos, Chain: head.Chain}, eventstore.Checks{}); err != nil || !v.OK || v.Events != head.Pos {
		t.Errorf("verified %+v, %v", v, err)
	}
}
