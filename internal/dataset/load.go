package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Reader is the login role that may read the table and nothing else. It has no password: it can log in only where
// the server trusts the connection (the Unix socket of a private cluster), until an administrator gives it one.
const Reader = "dataset_reader"

// The types and collation make Go's order and PostgreSQL's the same: bytes for text, IEEE 754 for degrees.
const createTable = `
create table airports (
	iata         text collate "C" primary key,
	icao         text collate "C" not null,
	name         text collate "C" not null,
	city         text collate "C" not null,
	subdivision  text collate "C" not null,
	country      text collate "C" not null,
	elevation_ft integer not null,
	lat          double precision not null,
	lon          double precision not null,
	tz           text collate "C" not null
);
create index airports_country on airports (country)`

// A role belongs to the whole cluster, so two databases being loaded at once meet here: the lock (also cluster-wide)
// makes one wait where it would otherwise fail with "tuple concurrently updated".
const ensureRole = `
lock table pg_authid in share row exclusive mode;
do $$ begin
	if not exists (select from pg_roles where rolname = 'dataset_reader') then
		create role dataset_reader;
	end if;
end $$;
alter role dataset_reader login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit;
alter role dataset_reader set default_transaction_read_only = on`

// A read-only default can be switched off by the session itself; what really holds is that nothing but SELECT on one
// table is granted, and that PUBLIC's standing rights (temporary tables, connecting, creating) are taken away.
const grant = `
do $$ begin
	execute format('revoke all on database %I from public', current_database());
	execute format('grant connect on database %I to dataset_reader', current_database());
end $$;
revoke create on schema public from public;
grant usage on schema public to dataset_reader;
revoke all on airports from public, dataset_reader;
grant select on airports to dataset_reader`

// Load brings the database at dsn (its owner must be a superuser) to hold exactly the embedded airports in
// the table airports, readable by Reader. It is meant for a database that holds nothing else: it replaces the table airports
// when its content is another version's, and takes PUBLIC's rights on the database away.
//
// Calling it again is cheap when all is in place, several callers at once are safe, and a failed or
// interrupted call changes nothing in the table: everything about it is one transaction.
func Load(ctx context.Context, dsn string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("load dataset: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return execute(ctx, tx, ensureRole) }); err != nil {
		return fmt.Errorf("load dataset: role %s: %w", Reader, err)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return fill(ctx, tx) }); err != nil {
		return fmt.Errorf("load dataset: nothing was changed in the table, run it again: %w", err)
	}
	return nil
}

func fill(ctx context.Context, tx pgx.Tx) error {
	if err := execute(ctx, tx, `select pg_advisory_xact_lock(hashtext('sallyport dataset'))`); err != nil {
		return err
	}
	airports, err := Airports()
	if err != nil {
		return err
	}
	mark := version()
	loaded, err := isLoaded(ctx, tx, mark, len(airports))
	if err != nil {
		return err
	}
	if !loaded {
		if err := copyAll(ctx, tx, airports, mark); err != nil {
			return err
		}
	}
	return execute(ctx, tx, grant)
}

// isLoaded trusts the mark, which only the table's owner can write, and the count, which shows a table that
// somebody emptied.
func isLoaded(ctx context.Context, tx pgx.Tx, mark string, count int) (bool, error) {
	var found *string
	const comment = `select obj_description(to_regclass('public.airports'), 'pg_class')`
	if err := tx.QueryRow(ctx, comment).Scan(&found); err != nil {
		return false, fmt.Errorf("read the mark: %w", err)
	}
	if found == nil || *found != mark {
		return false, nil
	}
	var rows int
	if err := tx.QueryRow(ctx, `select count(*) from public.airports`).Scan(&rows); err != nil {
		return false, fmt.Errorf("count: %w", err)
	}
	return rows == count, nil
}

func copyAll(ctx context.Context, tx pgx.Tx, airports []Airport, mark string) error {
	if err := execute(ctx, tx, `drop table if exists airports;`+createTable); err != nil {
		return err
	}
	source := pgx.CopyFromSlice(len(airports), func(i int) ([]any, error) { return airports[i].row(), nil })
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"airports"}, columns(), source); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return execute(ctx, tx, `comment on table airports is '`+mark+`'`)
}

// version names the embedded data and the table's shape; it is hex and so safe inside a statement.
func version() string {
	sum := sha256.New()
	sum.Write([]byte(createTable))
	sum.Write(packed)
	return hex.EncodeToString(sum.Sum(nil))
}

// execute runs statements separated by semicolons; the simple protocol alone allows several at once.
func execute(ctx context.Context, tx pgx.Tx, statements string) error {
	_, err := tx.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}
