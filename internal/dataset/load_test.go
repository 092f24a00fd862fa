package dataset

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

func TestLoadIsIdempotent(t *testing.T) {
	t.Parallel()
	dsn := loaded(t)
	conn := connect(t, dsn)
	file := tableFile(t, conn)
	mustLoad(t, dsn)
	if again := tableFile(t, conn); again != file {
		t.Error("a second load wrote the table anew")
	}
	for _, damage := range []string{
		`delete from airports where iata = 'FRA'`,
		`comment on table airports is 'another version'`,
		`drop table airports`,
	} {
		mustExec(t, conn, damage)
		mustLoad(t, dsn)
		if n := count(t, conn); n != 7884 {
			t.Errorf("after %q and a load: %d airports", damage, n)
		}
	}
}

// TestLoadSideBySide has many callers on one database and on another of the same cluster: the role is shared.
func TestLoadSideBySide(t *testing.T) {
	t.Parallel()
	one, other := database(t), database(t)
	var group errgroup.Group
	for i := range 8 {
		dsn := one
		if i%2 == 1 {
			dsn = other
		}
		group.Go(func() error { return Load(t.Context(), dsn) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if a, b := count(t, connect(t, one)), count(t, connect(t, other)); a != 7884 || b != 7884 {
		t.Errorf("%d and %d airports", a, b)
	}
}

func TestReaderMayOnlyRead(t *testing.T) {
	t.Parallel()
	dsn := loaded(t)
	mustExec(t, connect(t, dsn), `create table private (secret text)`)
	reader := connectAsReader(t, dsn)
	if n := count(t, reader); n != 7884 {
		t.Errorf("the reader sees %d airports", n)
	}
	for _, statement := range []string{
		`delete from airports`, `update airports set name = ''`, `truncate airports`, `drop table airports`,
		`insert into airports select * from airports`, `create table t ()`, `create temporary table t ()`,
		`create schema s`, `select * from private`, `copy airports to program 'true'`, `set role pg_database_owner`,
	} {
		mustExec(t, reader, `set default_transaction_read_only = on`)
		wantRefusal(t, reader, statement, "25006", "42501")
		mustExec(t, reader, `set default_transaction_read_only = off`)
		wantRefusal(t, reader, statement, "42501")
	}
}

func TestReaderIsReadOnlyByDefault(t *testing.T) {
	t.Parallel()
	var setting string
	reader := connectAsReader(t, loaded(t))
	if err := reader.QueryRow(t.Context(), `show default_transaction_read_only`).Scan(&setting); err != nil {
		t.Fatal(err)
	}
	if setting != "on" {
		t.Errorf("default_transaction_read_only is %s", setting)
	}
}

func TestLoadCancelled(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Load(ctx, dsn); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := connect(t, dsn).Exec(t.Context(), `select from airports`); err == nil {
		t.Error("the table is there")
	}
}

func loaded(t *testing.T) string {
	t.Helper()
	dsn := database(t)
	mustLoad(t, dsn)
	return dsn
}

func mustLoad(t *testing.T, dsn string) {
	t.Helper()
	if err := Load(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, config)
}

func connectAsReader(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.User, config.Password = Reader, ""
	return open(t, config)
}

func open(t *testing.T, config *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func mustExec(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func wantRefusal(t *testing.T, conn *pgx.Conn, statement string, codes ...string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), statement)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Errorf("%s: got %v, expected a refusal", statement, err)
		return
	}
	for _, code := range codes {
		if refusal.Code == code {
			return
		}
	}
	t.Errorf("%s: got %v, expected one of %v", statement, err, codes)
}

func count(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select count(*) from airports`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tableFile changes when the table is created or truncated anew.
func tableFile(t *testing.T, conn *pgx.Conn) (file uint32) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `select pg_relation_filenode('airports')`).Scan(&file); err != nil {
		t.Fatal(err)
	}
	return file
}
