package pgtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdev"
)

const (
	templatePrefix = "template_"
	clonePrefix    = "test_"
)

// buildLock serialises the builds of all processes.
const buildLock = 0x73616c6c79 // "sally"

// ensureTemplate builds under another name and renames at the end: a template of the right name is a complete one. Its comment
// is the Unix time of its last use, to the hour.
func ensureTemplate(ctx context.Context, conn *pgx.Conn, server *pgdev.Server, name string, build func(context.Context, string) error) error {
	if err := dropDeadClones(ctx, conn); err != nil {
		return err
	}
	there, err := touchTemplate(ctx, conn, name)
	if there || err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, int64(buildLock)); err != nil {
		return err
	}
	if there, err = touchTemplate(ctx, conn, name); there || err != nil { // built while we waited
		return err
	}
	if err := dropOldTemplates(ctx, conn); err != nil {
		return err
	}
	return buildTemplate(ctx, conn, server, name, build)
} // the caller closes the connection and with it the lock

func buildTemplate(ctx context.Context, conn *pgx.Conn, server *pgdev.Server, name string, build func(context.Context, string) error) error {
	const unfinished = "template_unfinished"
	if err := exec(
		`drop database if exists `+unfinished+` with (force)`,
		`create database `+unfinished+` template template0 strategy file_copy`,
	)(ctx, conn); err != nil {
		return err
	}
	if err := build(ctx, server.DSN(unfinished)); err != nil {
		return err
	}
	return exec(
		// a background connection that build did not wait for would stop the rename
		`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '`+unfinished+`'`,
		`alter database `+unfinished+` allow_connections false`,
		`alter database `+unfinished+` rename to `+quote(name),
		stamp(name),
	)(ctx, conn)
}

func stamp(name string) string {
	return fmt.Sprintf(`comment on database %s is '%d'`, quote(name), time.Now().Unix())
}

func touchTemplate(ctx context.Context, conn *pgx.Conn, name string) (there bool, err error) {
	var comment string
	err = conn.QueryRow(ctx, `select coalesce(shobj_description(oid, 'pg_database'), '0') from pg_database where datname = $1`, name).Scan(&comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if age(comment) > time.Hour {
		return true, exec(stamp(name))(ctx, conn)
	}
	return true, nil
}

func age(comment string) time.Duration {
	at, err := strconv.ParseInt(comment, 10, 64)
	if err != nil {
		at = 0 // not ours: old
	}
	return time.Since(time.Unix(at, 0))
}

func dropOldTemplates(ctx context.Context, conn *pgx.Conn) error {
	const query = `select datname || ' ' || coalesce(shobj_description(oid, 'pg_database'), '0') from pg_database where datname like 'template\_%'`
	return dropWhere(ctx, conn, query, func(row string) (string, bool) {
		name, comment, _ := strings.Cut(row, " ")
		return name, age(comment) > 24*time.Hour
	})
}

// dropDeadClones drops the databases of test processes that ended without a clean-up.
func dropDeadClones(ctx context.Context, conn *pgx.Conn) error {
	const query = `select datname from pg_database where datname like 'test\_%'`
	return dropWhere(ctx, conn, query, func(name string) (string, bool) {
		text, _, _ := strings.Cut(strings.TrimPrefix(name, clonePrefix), "_")
		pid, err := strconv.Atoi(text)
		return name, err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}

func dropWhere(ctx context.Context, conn *pgx.Conn, query string, dead func(row string) (name string, drop bool)) error {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, row := range all {
		if name, drop := dead(row); drop {
			if err := exec(`drop database if exists `+quote(name)+` with (force)`)(ctx, conn); err != nil {
				return err
			}
		}
	}
	return nil
}

// admin runs do on a connection to the maintenance database.
func admin(ctx context.Context, server *pgdev.Server, do func(context.Context, *pgx.Conn) error) (err error) {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return do(ctx, conn)
}

func exec(statements ...string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
