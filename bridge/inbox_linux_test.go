package bridge_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge"
)

// asNobody runs fn with the rights of an ordinary user on files, also when the
// tests run as root: on a thread of its own, which ends with fn.
func asNobody(t *testing.T, dir string, fn func()) {
	t.Helper()
	const nobody = 65534
	root := os.Geteuid() == 0
	if root {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, nobody, nobody)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if root {
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Error(err)
				return
			}
		}
		fn()
	}()
	<-done
}

// In an inbox that this program may only read, every file is dealt with once,
// and one that cannot be read does not stop the others.
func TestAnInboxThatMayOnlyBeRead(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	carry(t, field, core, out.File)
	inbox := filepath.Join(core.dir, "inbox")
	drop(t, core, nameOf("field", 7), []byte("no bundle"))
	if err := syscall.Mkfifo(filepath.Join(inbox, nameOf("field", 8)), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	core.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if err := os.Chmod(inbox, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(inbox, 0o700) })
	restarted := newBridge(t, core.site, core.site.Store, core.dir)
	var got [][]string
	asNobody(t, core.dir, func() {
		for _, b := range []*bridge.Bridge{core.Bridge, core.Bridge, core.Bridge} {
			got = append(got, states(t, b))
		}
	})
	if !slices.Equal(got[0], []string{bridge.Quarantined, bridge.Applied, bridge.Quarantined}) || len(got[1])+len(got[2]) > 0 {
		t.Errorf("imported %q", got)
	}
	if n := strings.Count(log.String(), "stays in the inbox") + strings.Count(log.String(), "left in the inbox"); n != 3 {
		t.Errorf("%d lines for 3 files that stay:\n%s", n, &log)
	}
	if err := os.Remove(filepath.Join(inbox, nameOf("field", 7))); err != nil {
		t.Fatal(err)
	}
	asNobody(t, core.dir, func() { got = append(got, states(t, restarted)) })
	if !slices.Equal(got[3], []string{bridge.Quarantined, bridge.Duplicate}) {
		t.Errorf("after a new start: %q", got[3])
	}
	if n := len(core.names(t, "quarantine")); n != 2 || core.status(t).QuarantinedInAll != 2 || len(core.names(t, "staging")) != 0 {
		t.Errorf("%d in quarantine, %+v", n, core.status(t))
	}
}

func states(t *testing.T, b *bridge.Bridge) (all []string) {
	t.Helper()
	outcomes, err := b.Import(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, o := range outcomes {
		all = append(all, o.State)
	}
	return all
}

// A local error about one file is told, and stops neither the others in the
// inbox nor those in staging.
func TestOneBadFileDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	drop(t, core, nameOf("aaa", 1), []byte("x"))
	carry(t, field, core, out.File)
	if err := os.Chmod(filepath.Join(core.dir, "inbox", nameOf("aaa", 1)), 0); err != nil {
		t.Fatal(err)
	}
	obstacle(t, core, "staging/019ab000-0000-7000-8000-000000000000_"+nameOf("aaa", 2))
	asNobody(t, core.dir, func() {
		got, err := core.Import(t.Context())
		if len(got) != 1 || got[0].State != bridge.Applied {
			t.Errorf("imported %+v", got)
		}
		if err == nil || !strings.Contains(err.Error(), nameOf("aaa", 1)) || !strings.Contains(err.Error(), nameOf("aaa", 2)) {
			t.Errorf("the errors are %v", err)
		}
	})
}

// What is held is not read again while nothing has changed.
func TestHeldBundlesAreNotReadAgain(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	first := field.exportOne(t, "core")
	field.submit(t)
	second := field.exportOne(t, "core")
	carry(t, field, core, second.File)
	core.expect(t, bridge.Held)
	staged := filepath.Join(core.dir, "staging", core.names(t, "staging")[0])
	whole, err := os.ReadFile(staged)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) {
		if err := os.WriteFile(staged, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte("whoever reads this refuses it"))
	if o := core.expect(t, bridge.Held)[0]; o.Seq != 2 || o.Peer != "field" || o.Reason == "" {
		t.Errorf("%+v", o)
	}
	write(whole)
	carry(t, field, core, first.File)
	core.expect(t, bridge.Applied, bridge.Applied)
}

// Neither quarantine nor archive takes anything: what is said names the place,
// what came is kept, and the next run with room goes on.
func TestNoRoomToPutThingsAway(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"quarantine", "archive", "receipts"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			field.submit(t)
			out := field.exportOne(t, "core")
			carry(t, field, core, out.File)
			bad := nameOf("field", 2)
			drop(t, core, bad, []byte("no bundle"))
			closed := filepath.Join(core.dir, folder)
			chmod := func(mode os.FileMode) {
				if err := os.Chmod(closed, mode); err != nil {
					t.Fatal(err)
				}
			}
			chmod(0o500)
			asNobody(t, core.dir, func() {
				_, err := core.Import(t.Context())
				if err == nil || !strings.Contains(err.Error(), closed) || !strings.Contains(err.Error(), "tried again") {
					t.Errorf("the error does not name %s: %v", closed, err)
				}
			})
			if n := len(core.names(t, "staging")); n != 1 {
				t.Errorf("%d files are kept, want the one that could not be put away", n)
			}
			chmod(0o700)
			core.receive(t)
			if left := append(core.names(t, "staging"), core.names(t, "inbox")...); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			if q, a := len(core.reasons(t)), core.archived(t); q != 1 || len(a) != 1 || len(core.names(t, "receipts")) != 1 {
				t.Errorf("%d reasons, archived %q, receipts %q", q, a, core.names(t, "receipts"))
			}
			sameChain(t, field, core)
		})
	}
}
