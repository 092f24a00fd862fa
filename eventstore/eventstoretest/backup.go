package eventstoretest

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdev/pgtest"
)

// Backup is a copy of a site's database as it was at one moment.
type Backup struct {
	setup Setup
	name  string // of the database that holds the copy
}

// Backup copies the database as it is now. Nothing may be using it meanwhile.
func (s *Site) Backup(t testing.TB) Backup {
	t.Helper()
	s.Pool.Reset()
	s.Owner.Reset()
	return Backup{setup: s.setup, name: database(t, pgtest.Database(t, database(t, s.OwnerURL)))}
}

// Restore makes a site of a backup, as often as wanted: it knows nothing of what
// was written since.
func (b Backup) Restore(t testing.TB) *Site {
	t.Helper()
	return open(t, b.setup, pgtest.Database(t, b.name))
}

func database(t testing.TB, dsn string) string {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c.Database
}
