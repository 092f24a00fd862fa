package deploy

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/pgdev"
	"sallyport/schema"
)

func TestCourierCarriesFinishedBundlesOnly(t *testing.T) {
	t.Parallel()
	dir := post(t, map[string]string{
		"field/outbox/sp1_field-core_0a1b2c3d_0000000001.jsonl.zst":     "one",
		"field/outbox/.sp1_field-core_0a1b2c3d_0000000002.jsonl.zst":    "unfinished",
		"field/outbox/notes.txt":                                        "mine",
		"core/outbox/sp1_core-field_4e5f6071_0000000001.jsonl.zst.age":  "two",
		"core/outbox/sp1_core-field_4e5f6071_0000000001.b1.jsonl.zst":   "beacon",
		"core/inbox/sp1_field-core_0a1b2c3d_0000000000.jsonl.zst":       "older",
		"field/cards/own/site-card.json":                                "card of field",
		"field/inbox/.carrying-sp1_core-field_4e5f6071_0000000001.junk": "left by a killed courier",
	})
	mustRun(t, "sh", "compose/courier.sh", dir, "once")
	mustRun(t, "sh", "compose/courier.sh", dir, "once")
	want := map[string]string{
		"core/inbox/sp1_field-core_0a1b2c3d_0000000001.jsonl.zst":       "one",
		"core/inbox/sp1_field-core_0a1b2c3d_0000000000.jsonl.zst":       "older",
		"core/cards/peer/site-card.json":                                "card of field",
		"field/outbox/.sp1_field-core_0a1b2c3d_0000000002.jsonl.zst":    "unfinished",
		"field/outbox/notes.txt":                                        "mine",
		"field/inbox/sp1_core-field_4e5f6071_0000000001.jsonl.zst.age":  "two",
		"field/inbox/sp1_core-field_4e5f6071_0000000001.b1.jsonl.zst":   "beacon",
		"field/inbox/.carrying-sp1_core-field_4e5f6071_0000000001.junk": "left by a killed courier",
		"field/cards/own/site-card.json":                                "card of field",
	}
	if got := tree(t, dir); !maps.Equal(got, want) {
		t.Errorf("got %v\nexpected %v", got, want)
	}
}

func TestCourierLosesNothingWhenItCannotDeliver(t *testing.T) {
	t.Parallel()
	const bundle = "field/outbox/sp1_field-core_0a1b2c3d_0000000001.jsonl.zst"
	dir := post(t, map[string]string{bundle: "one", "core/outbox/sp1_core-field_4e5f6071_0000000001.jsonl.zst.age": "two"})
	if err := os.Remove(filepath.Join(dir, "core/inbox")); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "sh", "compose/courier.sh", dir, "once"); err == nil {
		t.Errorf("the courier reports success: %s", out)
	}
	left := tree(t, dir)
	if left[bundle] != "one" || left["field/inbox/sp1_core-field_4e5f6071_0000000001.jsonl.zst.age"] != "two" {
		t.Errorf("afterwards: %v", left)
	}
}

func TestSwapCards(t *testing.T) {
	t.Parallel()
	dir := post(t, map[string]string{"site-card.json": "mine", "cards/peer/site-card.json": "theirs"})
	mustRun(t, "sh", "compose/swap-cards.sh", filepath.Join(dir, "site-card.json"), filepath.Join(dir, "cards"))
	if got := tree(t, dir)["cards/own/site-card.json"]; got != "mine" {
		t.Errorf("offered %q", got)
	}
}

func TestSecretsAreMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustRun(t, "sh", "compose/make-secrets.sh", dir, filepath.Join(dir, "owner"), "field-postgres")
	first := tree(t, dir)
	if len(first) != 5 {
		t.Errorf("files: %v", slices.Sorted(maps.Keys(first)))
	}
	for name, content := range first {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
		if strings.HasSuffix(name, "_password") && len(content) != 48 {
			t.Errorf("%s has %d characters", name, len(content))
		}
	}
	mustRun(t, "sh", "compose/make-secrets.sh", dir, filepath.Join(dir, "owner"), "field-postgres")
	if !maps.Equal(tree(t, dir), first) {
		t.Error("a second run changed a secret")
	}
}

// TestRolesSuitTheSchema runs what the PostgreSQL container runs at its first start, then the migrations as the owner.
func TestRolesSuitTheSchema(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	makeRoles(t, server)
	owner := pool(t, server, "sallyport_owner")
	if _, err := schema.Migrate(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	program := pool(t, server, "sallyport")
	if _, err := program.Exec(t.Context(), `select count(*) from events`); err != nil {
		t.Error(err)
	}
	for _, statement := range []string{
		`delete from events`, `update events set line = ''`, `truncate events`, `drop table events`, `create table t ()`,
	} {
		var refusal *pgconn.PgError
		if _, err := program.Exec(t.Context(), statement); !errors.As(err, &refusal) || refusal.Code != "42501" {
			t.Errorf("%s: got %v, expected a refusal", statement, err)
		}
	}
}

func startServer(t *testing.T) *pgdev.Server {
	t.Helper()
	server, err := pgdev.Start(t.Context(), pgdev.Config{Ephemeral: true, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if _, err := server.EnsureDatabase(t.Context(), "sallyport"); err != nil {
		t.Fatal(err)
	}
	return server
}

// makeRoles lets the script write its statements to a file, since psql is not on every machine, and runs them.
func makeRoles(t *testing.T, server *pgdev.Server) {
	t.Helper()
	secrets, bin := t.TempDir(), t.TempDir()
	mustRun(t, "sh", "compose/make-secrets.sh", secrets, t.TempDir(), "field-postgres")
	statements := filepath.Join(bin, "statements")
	if err := os.WriteFile(filepath.Join(bin, "psql"), []byte("#!/bin/sh\ncat >'"+statements+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), "bash", "compose/postgres-roles.sh")
	script.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "POSTGRES_USER=postgres", "POSTGRES_DB=sallyport",
		"SALLYPORT_SECRETS="+filepath.Join(secrets, "postgres"))
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(statements)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Connect(t.Context(), server.DSN("sallyport"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), string(text)).ReadAll()
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func pool(t *testing.T, server *pgdev.Server, user string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(server.DSN("sallyport"))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.User = user
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// post is a folder with the courier's folders and the given files.
func post(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for site := range sites() {
		for _, folder := range []string{"outbox", "inbox", "cards/own", "cards/peer"} {
			mustMakeFolder(t, filepath.Join(dir, site, folder))
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		mustMakeFolder(t, filepath.Dir(path))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustMakeFolder(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// tree is the content of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := run(t, name, args...); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}
