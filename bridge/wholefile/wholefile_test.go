package wholefile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge/wholefile"
)

func folder(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	check(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenGivesOnlyFiles(t *testing.T) {
	t.Parallel()
	root, dir := folder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"file", "twin"} {
		check(t, os.WriteFile(at(name), []byte("text"), 0o600))
	}
	check(t, os.Link(at("twin"), at("twin too")))
	check(t, os.Symlink("file", at("link")))
	check(t, os.Symlink("/etc/passwd", at("link outside")))
	check(t, syscall.Mkfifo(at("pipe"), 0o600))
	check(t, os.Mkdir(at("folder"), 0o700))
	for name, why := range map[string]string{"twin": "several names", "twin too": "several names", "link": "symbolic link",
		"link outside": "symbolic link", "pipe": "pipe", "folder": "folder"} {
		if _, err := wholefile.Open(root, name); !errors.Is(err, wholefile.ErrNotRegular) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := wholefile.Open(root, "file")
	check(t, err)
	if text, err := io.ReadAll(f); string(text) != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	check(t, f.Close())
	if _, err := wholefile.Open(root, "nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := wholefile.Open(root, "../"+filepath.Base(dir)+"/file"); err == nil {
		t.Error("a name led outside")
	}
}

func TestCreateShowsAllOrNothing(t *testing.T) {
	t.Parallel()
	root, dir := folder(t)
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	write := func(s string, end error) error {
		return wholefile.Create(root, "name", ".tmp", func(f *os.File) error {
			if _, err := f.WriteString(s); err != nil {
				return err
			}
			if strings.Contains(text("name"), s) {
				t.Errorf("%q is seen before it is whole", s)
			}
			return end
		})
	}
	check(t, write("first", nil))
	full := errors.New("disk full")
	if err := write("half", full); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if text("name") != "first" {
		t.Errorf("after a failure it holds %q", text("name"))
	}
	check(t, os.WriteFile(filepath.Join(dir, "victim"), []byte("precious"), 0o600))
	check(t, os.Symlink("victim", filepath.Join(dir, ".tmp")))
	check(t, write("second", nil))
	if text("name") != "second" || text("victim") != "precious" {
		t.Errorf("%q, and through a leftover link %q", text("name"), text("victim"))
	}
	if _, err := os.Lstat(filepath.Join(dir, ".tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary name is still there: %v", err)
	}
}
