package eventstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
)

// TestManyStatementsAreOneTransaction: more than travel together take place
// together.
func TestManyStatementsAreOneTransaction(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	const many = 1200
	numbers := func(last string) error {
		return pgx.BeginFunc(t.Context(), site.Owner, func(tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue(`CREATE TABLE IF NOT EXISTS numbers (n int CHECK (n < 5000))`)
			if err := eventstore.Send(t.Context(), tx.Conn(), b); err != nil {
				return err
			}
			b = &pgx.Batch{}
			for n := range many {
				b.Queue(`INSERT INTO numbers SELECT $1`, n)
			}
			b.Queue(last)
			return eventstore.Send(t.Context(), tx.Conn(), b)
		})
	}
	count := func() (n int) {
		t.Helper()
		if err := site.Owner.QueryRow(t.Context(), `SELECT count(*) FROM numbers`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := numbers(`SELECT`); err != nil || count() != many {
		t.Fatalf("%v, %d rows", err, count())
	}
	var refused *pgconn.PgError
	if err := numbers(`INSERT INTO numbers VALUES (5000)`); !errors.As(err, &refused) || refused.ConstraintName != "numbers_n_check" || count() != many {
		t.Errorf("%v, %d rows", err, count())
	}
}

// TestSendGivesUp: who waits is not kept, the server does not go on for him, and
// the connection is not used again.
func TestSendGivesUp(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	conn, err := pgx.ConnectConfig(t.Context(), site.Owner.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	slow := &pgx.Batch{}
	slow.Queue(`SELECT pg_sleep(600)`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := eventstore.Send(ctx, conn, slow); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want a deadline", err)
	}
	if !conn.IsClosed() {
		t.Error("the connection is open, with an answer on its way")
	}
	if err := eventstore.Send(t.Context(), conn, slow); err == nil {
		t.Error("a closed connection was used")
	}
	gone := `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)`
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		var yes bool
		if err := site.Owner.QueryRow(t.Context(), gone, conn.PgConn().PID()).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		if yes {
			break
		}
	}
}

// TestARefusedStatementMayBePreparedAgain: what the server knows of those that
// came with it does not matter.
func TestARefusedStatementMayBePreparedAgain(t *testing.T) {
	t.Parallel()
	site := eventstoretest.New(t, eventstoretest.Setup{})
	send := func() error {
		return site.Owner.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
			b := &pgx.Batch{}
			b.Queue(`SELECT 1`)
			b.Queue(`INSERT INTO made_later VALUES ($1)`, 1)
			return eventstore.Send(t.Context(), c.Conn(), b)
		})
	}
	var refused *pgconn.PgError
	if err := send(); !errors.As(err, &refused) || refused.Code != "42P01" {
		t.Errorf("%v, want an undefined table", err)
	}
	if _, err := site.Owner.Exec(t.Context(), `CREATE TABLE made_later (n int)`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := send(); err != nil {
			t.Error(err)
		}
	}
}
