package eventstore_test

import (
	"context"
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
// PostgreSQL reads, whether the connection makes room for them or not.
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
	ask := func(of *pgx.Conn, room int, rows []row) ([]row, error) {
		found, err := of.Query(t.Context(), `SELECT t, n, s, a FROM unnest($1::text[], $2::bigint[], $3::int[], $4::timestamptz[]) AS u(t, n, s, a)`,
			eventstore.Roomy(eventstore.Texts(rows, func(r *row) string { return r.Text }), room),
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
	plain, err := pgx.ConnectConfig(t.Context(), site.Pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close(context.WithoutCancel(t.Context()))
	pooled, err := site.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pooled.Release()
	for name, conn := range map[string]*pgx.Conn{"one that a pool made": pooled.Conn(), "another": plain} {
		for _, room := range []int{0, 10, 1 << 20} {
			if got, err := ask(conn, room, rows); err != nil || !reflect.DeepEqual(got, rows) {
				t.Errorf("%s, room %d: %v, got %.300v", name, room, err, got)
			}
		}
		if got, err := ask(conn, 10, nil); err != nil || len(got) != 0 {
			t.Errorf("%s: no rows became %v, %v", name, got, err)
		}
		if _, err := ask(conn, 10, []row{{Small: math.MaxInt32 + 1, At: rows[0].At}}); err == nil {
			t.Errorf("%s: a number beyond its column's range was taken", name)
		}
	}
}
