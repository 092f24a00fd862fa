package pgtest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdev/pgtest"
)

func fill(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `create table thing (id int primary key); insert into thing values (1)`)
	return errors.Join(err, conn.Close(ctx))
}

func count(t *testing.T, dsn string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `insert into thing values (2)`); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), `select count(*) from thing`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEachTestHasItsOwnClone(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Database(t, pgtest.Template(t, "pgtest own clone 1", fill))
			if n := count(t, dsn); n != 2 {
				t.Errorf("a clone holds %d rows, want the template's one and its own", n)
			}
		})
	}
}

func TestCloneIsDropped(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("inner", func(t *testing.T) { dsn = pgtest.Database(t, "") })
	conn, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("the database of a test that ended still accepts connections")
	}
}

func TestStopLeavesAServerInUse(t *testing.T) {
	t.Parallel()
	pgtest.Server(t)
	inUse, err := pgtest.Stop(t.Context())
	if err != nil || !inUse {
		t.Fatalf("stop of a server in use: inUse %t, error %v", inUse, err)
	}
	pgtest.Server(t)
}

func TestTemplateIsBuiltOnce(t *testing.T) {
	t.Parallel()
	key := "pgtest built once " + rand.Text()
	var builds atomic.Int32
	counting := func(ctx context.Context, dsn string) error {
		builds.Add(1)
		return fill(ctx, dsn)
	}
	var names [4]string
	t.Run("at once", func(t *testing.T) {
		for i := range names {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				names[i] = pgtest.Template(t, key, counting)
			})
		}
	})
	if builds.Load() != 1 || names[0] != names[3] {
		t.Errorf("%d builds, templates %v", builds.Load(), names)
	}
	if other := pgtest.Template(t, key+" changed", counting); other == names[0] || builds.Load() != 2 {
		t.Errorf("another key: template %s after %d builds", other, builds.Load())
	}
	drop(t, names[0])
	drop(t, pgtest.Template(t, key+" changed", counting))
}

// do runs a statement on the shared server.
func do(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Server(t).DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), sql)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func drop(t *testing.T, name string) { do(t, "drop database "+name) }

func there(t *testing.T, name string) (yes bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pgtest.Server(t).DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), "select exists (select from pg_database where datname = $1)", name).Scan(&yes); err != nil {
		t.Fatal(err)
	}
	return yes
}

func TestLeftoversAreDropped(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	suffix := strings.ToLower(rand.Text())
	left := fmt.Sprintf("test_%d_%s", dead.Process.Pid, suffix)
	ours := fmt.Sprintf("test_%d_%s", os.Getpid(), suffix)
	old := "template_" + suffix
	for _, name := range []string{left, ours, old} {
		do(t, "create database "+name)
	}
	do(t, "comment on database "+old+" is '1'")
	drop(t, pgtest.Template(t, "pgtest leftovers "+suffix, fill))
	for name, want := range map[string]bool{left: false, ours: true, old: false} {
		if got := there(t, name); got != want {
			t.Errorf("%s is there: %t, want %t", name, got, want)
		}
	}
	drop(t, ours)
}

func BenchmarkClone(b *testing.B) {
	template := pgtest.Template(b, "pgtest own clone 1", fill)
	for b.Loop() {
		pgtest.Database(b, template)
	}
}
