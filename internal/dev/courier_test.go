package dev

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/domain"
)

const (
	bundleName = "sp1_field-core_01234567_0000000001.jsonl.zst"
	toNorth    = "sp1_field-north_01234567_0000000001.jsonl.zst"
)

func folders(t *testing.T) (from, to *End) {
	t.Helper()
	from, to = &End{Name: "field", Dir: t.TempDir()}, &End{Name: "core", Dir: t.TempDir()}
	for _, dir := range []string{filepath.Join(from.Dir, "outbox", ".tmp"), filepath.Join(to.Dir, "inbox")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return from, to
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// The courier takes finished bundles for the other site, with their labels
// removed, and nothing else.
func TestCourierTakesBundlesOnly(t *testing.T) {
	t.Parallel()
	from, to := folders(t)
	outbox, inbox := filepath.Join(from.Dir, "outbox"), filepath.Join(to.Dir, "inbox")
	for name, text := range map[string]string{bundleName: "the bundle", bundleName + ".label.txt": "for people",
		"notes.txt": "not a bundle", toNorth: "another's", ".DS_Store": "", ".tmp/" + bundleName: "half"} {
		if err := os.WriteFile(filepath.Join(outbox, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, err := carryAll(from, to)
	if err != nil || n != 1 {
		t.Fatalf("%d carried, %v", n, err)
	}
	if got := names(t, inbox); !slices.Equal(got, []string{bundleName}) {
		t.Errorf("the inbox holds %v", got)
	}
	if text, err := os.ReadFile(filepath.Join(inbox, bundleName)); err != nil || string(text) != "the bundle" {
		t.Errorf("%q, %v", text, err)
	}
	if got := names(t, outbox); !slices.Equal(got, []string{".DS_Store", ".tmp", "notes.txt", toNorth}) {
		t.Errorf("the outbox holds %v", got)
	}
	if n, err := carryAll(from, to); err != nil || n != 0 {
		t.Errorf("a second time: %d carried, %v", n, err)
	}
}

// A bundle that cannot be delivered stays where it is.
func TestCourierLosesNothing(t *testing.T) {
	t.Parallel()
	from, to := folders(t)
	path := filepath.Join(from.Dir, "outbox", bundleName)
	if err := os.WriteFile(path, []byte("the bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to.Dir, "inbox")); err != nil {
		t.Fatal(err)
	}
	if n, err := carryAll(from, to); err == nil || n != 0 {
		t.Errorf("%d carried to nowhere, %v", n, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The accounts of the contract, the same at every start, in a closed file.
func TestAccounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "accounts.json")
	first, err := readAccounts(path)
	if err != nil {
		t.Fatal(err)
	}
	var roles []domain.UserRole
	seen := map[string]bool{}
	for _, a := range first {
		if roles = append(roles, a.Role); seen[a.Password] || len(a.Password) < 16 {
			t.Errorf("%s has a weak password, or another's", a.Username)
		}
		seen[a.Password] = true
	}
	if want := []domain.UserRole{domain.RoleAdmin, domain.RoleOperator, domain.RoleAuditor, domain.RoleAnalyst, domain.RoleUser, domain.RoleUser}; !slices.Equal(roles, want) {
		t.Errorf("roles %v", roles)
	}
	if again, err := readAccounts(path); err != nil || !slices.Equal(again, first) {
		t.Errorf("a second start has others, %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(path, []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAccounts(path); err == nil {
		t.Error("half a file was read")
	}
}

func TestAsUser(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://postgres:pw@127.0.0.1:5/x?sslmode=disable": "postgres://sallyport@127.0.0.1:5/x?sslmode=disable",
		"postgres:///x?host=/run/pg":                           "postgres://sallyport@/x?host=/run/pg",
	} {
		if got := asUser(dsn, appLogin); got != want {
			t.Errorf("%s: %s", dsn, got)
		}
	}
}
