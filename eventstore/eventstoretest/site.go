// Package eventstoretest gives tests a real log: a private PostgreSQL
// database, migrated and founded, and gone when the test ends. [Run] is the
// suite that holds a log to its promises, and [Wire] stands between a program
// and its database to lose, stop and kill.
package eventstoretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/pgdev/pgtest"
	"sallyport/schema"
)

// Epoch is the epoch of a log founded here, if its setup names no other.
const Epoch = "0123456789abcdef0123456789abcdef"

// Setup says which site to make. The zero value is the request site "field"
// without read models.
type Setup struct {
	Site      string
	Role      domain.Role
	Inline    []eventstore.Projection
	CheckLine func([]byte) error // nil: any JSON
	MaxConns  int32              // 0: 16
	Epoch     string             // empty: [Epoch]
	MaxQueued int                // 0: as package eventstore says
}

// Site is a founded site's database.
type Site struct {
	Store *eventstore.Store
	// Pool logs in as the program does, without rights on the log but INSERT.
	Pool *pgxpool.Pool
	// Owner logs in as the superuser, for tests that tamper.
	Owner *pgxpool.Pool
	// AppURL and OwnerURL are their connection strings.
	AppURL, OwnerURL string
	Config           eventstore.Config
	setup            Setup
}

const appLogin = "sallyport_test"

// New makes a site of its own for one test.
func New(t testing.TB, s Setup) *Site {
	t.Helper()
	if s.Site == "" {
		s.Site, s.Role = "field", domain.RequestSite
	}
	if s.Epoch == "" {
		s.Epoch = Epoch
	}
	if s.CheckLine == nil {
		s.CheckLine = anyJSON
	}
	if s.MaxConns == 0 {
		s.MaxConns = 16
	}
	return open(t, s, pgtest.Database(t, pgtest.Template(t, templateKey(t), migrate)))
}

// open founds a log in a migrated database that has none, and opens it.
func open(t testing.TB, s Setup, owner string) *Site {
	t.Helper()
	site := &Site{OwnerURL: owner, AppURL: asApp(t, owner), setup: s,
		Config: eventstore.Config{CheckLine: s.CheckLine, Inline: s.Inline, MaxQueued: s.MaxQueued}}
	site.Owner, site.Pool = pool(t, site.OwnerURL, 4), pool(t, site.AppURL, s.MaxConns)
	ctx := t.Context()
	founded := domain.SiteFounded{Site: s.Site, Role: s.Role, Epoch: s.Epoch}
	if _, err := eventstore.Found(ctx, site.Pool, site.Config, founded, "cli:test"); err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(ctx, site.Pool, site.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	site.Store = store
	return site
}

// templateKey changes with the migrations, so that a template is never stale.
func templateKey(t testing.TB) string {
	sum, err := schema.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return "sallyport-" + sum
}

func migrate(ctx context.Context, dsn string) error {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := schema.Migrate(ctx, pool); err != nil {
		return err
	}
	_, err = pool.Exec(ctx, fmt.Sprintf(`DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN CREATE ROLE %[1]s LOGIN IN ROLE sallyport_app; END IF;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`, appLogin))
	return err
}

// asApp turns the superuser's connection string into the program's.
func asApp(t testing.TB, dsn string) string {
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Set("user", appLogin)
		u.RawQuery, u.User = q.Encode(), nil
		return u.String()
	}
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("host=%s port=%d dbname=%s user=%s", c.Host, c.Port, c.Database, appLogin)
}

func pool(t testing.TB, dsn string, conns int32) *pgxpool.Pool {
	p, err := eventstore.Pool(t.Context(), dsn, conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func anyJSON(line []byte) error {
	if !json.Valid(line) {
		return errors.New("the line is no JSON")
	}
	return nil
}
