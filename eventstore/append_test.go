package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

func TestAppendReturnsWhatIsStored(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	a := write(eventstore.NoStream, "username-alice", claim(1), claim(2))
	a.Writes = append(a.Writes, eventstore.Write{Stream: "user-1", Facts: []domain.Fact{claim(3)}})
	a.Actor, a.Cause = `cli:"ü" <x>`, "019a"
	got := mustAppend(t, site.Store, a)
	stored, err := site.Store.Read(t.Context(), 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range stored {
		if stored[i].StoredAt.IsZero() {
			t.Errorf("seq %d has no time of storing", stored[i].Seq)
		}
		stored[i].StoredAt = got[i].StoredAt
	}
	if !reflect.DeepEqual(got, stored) {
		t.Errorf("returned\n%+v, stored\n%+v", got, stored)
	}
	if got[2].Corr != got[0].ID || got[2].Cause != "019a" || got[2].Seq != 4 || got[1].Ver != 2 {
		t.Errorf("places and causes are wrong: %+v", got)
	}
	all(t, site.Store)
}

func TestAppendIsRefusedBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{CheckLine: func(line []byte) error {
		if len(line) > 1000 {
			return errors.New("the line is longer than its receiver allows")
		}
		return nil
	}})
	many := make([]domain.Fact, 1001)
	for i := range many {
		many[i] = claim(i)
	}
	for name, a := range map[string]eventstore.Append{
		"nothing to store":  write(eventstore.Any, "username-a"),
		"no write":          {Actor: "x"},
		"too many events":   write(eventstore.Any, "username-a", many...),
		"no stream's name":  write(eventstore.Any, "Username a", claim(1)),
		"line too long":     write(eventstore.Any, "username-a", domain.UsernameClaimed{User: strings.Repeat("x", 1000)}),
		"unknown type":      write(eventstore.Any, "username-a", strange{}),
		"data is no JSON":   write(eventstore.Any, "request-a", domain.RequestSubmitted{Params: []byte("{")}),
		"second is refused": write(eventstore.Any, "username-a", claim(1), domain.UsernameClaimed{User: strings.Repeat("x", 1000)}),
	} {
		if records, err := site.Store.Append(t.Context(), a); err == nil {
			t.Errorf("%s: stored %v", name, records)
		}
	}
	if records := all(t, site.Store); len(records) != 1 {
		t.Errorf("%d events are stored, want the founding one", len(records))
	}
}

// TestLinesAreCheckedAtTheirLongest: an event that fits at position 2 and no
// longer at the last one there is must not enter.
func TestLinesAreCheckedAtTheirLongest(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{CheckLine: func(line []byte) error {
		if !strings.HasPrefix(string(line), `{"pos":9007199254740991,`) || !strings.Contains(string(line), `"ver":9007199254740991,`) {
			return fmt.Errorf("checked was %s", line)
		}
		return nil
	}})
	_, a := submitted(`{}`)
	mustAppend(t, site.Store, a)
}

type strange struct{}

func (strange) EventType() string { return "user.promoted" }

// TestGroupGivesEachItsOwn: one group in which everything happens at once.
func TestGroupGivesEachItsOwn(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: []eventstore.Projection{reject{&calls}}})
	scratch(t, site)
	failed := errors.New("the condition does not hold")
	with := func(a eventstore.Append, n int, err error) eventstore.Append { a.With = note(n, err); return a }
	by := func(actor string, a eventstore.Append) eventstore.Append { a.Actor = actor; return a }
	var conflict *eventstore.ConflictError
	var refused *pgconn.PgError
	stored := error(nil)
	cases := []struct {
		append eventstore.Append
		want   any // nil, an error, or a pointer for errors.As
	}{
		{write(eventstore.NoStream, "username-a", claim(1)), stored},
		{write(eventstore.NoStream, "username-a", claim(2)), &conflict},
		{with(write(1, "username-a", claim(3)), 3, nil), stored}, // sees the first of its own group
		{with(write(eventstore.NoStream, "username-b", claim(4)), 4, failed), failed},
		{with(write(7, "username-c", claim(5)), 5, nil), &conflict},
		{by("database-refuses", with(write(eventstore.Any, "username-d", claim(6)), 6, nil)), &refused},
		{by("model-refuses", write(eventstore.Any, "username-e", claim(7))), "the read model refuses"},
		{by("\xff", write(eventstore.Any, "username-f", claim(8))), &refused},
		{write(eventstore.NoStream, "username-d", claim(9)), stored}, // the database refused the other one
		{write(1, "username-f", claim(10)), &conflict},
		{write(eventstore.Any, "username-g", claim(11)), stored},
	}
	appends := make([]eventstore.Append, len(cases))
	for i, c := range cases {
		appends[i] = c.append
	}
	for i, o := range together(t, site, appends) {
		switch want := cases[i].want.(type) {
		case nil:
			if o.err != nil || len(o.records) != 1 {
				t.Errorf("append %d: got %v, want it stored", i, o.err)
			}
		case string:
			if o.err == nil || !strings.Contains(o.err.Error(), want) {
				t.Errorf("append %d: got %v, want %s", i, o.err, want)
			}
		case error:
			if !errors.Is(o.err, want) {
				t.Errorf("append %d: got %v, want %v", i, o.err, want)
			}
		default:
			if !errors.As(o.err, want) {
				t.Errorf("append %d: got %v, want %T", i, o.err, want)
			}
		}
		if o.err != nil && o.records != nil {
			t.Errorf("append %d failed and returned %v", i, o.records)
		}
	}
	users := []string{}
	for _, r := range all(t, site.Store)[2:] { // after the founding and the append that kept the writer busy
		users = append(users, r.Fact.(domain.UsernameClaimed).User)
	}
	if slices.Sort(users); !slices.Equal(users, []string{"1", "11", "3", "9"}) {
		t.Errorf("stored %v", users)
	}
	if got := noted(t, site); !slices.Equal(got, []int{3}) {
		t.Errorf("statements of %v took place, want of 3", got)
	}
}

