// Package schema holds what the outside sees of the data: the database's
// migrations and the JSON Schema of every event version ever written.
//
//	migrations/*.sql      goose, in order, run by the owner of the database
//	events/<type>.v<N>.json   draft 2020-12, what import checks each event with
//
// A schema file is never changed once a program that writes it was released;
// a change of shape is a new version beside the old one.
package schema

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings a database up to this program's schema, the work queue's
// tables included, and returns the version it is at. It must run as the
// database's owner; several programs may call it at once, one works and the
// others wait. Nothing is half done: each migration is one transaction.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	if err := migrateQueue(ctx, pool); err != nil {
		return 0, err
	}
	p, err := provider(pool)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if _, err := p.Up(ctx); err != nil {
		return 0, fmt.Errorf("migrate the database: %w", err)
	}
	return p.GetDBVersion(ctx)
}

// Pending returns how many migrations the database still lacks. Zero means
// that this program may run on it.
func Pending(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	want := make([]int64, len(files))
	for i, name := range files {
		if want[i], err = goose.NumericComponent(name); err != nil {
			return 0, fmt.Errorf("number of %s: %w", name, err)
		}
	}
	var pending int
	err = pool.QueryRow(ctx, `SELECT count(*) FROM unnest($1::bigint[]) AS want
		WHERE NOT EXISTS (SELECT FROM goose_db_version WHERE version_id = want AND is_applied)`, want).Scan(&pending)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version (was `sallyport migrate up` run?): %w", err)
	}
	return pending, nil
}

func provider(pool *pgxpool.Pool) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := newLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(pool), files,
		goose.WithSessionLocker(locker))
}

// migrateQueue creates the work queue's tables. Its migrations have no lock of
// their own and cannot share a transaction (one uses an enum value that the
// one before adds), so a second session holds the lock meanwhile.
func migrateQueue(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return fmt.Errorf("prepare the queue's migrations: %w", err)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0;
			SELECT pg_advisory_xact_lock(hashtextextended('sallyport/migrate-queue', 0))`); err != nil {
			return fmt.Errorf("wait for another migration: %w", err)
		}
		if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return fmt.Errorf("migrate the work queue: %w", err)
		}
		return nil
	})
}

// Fingerprint returns a hash of all migrations of this program.
func Fingerprint() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sql, err := migrations.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(sql), sql)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}
