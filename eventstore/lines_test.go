package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// longLog stores more events than a page holds.
func longLog(t *testing.T) (site *eventstoretest.Site, records []eventstore.Record) {
	t.Helper()
	site = eventstoretest.New(t, eventstoretest.Setup{})
	for part := range 6 {
		a := eventstore.Append{Actor: "user-1"}
		for i := range 1000 {
			a.Writes = append(a.Writes, eventstore.Write{Stream: fmt.Sprintf("username-%d-%d", part, i), Facts: []domain.Fact{claim(i)}})
		}
		mustAppend(t, site.Store, a)
	}
	if records = all(t, site.Store); len(records) <= eventstore.MaxPage {
		t.Fatalf("%d events fit into a page", len(records))
	}
	return site, records
}

func TestLinesAndEntries(t *testing.T) {
	t.Parallel()
	site, records := longLog(t)
	if err := site.Store.Mirror(t.Context(), foreign(t, 1, 3)); err != nil { // another's log is left out
		t.Fatal(err)
	}
	end := int64(len(records))
	for _, c := range []struct{ after, through int64 }{
		{0, end}, {0, 1}, {5, 5}, {7, 3}, {end - 1, end}, {eventstore.MaxPage - 1, eventstore.MaxPage + 1}, {0, eventstore.MaxPage},
	} {
		at := c.after
		for line, err := range site.Store.Lines(t.Context(), c.after, c.through) {
			if err != nil {
				t.Fatal(err)
			}
			if want := records[at]; line.Pos != want.Pos || line.Type != want.Type || !bytes.Equal(line.Bytes, want.Line) {
				t.Fatalf("%+v: line %+v, want %+v", c, line, want)
			}
			at++
		}
		if at != max(c.after, c.through) {
			t.Errorf("%+v: the lines end at %d", c, at)
		}
		entries, err := site.Store.Entries(t.Context(), c.after, c.through)
		if want := max(0, min(c.through-c.after, eventstore.MaxPage)); err != nil || int64(len(entries)) != want {
			t.Fatalf("%+v: %d entries, want %d (%v)", c, len(entries), want, err)
		}
		for i, e := range entries {
			r := records[c.after+int64(i)]
			if want := (eventstore.Entry{Pos: r.Pos, Stream: r.Stream, Type: r.Type, Size: int64(len(r.Line))}); e != want {
				t.Fatalf("%+v: entry %+v, want %+v", c, e, want)
			}
		}
	}
}

// A loop that is left, or whose context ends, gives its connection back.
func TestLinesLeftEarly(t *testing.T) {
	t.Parallel()
	site, _ := longLog(t)
	for range 2 * int(site.Pool.Config().MaxConns) {
		for _, err := range site.Store.Lines(t.Context(), 0, eventstore.MaxPage) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failed error
	for line, err := range site.Store.Lines(ctx, 0, eventstore.MaxPage+10) {
		if failed = err; line.Pos == 3 {
			cancel()
		}
	}
	if !errors.Is(failed, context.Canceled) {
		t.Errorf("a cancelled context: %v", failed)
	}
}

func TestLinesAndEntriesFindHoles(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]int64{"first": 1, "inside": 5, "last": 13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := twelve(t)
			for _, sql := range []string{`ALTER TABLE events DISABLE TRIGGER ALL`, fmt.Sprintf(`DELETE FROM events WHERE pos = %d`, gone)} {
				if _, err := site.Owner.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			var seen []int64
			var lines, entries *eventstore.GapError
			for line, err := range site.Store.Lines(t.Context(), 0, 13) {
				if err != nil {
					errors.As(err, &lines)
					continue
				}
				seen = append(seen, line.Pos)
			}
			_, err := site.Store.Entries(t.Context(), 0, 13)
			errors.As(err, &entries)
			if lines == nil || lines.Want != gone || entries == nil || entries.Want != gone {
				t.Errorf("a hole at %d: lines say %v, entries %v", gone, lines, err)
			}
			if int64(len(seen)) != gone-1 || !slices.IsSorted(seen) {
				t.Errorf("a hole at %d: lines %v came before it", gone, seen)
			}
		})
	}
}