// TestRejectionRestsOnWhatIsStored: a conflict with a neighbour in the group
// counts only if that neighbour is stored in the end.
func TestRejectionRestsOnWhatIsStored(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: []eventstore.Projection{reject{&calls}}})
	scratch(t, site)
	first := write(eventstore.NoStream, "username-a", claim(1))
	first.Actor, first.With = "database-refuses", note(1, nil)
	second := write(eventstore.NoStream, "username-a", claim(2))
	third := write(eventstore.NoStream, "username-b", claim(3))
	third.With = func(ctx context.Context, tx pgx.Tx) error { // the first one's row stands in the way
		return note(1, nil)(ctx, tx)
	}
	outcomes := together(t, site, []eventstore.Append{first, second, third})
	if outcomes[0].err == nil || outcomes[1].err != nil || outcomes[2].err != nil {
		t.Errorf("got %v", outcomes)
	}
	all(t, site.Store)
}

// TestConflictUndoesItsOwnStatements: and nobody else's in its group.
func TestConflictUndoesItsOwnStatements(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	appends := make([]eventstore.Append, 4)
	for i := range appends {
		appends[i] = write(eventstore.Version(7*(i%2)), fmt.Sprint("username-", i), claim(i)) // every other one in vain
		appends[i].With = note(i, nil)
	}
	for i, o := range together(t, site, appends) {
		var conflict *eventstore.ConflictError
		if stored := i%2 == 0; stored != (o.err == nil) || !stored && !errors.As(o.err, &conflict) {
			t.Errorf("append %d: %v", i, o.err)
		}
	}
	if got := noted(t, site); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("statements of %v took place, want of 0 and 2", got)
	}
	if got := len(all(t, site.Store)); got != 4 {
		t.Errorf("%d events are stored, want 4", got)
	}
}

func TestGroupSharesOneTransaction(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	site := eventstoretest.New(t, eventstoretest.Setup{Inline: []eventstore.Projection{reject{&calls}}})
	appends := make([]eventstore.Append, 50)
	for i := range appends {
		_, appends[i] = submitted(`{}`)
	}
	before := calls.Load()
	for _, o := range together(t, site, appends) {
		if o.err != nil {
			t.Error(o.err)
		}
	}
	if got := calls.Load() - before; got != 2 { // the one that kept the writer busy, and the group
		t.Errorf("%d transactions, want 2", got)
	}
}

func TestExpectedVersions(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	const existing, missing = "username-a", "username-b"
	mustAppend(t, site.Store, write(eventstore.NoStream, existing, claim(1), claim(2)))
	for _, c := range []struct {
		stream   string
		expected eventstore.Version
		actual   int64 // -1: stored
	}{
		{existing, eventstore.NoStream, 2}, {existing, 1, 2}, {existing, 3, 2}, {existing, 2, -1}, {existing, eventstore.Any, -1},
		{missing, 1, 0}, {missing, eventstore.Any, -1}, {"username-c", eventstore.NoStream, -1},
	} {
		_, err := site.Store.Append(t.Context(), write(c.expected, c.stream, claim(3)))
		var conflict *eventstore.ConflictError
		switch {
		case c.actual < 0 && err != nil:
			t.Errorf("%s, %s: %v", c.stream, c.expected, err)
		case c.actual >= 0 && (!errors.As(err, &conflict) || *conflict != eventstore.ConflictError{Stream: c.stream, Expected: c.expected, Actual: c.actual}):
			t.Errorf("%s, %s: got %v, want it at %d", c.stream, c.expected, err, c.actual)
		case c.actual >= 0 && !strings.Contains(err.Error(), fmt.Sprintf("version %d, expected %s", c.actual, c.expected)):
			t.Errorf("the message does not say what was expected: %v", err)
		}
	}
	all(t, site.Store)
}

func TestStreamsAreWrittenTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	two := func(name, user string) eventstore.Append {
		a := write(eventstore.NoStream, "username-"+name, claim(1))
		a.Writes = append(a.Writes, eventstore.Write{Stream: "user-" + user, Facts: []domain.Fact{claim(2)}})
		return a
	}
	mustAppend(t, site.Store, two("alice", "1"))
	var conflict *eventstore.ConflictError
	if _, err := site.Store.Append(t.Context(), two("alice", "2")); !errors.As(err, &conflict) || conflict.Stream != "username-alice" {
		t.Errorf("a name was given twice: %v", err)
	}
	if records, err := site.Store.ReadStream(t.Context(), "user-2"); err != nil || len(records) != 0 {
		t.Errorf("half of an append was stored: %v, %v", records, err)
	}
	again := write(eventstore.NoStream, "username-bob", claim(1)) // the second write follows upon the first
	again.Writes = append(again.Writes, eventstore.Write{Stream: "username-bob", Expected: 1, Facts: []domain.Fact{claim(2)}})
	if records := mustAppend(t, site.Store, again); records[1].Ver != 2 {
		t.Errorf("got %+v", records)
	}
	all(t, site.Store)
}

func TestNestedAppendIsRefused(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	nested := func(ctx context.Context, _ pgx.Tx) error {
		_, inner := submitted(`{}`)
		_, err := site.Store.Append(ctx, inner)
		return err
	}
	_, a := submitted(`{}`)
	a.With = nested
	if _, err := site.Store.Append(t.Context(), a); !errors.Is(err, eventstore.ErrNested) {
		t.Errorf("inside Append: got %v", err)
	}
	err := pgx.BeginFunc(t.Context(), site.Pool, func(tx pgx.Tx) error {
		_, err := site.Store.AppendTx(t.Context(), tx, a)
		return err
	})
	if !errors.Is(err, eventstore.ErrNested) {
		t.Errorf("inside AppendTx: got %v", err)
	}
	if err := site.Store.Mirror(t.Context(), eventstore.Mirrored{Origin: "hq", With: nested}); !errors.Is(err, eventstore.ErrNested) {
		t.Errorf("inside Mirror: got %v", err)
	}
	if records := all(t, site.Store); len(records) != 1 {
		t.Errorf("%d events are stored", len(records))
	}
}

func TestAppendTx(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	scratch(t, site)
	ctx := t.Context()
	run := func(a eventstore.Append, end error) ([]eventstore.Record, error) {
		var records []eventstore.Record
		return records, pgx.BeginFunc(ctx, site.Pool, func(tx pgx.Tx) (err error) {
			if records, err = site.Store.AppendTx(ctx, tx, a); err != nil {
				return err
			}
			return end
		})
	}
	a := write(eventstore.NoStream, "username-a", claim(1))
	a.With = note(1, nil)
	rolledBack := errors.New("the caller changed its mind")
	if _, err := run(a, rolledBack); !errors.Is(err, rolledBack) {
		t.Fatal(err)
	}
	if len(all(t, site.Store)) != 1 || len(noted(t, site)) != 0 {
		t.Error("a transaction that was rolled back left something")
	}
	if _, err := run(a, nil); err != nil {
		t.Fatal(err)
	}
	if len(all(t, site.Store)) != 2 || !slices.Equal(noted(t, site), []int{1}) {
		t.Error("a transaction that was committed is not stored as a whole")
	}
	a.With = note(2, nil)
	var conflict *eventstore.ConflictError
	if _, err := run(a, nil); !errors.As(err, &conflict) || conflict.Actual != 1 {
		t.Errorf("got %v, want a conflict", err)
	}
	mustAppend(t, site.Store, write(1, "username-a", claim(2))) // both ways go on from the same head
	if len(all(t, site.Store)) != 3 || !slices.Equal(noted(t, site), []int{1}) {
		t.Error("a conflict left something")
	}
}
