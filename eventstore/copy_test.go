package eventstore_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

type copiedRow struct {
	Text   string
	Number int64
	Small  int
	At     time.Time
	ID     string
}

// copies returns what a table holds after rows were copied to it.
func copies(t *testing.T, site *eventstoretest.Site, rows []copiedRow) (got []copiedRow, err error) {
	t.Helper()
	err = pgx.BeginFunc(t.Context(), site.Owner, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`CREATE TEMP TABLE copied (n bigserial, t text, j json, b bigint, i int, a timestamptz, u uuid) ON COMMIT DROP`)
		if err := eventstore.Send(t.Context(), tx.Conn(), b); err != nil {
			t.Fatal(err)
		}
		b = &pgx.Batch{}
		eventstore.Copy(b, "copied (t, j, b, i, a, u)", rows, func(to *eventstore.Row, r *copiedRow) {
			to.Text(r.Text)
			to.Bytes([]byte(`"text"`))
			to.Bigint(r.Number)
			to.Int(r.Small)
			to.Time(r.At)
			to.UUID(r.ID)
		})
		b.Queue(`UPDATE copied SET j = '"more"' WHERE n = $1`, len(rows)) // what follows is read as well
		if err := eventstore.Send(t.Context(), tx.Conn(), b); err != nil {
			return err
		}
		found, err := tx.Query(t.Context(), `SELECT t, b, i, a, u::text FROM copied WHERE (j #>> '{}') = CASE n WHEN $1 THEN 'more' ELSE 'text' END ORDER BY n`, len(rows))
		if err != nil {
			return err
		}
		got, err = pgx.CollectRows(found, func(r pgx.CollectableRow) (got copiedRow, err error) {
			err = r.Scan(&got.Text, &got.Number, &got.Small, &got.At, &got.ID)
			got.At = got.At.UTC()
			return got, err
		})
		return err
	})
	return got, err
}

// TestRowsArriveAsTheyAre: what is copied is what PostgreSQL holds.
func TestRowsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	rows := []copiedRow{
		{"", 0, 0, time.Unix(0, 0).UTC(), uuid.Nil.String()},
		{`{"a":"é","b":["NULL"]}`, math.MaxInt64, math.MaxInt32, time.Date(2026, 11, 30, 1, 2, 3, 4000, time.UTC), uuid.Max.String()},
		{`\N`, math.MinInt64, math.MinInt32, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), uuid.NewString()},
		{strings.Repeat("long", 100_000), 1, 1, time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), uuid.NewString()},
	}
	for i := range 5000 { // more than a message holds
		rows = append(rows, copiedRow{fmt.Sprint("row ", i), int64(i), -i, rows[1].At, uuid.NewString()})
	}
	if got, err := copies(t, site, rows); err != nil || !reflect.DeepEqual(got, rows) {
		t.Errorf("%v, got %d rows: %.300v", err, len(got), got)
	}
	if got, err := copies(t, site, nil); err != nil || len(got) != 0 {
		t.Errorf("no rows became %v, %v", got, err)
	}
}

// TestARowThatCannotBeIsRefused: nothing of its statements is carried out, and
// the connection goes on.
func TestARowThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	good := copiedRow{ID: uuid.NewString()}
	for name, bad := range map[string]copiedRow{
		"beyond the range of an int": {Small: math.MaxInt32 + 1, ID: good.ID},
		"below the range of an int":  {Small: math.MinInt32 - 1, ID: good.ID},
		"is no UUID":                 {ID: "no"},
		"invalid byte sequence":      {Text: "\x00", ID: good.ID},
		"out of range":               {At: time.Date(300_000, 1, 1, 0, 0, 0, 0, time.UTC), ID: good.ID},
	} {
		want := strings.TrimPrefix(name, "below the range of an ")
		if got, err := copies(t, site, []copiedRow{good, bad, good}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", name, err, got)
		}
		if got, err := copies(t, site, []copiedRow{good}); err != nil || len(got) != 1 {
			t.Errorf("after %s: %v, %v", name, err, got)
		}
	}
}
