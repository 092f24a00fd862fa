// Package pgtest gives every test a PostgreSQL database of its own, in milliseconds.
//
// All test processes of a user share one private server (pgdev, durability off). A template database is built once from
// the migrations; each test gets a clone of it, which is dropped at the end of the test:
//
//	server ── template_<hash of key> ──clone──▶ test_<process>_<n>    one a test
//	       └─ template_<hash of key> ──clone──▶ …
//
//	dsn := pgtest.Database(t, pgtest.Template(t, "schema "+hash, migrate))
//
// Servers live in memory (/dev/shm) where it is large enough and TMPDIR is not set, else in the temporary folder.
//
// The first test that asks starts the server, later processes and later runs use it again, `go run
// ./internal/pgdev/pgtest/pgteststop` (which `make test` runs at the end) stops and removes it unless tests are still
// using it. Databases of dead test processes and templates unused for a day are dropped on the way.
//
// Roles belong to the whole server: tests that make roles must give them names of their own or bear that another test
// has made them. Tests that stop, restart or starve the server start their own with pgdev.Start.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database makes a database that belongs to t alone and returns its superuser DSN. It is a clone of template, or empty when
// template is empty, and is dropped, its connections cut, when t ends.
func Database(t testing.TB, template string) string {
	t.Helper()
	server := Server(t)
	if template == "" {
		template = "template0"
	}
	name := fmt.Sprintf("%s%d_%s", clonePrefix, os.Getpid(), strings.ToLower(rand.Text()))
	// copying files is seven times as fast as logging them when nothing is synced to disk
	if err := admin(t.Context(), server, exec(`create database `+quote(name)+` template `+quote(template)+` strategy file_copy`)); err != nil {
		t.Fatalf("clone database %s: %v", template, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := admin(ctx, server, exec(`drop database if exists `+quote(name)+` with (force)`)); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return server.DSN(name)
}

// Template returns the name of a template database that build has filled. Equal keys share one template, across processes and
// runs too: the key must change whenever what build does changes, so put a hash of the migrations in it. Builds run one at a
// time on the whole server; the DSN they get is a superuser's. A failed build fails t and is done
// again by the next caller.
func Template(t testing.TB, key string, build func(ctx context.Context, superuserDSN string) error) string {
	t.Helper()
	server := Server(t)
	sum := sha256.Sum256([]byte(key))
	name := templatePrefix + hex.EncodeToString(sum[:8])
	err := admin(t.Context(), server, func(ctx context.Context, conn *pgx.Conn) error {
		return ensureTemplate(ctx, conn, server, name, build)
	})
	if err != nil {
		t.Fatalf("build template database %s: %v", name, err)
	}
	return name
}
