package bridge_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

// Whatever else lies in the inbox under a bundle's name is never opened: a FIFO
// would block for ever, a link would read what it should not.
func TestOddFilesAreNeverRead(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, read(t, field, "outbox/"+out.File), 0o600); err != nil {
		t.Fatal(err)
	}
	inbox := filepath.Join(core.dir, "inbox")
	odd := map[string]func(path string) error{
		nameOf("field", 2): func(path string) error { return os.Symlink(secret, path) },
		nameOf("field", 3): func(path string) error { return os.Link(secret, path) },
		nameOf("field", 4): func(path string) error { return syscall.Mkfifo(path, 0o600) },
		nameOf("field", 5): func(path string) error { return os.Mkdir(path, 0o700) },
		nameOf("field", 6): func(path string) error { return os.Symlink("/nowhere", path) },
	}
	for name, create := range odd {
		if err := create(filepath.Join(inbox, name)); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, field, core, out.File)
	outcomes := core.receive(t)
	if len(outcomes) != len(odd)+1 || outcomes[len(odd)].State != bridge.Applied {
		t.Fatalf("one outcome each and the good one applied, got %+v", outcomes)
	}
	for _, o := range outcomes[:len(odd)] {
		if o.State != bridge.Quarantined || bundle.CodeOf(o.Err) != bundle.Refused || odd[o.File] == nil {
			t.Errorf("%+v", o)
		}
	}
	if again := core.receive(t); len(again) != 0 || len(core.names(t, "inbox")) != 0 {
		t.Errorf("reported again: %+v, in the inbox %q", again, core.names(t, "inbox"))
	}
	for _, r := range core.reasons(t) {
		if r.SHA256 != "" || r.NextStep == "" || !strings.Contains(r.Message, "not read") {
			t.Errorf("the reason is %+v", r)
		}
	}
	if n := len(core.reasons(t)); n != len(odd) {
		t.Errorf("%d reasons for %d files", n, len(odd))
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	ignored := []string{strings.ToUpper(out.File), "Thumbs.db", "notes.txt", out.File + ".part"}
	junk := append([]string{".DS_Store", out.File + ".label.txt", "." + out.File}, ignored...)
	for _, name := range junk {
		drop(t, core, name, []byte("x"))
	}
	var log bytes.Buffer
	core.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for range 2 {
		for i, o := range core.expect(t, bridge.Ignored, bridge.Ignored, bridge.Ignored, bridge.Ignored) {
			if o.File != ignored[i] || o.Reason == "" {
				t.Errorf("%+v", o)
			}
		}
	}
	if n := strings.Count(log.String(), "file ignored"); n != len(ignored) {
		t.Errorf("%d lines for %d ignored files:\n%s", n, len(ignored), &log)
	}
	if left := core.names(t, "inbox"); len(left) != len(junk) {
		t.Errorf("left %q of %q", left, junk)
	}
}

func TestOversizeIsPutAsideOnce(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	core.Limits.File = 4000
	name, data := forgery{from: field, events: []bundle.Event{ask()}}.file(t)
	drop(t, core, nameOf("field", 2), make([]byte, 4001))
	drop(t, core, name, data)
	out := core.expect(t, bridge.Quarantined, bridge.Applied)
	if !strings.Contains(out[0].Reason, "larger than any bundle") {
		t.Errorf("refused because %s", out[0].Reason)
	}
	core.expect(t)
	if left := append(core.names(t, "staging"), core.names(t, "inbox")...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestImportFilesLeavesTheMediumAsItIs(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	dir := filepath.Join(field.dir, "outbox")
	before := field.names(t, "outbox")
	for _, want := range []string{bridge.Applied, bridge.Duplicate} {
		if got, err := core.ImportFiles(t.Context(), dir, []string{"../keys/signing.pem"}); err == nil {
			t.Fatalf("a path that leads out of the folder was taken: %+v", got)
		}
		got, err := core.ImportFiles(t.Context(), dir, []string{"missing.zst", ".tmp", out.File})
		if !errors.Is(err, os.ErrNotExist) || bundle.CodeOf(err) != bundle.Refused || len(got) != 1 || got[0].State != want {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if !slices.Equal(field.names(t, "outbox"), before) {
		t.Error("the medium was changed")
	}
}

// A run that was killed while it copied leaves a file that nobody will finish.
func TestHalfWrittenStagingIsCleaned(t *testing.T) {
	t.Parallel()
	core, _ := coreAnd(t)
	if err := os.WriteFile(filepath.Join(core.dir, "staging", ".half_"+nameOf("field", 1)), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	core.expect(t)
	if left := core.names(t, "staging"); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
