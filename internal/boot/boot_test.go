package boot_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/boot"
	"sallyport/internal/commands"
	"sallyport/internal/pgdev/pgtest"
)

// config is one for a database of the test's own, with the login to be made by
// Init.
func config(t *testing.T, site string, role domain.Role) boot.Config {
	t.Helper()
	dsn := pgtest.Database(t, "")
	return boot.Config{Site: site, Role: role, Data: t.TempDir(), Listen: "127.0.0.1:0",
		Database: boot.Database{URL: pgtest.Login(t, dsn), MigrateURL: dsn, MaxConns: 4}}
}

func mustInit(t *testing.T, c boot.Config) bridge.Card {
	t.Helper()
	card, err := boot.Init(t.Context(), c, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	return card
}

func mustOpen(t *testing.T, c boot.Config) *boot.Site {
	t.Helper()
	s, err := boot.Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Init may be run at every start: a second run changes nothing, and what it
// made is closed to others.
func TestInitAgain(t *testing.T) {
	t.Parallel()
	c := config(t, "core", domain.ResponseSite)
	first := mustInit(t, c)
	if again := mustInit(t, c); again != first {
		t.Errorf("a second init made another site: %+v, first %+v", again, first)
	}
	card, err := bridge.ReadCard(c.CardPath())
	if err != nil || card != first {
		t.Errorf("the card on disk: %+v, %v", card, err)
	}
	keys, err := filepath.Glob(filepath.Join(c.Data, "keys", "*"))
	if err != nil || len(keys) < 3 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for path, mode := range map[string]os.FileMode{filepath.Join(c.Data, "keys"): 0o700, keys[0]: 0o600, keys[1]: 0o600, keys[2]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if n, err := boot.Pending(t.Context(), c); err != nil || n != 0 {
		t.Errorf("%d migrations are missing, %v", n, err)
	}
	other := c
	other.Site = "moon"
	if _, err := boot.Init(t.Context(), other, "cli:test"); err == nil || !strings.Contains(err.Error(), "core") {
		t.Errorf("another site on the same database: %v", err)
	}
	if _, err := boot.Open(t.Context(), other, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("another site's log was opened")
	}
}

// The program's own login may add to the log and not change it.
func TestLoginHasNoMoreRightsThanItNeeds(t *testing.T) {
	t.Parallel()
	c := config(t, "field", domain.RequestSite)
	mustInit(t, c)
	s := mustOpen(t, c)
	for _, statement := range []string{`UPDATE events SET actor = 'x'`, `DELETE FROM events`, `TRUNCATE events`,
		`DROP TABLE events`, `ALTER TABLE events DISABLE TRIGGER ALL`, `CREATE TABLE mine (id int)`, `CREATE ROLE mine`} {
		if _, err := s.Pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("the program's login may: %s", statement)
		}
	}
}

func TestFirstAdmin(t *testing.T) {
	t.Parallel()
	c := config(t, "core", domain.ResponseSite)
	mustInit(t, c)
	s := mustOpen(t, c)
	by := commands.By{Actor: "cli:test"}
	password, err := s.FirstAdmin(t.Context(), "chief", "chief@core.invalid", by)
	if err != nil || len(password) < 16 {
		t.Fatalf("password of %d characters, %v", len(password), err)
	}
	u, err := s.Reader.UserByName(t.Context(), "chief")
	if err != nil || u.Role != domain.RoleAdmin {
		t.Fatalf("%v, %v", u.Role, err)
	}
	if ok, err := s.Passwords.Verify(t.Context(), u.Credential, password); err != nil || !ok {
		t.Errorf("the password that was told does not fit: %v", err)
	}
	if again, err := s.FirstAdmin(t.Context(), "chief", "chief@core.invalid", by); err != nil || again != "" {
		t.Errorf("made again: %v", err)
	}
	for _, p := range boot.ShippedProfiles() {
		if _, err := s.Reader.Profile(t.Context(), p.Name); err != nil {
			t.Errorf("profile %s: %v", p.Name, err)
		}
	}
}

func TestOpenSaysThatMigrationsAreMissing(t *testing.T) {
	t.Parallel()
	c := config(t, "field", domain.RequestSite)
	c.Database.URL = c.Database.MigrateURL
	_, err := boot.Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("%v", err)
	}
}

// A secret may be given by file; the file is stronger.
func TestURLFromFile(t *testing.T) {
	t.Parallel()
	c := config(t, "field", domain.RequestSite)
	mustInit(t, c)
	c.Database.URLFile = filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(c.Database.URLFile, []byte(c.Database.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Database.URL = "postgres://nobody@127.0.0.1:1/nothing"
	mustOpen(t, c)
	c.Database.URLFile += ".gone"
	if _, err := boot.Open(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "url.gone") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWriteIsClosedAndLeavesEqualFilesAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	c := boot.Config{Site: "field", Role: domain.RequestSite, Listen: "127.0.0.1:1", Database: boot.Database{URL: "postgres://u:hunter2@h/x",
		MigrateURL: "postgres://owner@h/x", MigrateURLFile: "/run/owner"}}
	if err := c.WithoutOwner().Write(path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "owner") {
		t.Errorf("the site is told who owns its database: %s, %v", text, err)
	}
	before, err := os.Stat(path)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", before, err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := c.WithoutOwner().Write(path); err != nil {
		t.Errorf("an equal file: %v", err)
	}
	if after, err := os.Stat(path); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("an equal file was written again: %v", err)
	}
}

func TestParseParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]boot.Parts{"": boot.Everything, "api": {API: true}, "workers,bridge": {Workers: true, Bridge: true},
		"bridge,api,workers": boot.Everything} {
		if got, err := boot.ParseParts(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"all", "api,", ",", "API", "api workers"} {
		if _, err := boot.ParseParts(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		log  boot.Log
		want string
	}{{boot.Log{}, `"msg":"info"`}, {boot.Log{Format: "text"}, "msg=info"}, {boot.Log{Level: "warn"}, ""}, {boot.Log{Level: "debug"}, `"msg":"info"`}} {
		var b bytes.Buffer
		l, err := c.log.Logger(&b)
		if err != nil {
			t.Fatal(err)
		}
		if l.InfoContext(t.Context(), "info"); !strings.Contains(b.String(), c.want) || c.want == "" && b.Len() > 0 {
			t.Errorf("%+v: %s", c.log, b.String())
		}
	}
	for _, wrong := range []boot.Log{{Level: "loud"}, {Format: "xml"}} {
		if _, err := wrong.Logger(&bytes.Buffer{}); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}

// A database that was exchanged for an older one is noticed when the site opens.
func TestOpenNoticesARestoredDatabase(t *testing.T) {
	t.Parallel()
	c := config(t, "core", domain.ResponseSite)
	mustInit(t, c)
	head := `{"format":"sallyport-head/1","epoch":"` + mustOpen(t, c).Log.Epoch() + `","position":99,"chain":"` + strings.Repeat("0", 64) + `","links":{}}`
	if err := os.WriteFile(filepath.Join(c.Data, "head.json"), []byte(head), 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, c)
	var readOnly *eventstore.ReadOnlyError
	if _, err := s.FirstAdmin(t.Context(), "chief", "chief@core.invalid", commands.By{Actor: "cli:test"}); !errors.As(err, &readOnly) {
		t.Errorf("it writes: %v", err)
	}
}
