package eventstore_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// also has a statement travel with an append that notes n, and is refused at 0.
func also(n int, a eventstore.Append) eventstore.Append {
	a.Also = &eventstore.Statement{SQL: `INSERT INTO scratch SELECT n / (n / n) FROM unnest($1::text[]::int[]) AS v(n)`, Args: []string{strconv.Itoa(n)}}
	return a
}

// TestEachStatementTravelsWithItsAppend: what is refused, or whose append is,
// costs no other append anything and leaves nothing behind.
func TestEachStatementTravelsWithItsAppend(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	var conflict *eventstore.ConflictError
	for i, o := range together(t, site, []eventstore.Append{
		also(1, write(eventstore.NoStream, "username-a", claim(1))),
		also(2, write(7, "username-b", claim(2))),
		also(3, write(1, "username-a", claim(3))),
	}) {
		if conflicts := i == 1; conflicts != errors.As(o.err, &conflict) || !conflicts && o.err != nil {
			t.Errorf("append %d: %v", i, o.err)
		}
	}
	for i, o := range together(t, site, []eventstore.Append{
		also(4, write(eventstore.NoStream, "username-d", claim(4))),
		also(0, write(eventstore.NoStream, "username-e", claim(5))),
		write(eventstore.Any, "username-f", claim(6)), // of which nothing is foreseen
	}) {
		if is := refused(o.err); is != (i == 1) || !is && o.err != nil {
			t.Errorf("append %d: %v", i, o.err)
		}
	}
	if got := noted(t, site); !slices.Equal(got, []int{1, 3, 4}) {
		t.Errorf("statements of %v took place, want of 1, 3 and 4", got)
	}
	if got := len(all(t, site.Store)); got != 7 { // with the founding, and what kept the writer busy twice
		t.Errorf("%d events are stored, want 7", got)
	}
}

// refused tells the division by zero.
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == "22012"
}

func TestAStatementCostsNoTrip(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	s, count := counted(t, site)
	mustAppend(t, s, also(1, write(eventstore.NoStream, "username-a", claim(1)))) // it is prepared now
	if n := count.of(t, s, also(2, write(1, "username-a", claim(2)))); n != 1 {
		t.Errorf("%d trips, want 1", n)
	}
	if _, err := s.Append(t.Context(), also(0, write(2, "username-a", claim(3)))); !refused(err) {
		t.Errorf("got %v", err)
	}
	mustAppend(t, s, also(3, write(2, "username-a", claim(3))))
	if got := noted(t, site); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("statements of %v took place, want of 1, 2 and 3", got)
	}
	all(t, s)
}

// A statement's parameters may be of any type that texts can be read as.
func TestAStatementOfOtherTypes(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	s, _ := counted(t, site)
	a := write(eventstore.NoStream, "username-a", claim(1))
	a.Also = &eventstore.Statement{SQL: `INSERT INTO scratch SELECT n FROM unnest($1::uuid[], $2::int[]) AS of(id, n) WHERE id > '00000000-0000-0000-0000-000000000001'`,
		Args: []string{"00000000-0000-0000-0000-000000000002", "7"}}
	mustAppend(t, s, a)
	b := write(1, "username-a", claim(2))
	b.Also = &eventstore.Statement{SQL: a.Also.SQL, Args: []string{a.Also.Args[0], "8", "one too many"}}
	if _, err := s.Append(t.Context(), b); err == nil || !strings.Contains(err.Error(), "nothing was stored") {
		t.Errorf("got %v", err)
	}
	if got := noted(t, site); !slices.Equal(got, []int{7}) {
		t.Errorf("statements of %v took place, want of 7", got)
	}
}
