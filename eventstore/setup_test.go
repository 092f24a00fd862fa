package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// TestMain also sees that whatever a test opened ended with it.
func TestMain(m *testing.M) {
	eventstoretest.Appender()
	goleak.VerifyTestMain(m)
}

// TestContract holds the log to all that is promised of every log.
func TestContract(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t testing.TB) *eventstoretest.Site { return eventstoretest.New(t, eventstoretest.Setup{}) })
}

// submitted makes an append that begins a new request.
func submitted(params string) (id string, a eventstore.Append) {
	id = uuid.NewString()
	return id, write(eventstore.NoStream, domain.RequestStream(id),
		domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(params), Priority: 5, User: "user-1"})
}

func write(expected eventstore.Version, stream string, facts ...domain.Fact) eventstore.Append {
	return eventstore.Append{Actor: "user-1", Writes: []eventstore.Write{{Stream: stream, Expected: expected, Facts: facts}}}
}

// claim is the smallest of facts.
func claim(i int) domain.Fact { return domain.UsernameClaimed{User: fmt.Sprint(i)} }

func mustAppend(t testing.TB, s *eventstore.Store, a eventstore.Append) []eventstore.Record {
	t.Helper()
	records, err := s.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// holdHead keeps the log's head from everyone else until release is called.
func holdHead(t testing.TB, site *eventstoretest.Site) (release func()) {
	t.Helper()
	tx, err := site.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// However busy the machine is, the holder is not to be taken for one asleep.
	if _, err := tx.Exec(t.Context(), `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		t.Fatal(err)
	}
	var seq int64
	if err := tx.QueryRow(t.Context(), `SELECT seq FROM log_head FOR UPDATE`).Scan(&seq); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// outcome is what one append came to.
type outcome struct {
	records []eventstore.Record
	err     error
}

// together runs appends so that they share one group: the writer is kept busy
// by another append until all of them wait in the queue.
func together(t testing.TB, site *eventstoretest.Site, appends []eventstore.Append) []outcome {
	t.Helper()
	release := holdHead(t, site)
	defer release()
	_, busy := submitted(`{}`)
	first := begin(t.Context(), site.Store, busy)
	eventually(t, "the writer waits for the head", func() bool { return waitsForHead(t, site) == 1 })
	running := make([]<-chan outcome, len(appends))
	for i, a := range appends { // one after the other, so that the queue keeps their order
		running[i] = begin(t.Context(), site.Store, a)
		eventually(t, "the append is queued", func() bool { return site.Store.Queued() == i+1 })
	}
	release()
	if o := <-first; o.err != nil {
		t.Fatal(o.err)
	}
	outcomes := make([]outcome, len(appends))
	for i, r := range running {
		outcomes[i] = <-r
	}
	return outcomes
}

func begin(ctx context.Context, s *eventstore.Store, a eventstore.Append) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		records, err := s.Append(ctx, a)
		done <- outcome{records, err}
	}()
	return done
}

// waitsForHead counts the sessions of this database that wait for a row lock.
func waitsForHead(t testing.TB, site *eventstoretest.Site) (n int) {
	t.Helper()
	err := site.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// scratch makes a table for the callers' own statements.
func scratch(t testing.TB, site *eventstoretest.Site) {
	t.Helper()
	if _, err := site.Owner.Exec(t.Context(), `CREATE TABLE scratch (n int PRIMARY KEY); GRANT ALL ON scratch TO sallyport_app`); err != nil {
		t.Fatal(err)
	}
}

// note writes n into the scratch table, then returns err.
func note(n int, err error) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO scratch VALUES ($1)`, n); err != nil {
			return err
		}
		return err
	}
}

func noted(t testing.TB, site *eventstoretest.Site) []int {
	t.Helper()
	rows, err := site.Owner.Query(t.Context(), `SELECT n FROM scratch ORDER BY n`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func all(t testing.TB, s *eventstore.Store) []eventstore.Record {
	t.Helper()
	return eventstoretest.Whole(t, s)
}

// reject is a read model that refuses events by a certain actor, on this side
// or in the database.
type reject struct{ calls *atomic.Int64 }

func (r reject) Apply(b *pgx.Batch, records []eventstore.Record) error {
	r.calls.Add(1)
	for _, rec := range records {
		switch rec.Actor {
		case "model-refuses":
			return errors.New("the read model refuses")
		case "database-refuses":
			b.Queue(`SELECT 1/0`)
		}
	}
	return nil
}
