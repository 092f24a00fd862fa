package pgtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Login returns dsn for a login of the test's own, which whoever is tested is
// to make. Logins are the whole server's: it is dropped when the test ends.
func Login(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	login := "login_" + strings.ToLower(rand.Text()[:10])
	u.User = url.UserPassword(login, rand.Text())
	t.Cleanup(func() {
		if err := dropLogin(context.WithoutCancel(t.Context()), dsn, login); err != nil {
			t.Error(err)
		}
	})
	return u.String()
}

func dropLogin(ctx context.Context, dsn, login string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `DROP ROLE IF EXISTS `+login)
	return err
}
