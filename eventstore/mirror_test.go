package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// kept is a read model of the facts it was given, in a table of the test.
type kept struct{}

func (kept) Apply(b *pgx.Batch, records []eventstore.Record) error {
	for _, r := range records {
		if f, ok := r.Fact.(domain.UsernameClaimed); ok {
			b.Queue(`INSERT INTO kept VALUES ($1, $2, $3)`, r.Seq, r.Origin, f.User)
		}
	}
	return nil
}

func withKept(t *testing.T) *eventstoretest.Site {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: []eventstore.Projection{kept{}}})
	if _, err := site.Owner.Exec(t.Context(), `CREATE TABLE kept (seq bigint, origin text, name text); GRANT ALL ON kept TO sallyport_app`); err != nil {
		t.Fatal(err)
	}
	return site
}

func keptRows(t *testing.T, site *eventstoretest.Site) []string {
	t.Helper()
	rows, err := site.Owner.Query(t.Context(), `SELECT seq || ' ' || origin || ' ' || name FROM kept ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// foreign makes the events of a peer at positions from first on, one in each
// stream.
func foreign(t *testing.T, first, n int64) eventstore.Mirrored {
	t.Helper()
	m := eventstore.Mirrored{Origin: "hq"}
	for pos := first; pos < first+n; pos++ {
		fact := domain.UsernameClaimed{User: fmt.Sprint("u", pos)}
		data, err := domain.Encode(fact)
		if err != nil {
			t.Fatal(err)
		}
		e := domain.Event{Pos: pos, ID: uuid.NewString(), Stream: fmt.Sprintf("username-hq%d", pos), Ver: 1, Type: fact.EventType(), Schema: 1,
			At: time.Date(2026, 11, 22, 9, 26, 2, 123456000, time.UTC), Actor: "site:hq", Corr: "c", Data: data}
		line := fmt.Sprintf(`{"pos":%d,"id":"%s","stream":"%s","ver":1,"type":"username.claimed","schema":1,"at":"2026-11-22T09:26:02.123456Z","actor":"site:hq","corr":"c","cause":"","data":%s}`,
			pos, e.ID, e.Stream, data)
		m.Events, m.Facts, m.Lines = append(m.Events, e), append(m.Facts, fact), append(m.Lines, []byte(line))
	}
	return m
}

func TestMirrorStoresLinesAsTheyAre(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	m := foreign(t, 41, 2)
	next := foreign(t, 57, 1)
	m.Events, m.Facts, m.Lines = append(m.Events, next.Events...), append(m.Facts, next.Facts...), append(m.Lines, next.Lines...)
	m.Withheld = []eventstore.Withheld{{After: 42, Through: 56, Chain: eventstore.Genesis("e", "hq")}, {After: 57, Through: 60}}
	if err := site.Store.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, site.Store, write(eventstore.NoStream, "username-own", claim(1))) // own events go on after it
	records := all(t, site.Store)
	for i, r := range records[1:4] {
		want := eventstore.Record{Event: m.Events[i], Seq: int64(i) + 2, Origin: "hq", Fact: m.Facts[i], StoredAt: r.StoredAt, Line: m.Lines[i]}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("stored\n%+v, want\n%+v", r, want)
		}
	}
	if own := records[4]; own.Seq != 5 || own.Pos != 2 {
		t.Errorf("our own went to seq %d, pos %d, want 5, 2", own.Seq, own.Pos)
	}
	if got, want := keptRows(t, site), []string{"2 hq u41", "3 hq u42", "4 hq u57", "5 field 1"}; !slices.Equal(got, want) {
		t.Errorf("the read model holds %v, want %v", got, want)
	}
	withheld, err := site.Store.ReadWithheld(t.Context(), "hq", 0, 10)
	if err != nil || !slices.Equal(withheld, m.Withheld) {
		t.Errorf("withheld: %v, %v", withheld, err)
	}
	if later, err := site.Store.ReadWithheld(t.Context(), "hq", 57, 10); err != nil || len(later) != 1 {
		t.Errorf("withheld from 57 on: %v, %v", later, err)
	}
}

func TestMirrorRefusesWhatIsThere(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	if err := site.Store.Mirror(t.Context(), foreign(t, 1, 3)); err != nil {
		t.Fatal(err)
	}
	once := foreign(t, 10, 1)
	if err := site.Store.Mirror(t.Context(), once); err != nil {
		t.Fatal(err)
	}
	sameID := foreign(t, 11, 1)
	sameID.Events[0].ID = once.Events[0].ID
	sameVersion := foreign(t, 12, 1)
	sameVersion.Events[0].Stream = once.Events[0].Stream
	runs := eventstore.Mirrored{Origin: "hq", Withheld: []eventstore.Withheld{{After: 20, Through: 21}}}
	if err := site.Store.Mirror(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]eventstore.Mirrored{
		"position": foreign(t, 3, 2), "id": sameID, "version of a stream": sameVersion, "withheld run": runs,
	} {
		var refused *pgconn.PgError
		if err := site.Store.Mirror(t.Context(), m); !errors.As(err, &refused) || refused.Code != "23505" {
			t.Errorf("a second %s: %v, want a unique violation", name, err)
		}
	}
	if records, rows := all(t, site.Store), keptRows(t, site); len(records) != 5 || len(rows) != 4 {
		t.Errorf("%d events and %d rows, want 5 and 4", len(records), len(rows))
	}
}

func TestMirrorIsRolledBackAsAWhole(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	scratch(t, site)
	failed := errors.New("the cursor is not where it was")
	m := foreign(t, 1, 2)
	m.With = note(1, failed)
	if err := site.Store.Mirror(t.Context(), m); !errors.Is(err, failed) || !strings.Contains(err.Error(), "hq") {
		t.Errorf("got %v", err)
	}
	m.With = note(2, nil)
	if err := site.Store.Mirror(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m.With = note(3, nil) // doubles: refused, and its statements with it
	if err := site.Store.Mirror(t.Context(), m); err == nil {
		t.Error("doubles were stored")
	}
	if len(all(t, site.Store)) != 3 || len(keptRows(t, site)) != 2 || !slices.Equal(noted(t, site), []int{2}) {
		t.Errorf("left behind: %v, %v", keptRows(t, site), noted(t, site))
	}
}

func TestAForeignStreamIsNotWritten(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	if err := site.Store.Mirror(t.Context(), foreign(t, 1, 1)); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []eventstore.Version{eventstore.Any, eventstore.NoStream, 1} {
		if _, err := site.Store.Append(t.Context(), write(expected, "username-hq1", claim(1))); err == nil || !strings.Contains(err.Error(), "another site") {
			t.Errorf("expecting %s: %v", expected, err)
		}
	}
	origins, err := site.Store.Origins(t.Context(), []string{"username-hq1", "site-field", "username-none"})
	if want := map[string]string{"username-hq1": "hq", "site-field": "field"}; err != nil || !reflect.DeepEqual(origins, want) {
		t.Errorf("origins %v, %v", origins, err)
	}
	all(t, site.Store)
}

func TestMirrorStopsWithItsContext(t *testing.T) {
	t.Parallel()
	site := withKept(t)
	release := holdHead(t, site)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- site.Store.Mirror(ctx, foreign(t, 1, 1)) }()
	eventually(t, "the mirror waits for the head", func() bool { return waitsForHead(t, site) == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	if got := len(all(t, site.Store)); got != 1 {
		t.Errorf("%d events are stored", got)
	}
}
