// Package responderstest holds every responder to the promises of package
// responders, see [Run], and gives tests a real source: a PostgreSQL database
// of their own and a login that may only read it.
package responderstest

import (
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdev/pgtest"
)

// Reader is the login of every source made here. Roles belong to the whole
// server, so every test shares it.
const Reader = "sallyport_test_reader"

const makeReader = `DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + Reader + `') THEN CREATE ROLE ` + Reader + ` LOGIN; END IF;
	EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`

// Source makes a database with what ddl says and returns the connection
// strings of [Reader], who gets what ddl grants, and of the superuser.
func Source(t testing.TB, ddl string) (reader, owner string) {
	t.Helper()
	owner = pgtest.Database(t, "")
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{makeReader, ddl} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return As(t, owner, Reader), owner
}

// As returns a connection string for another login of the test server, which
// asks for no password.
func As(t testing.TB, dsn, login string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", login)
	u.RawQuery, u.User = q.Encode(), nil
	return u.String()
}
