package eventstore_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// TestColumnsArriveAsTheyAre: what a statement is given by columns is what
// PostgreSQL reads.
func TestColumnsArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{Site: "hq", Role: domain.ResponseSite})
	type row struct {
		Text   string
		Number int64
		Small  int64
		At     time.Time
	}
	rows := []row{
		{"", 0, 0, time.Unix(0, 0).UTC()},
		{`{"a":"é","b":["NULL"]}`, math.MaxInt64, math.MaxInt32, time.Date(2026, 11, 30, 1, 2, 3, 4000, time.UTC)},
		{"NULL", math.MinInt64, math.MinInt32, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	for i := range 500 { // more than any buffer begins with
		rows = append(rows, row{fmt.Sprint("row ", i), int64(i), int64(-i), rows[1].At})
	}
	ask := func(rows []row) ([]row, error) {
		found, err := site.Pool.Query(t.Context(), `SELECT t, n, s, a FROM unnest($1::text[], $2::bigint[], $3::int[], $4::timestamptz[]) AS u(t, n, s, a)`,
			eventstore.Texts(rows, func(r *row) string { return r.Text }),
			eventstore.Numbers(rows, func(r *row) int64 { return r.Number }),
			eventstore.Numbers(rows, func(r *row) int64 { return r.Small }),
			eventstore.Times(rows, func(r *row) time.Time { return r.At }))
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(found, func(r pgx.CollectableRow) (got row, err error) {
			err = r.Scan(&got.Text, &got.Number, &got.Small, &got.At)
			got.At = got.At.UTC()
			return got, err
		})
	}
	if got, err := ask(rows); err != nil || !reflect.DeepEqual(got, rows) {
		t.Errorf("%v, got %.300v", err, got)
	}
	if got, err := ask(nil); err != nil || len(got) != 0 {
		t.Errorf("no rows became %v, %v", got, err)
	}
	if _, err := ask([]row{{Small: math.MaxInt32 + 1, At: rows[0].At}}); err == nil {
		t.Error("a number beyond its column's range was taken")
	}
}
