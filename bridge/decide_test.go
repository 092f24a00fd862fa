package bridge_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// refusal returns the one refused file that nobody has decided about.
func (e *end) refusal(t *testing.T) bridge.QuarantinedFile {
	t.Helper()
	files, err := e.QuarantinedFiles(t.Context())
	if err != nil || len(files) != 1 {
		t.Fatalf("%d refused files wait for a decision, %v: %+v", len(files), err, files)
	}
	return files[0]
}

// wantRefusal checks the code of a decision that is refused.
func wantRefusal(t *testing.T, err error, code string) {
	t.Helper()
	var refused *domain.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("%v, want %s", err, code)
	}
}

// A bundle of a stranger is judged again once the stranger's card is there.
func TestReleasedAfterTheCardCame(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newEnd(t, "core", domain.ResponseSite)
	field.addLink(t, core.Card())
	field.submit(t)
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Quarantined)
	q := core.refusal(t)
	if q.Code != bundle.Untrusted {
		t.Fatalf("refused as %s", q.Code)
	}

	core.addLink(t, field.Card())
	if err := core.Release(t.Context(), q.ID, "the card came today", "cli:olga"); err != nil {
		t.Fatal(err)
	}
	core.expect(t, bridge.Applied)
	if n := len(core.mirrored(t, "field")); n == 0 {
		t.Error("nothing was applied")
	}
	shown, err := core.QuarantinedFile(t.Context(), q.ID)
	if err != nil || shown.Decided != "released" || shown.DecidedBy != "cli:olga" || shown.DecidedAt == nil {
		t.Errorf("shown %+v, %v", shown, err)
	}
	wantRefusal(t, core.Release(t.Context(), q.ID, "again", "cli:olga"), "already-decided")
	wantRefusal(t, core.Reject(t.Context(), q.ID, "no", "cli:olga"), "already-decided")
	if types := core.own(t); !slices.Contains(types, "quarantine.released") {
		t.Errorf("the log has %q", types)
	}
}

// damaged brings a bundle of field with a flipped bit, and returns its name and
// its true bytes.
func damaged(t *testing.T, field, core *end) (name string, good []byte) {
	t.Helper()
	field.submit(t)
	name = field.exportOne(t, "core").File
	good = read(t, field, "outbox/"+name)
	bad := slices.Clone(good)
	bad[len(bad)-9] ^= 4
	drop(t, core, name, bad)
	core.expect(t, bridge.Quarantined)
	return name, good
}

// The sender is told of a signed bundle that was rejected, and not of one that
// will be judged again.
func TestRejectedIsStillTold(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	name, _ := damaged(t, field, core)
	q := core.refusal(t)
	if err := core.Reject(t.Context(), q.ID, "the stick is broken", "cli:olga"); err != nil {
		t.Fatal(err)
	}
	if s := core.status(t); len(s.Rejected) != 1 || s.Rejected[0] != (bundle.Rejection{Seq: 1, Code: bundle.Damaged}) || s.Quarantined != 0 {
		t.Errorf("after the rejection: %+v", s)
	}
	if left := core.names(t, "quarantine/"+q.ID); !slices.Equal(left, []string{"reason.json"}) {
		t.Errorf("left in quarantine: %q", left)
	}
	// The ack makes the sender make it again, and it applies.
	if err := os.Remove(filepath.Join(field.dir, "outbox", name)); err != nil {
		t.Fatal(err)
	}
	for _, x := range core.exportAll(t, "field") {
		carry(t, core, field, x.File)
	}
	field.receive(t)
	again := field.exportAll(t, "core")
	if len(again) == 0 || !again[0].Again {
		t.Fatalf("made %+v", again)
	}
	carry(t, field, core, again[0].File)
	core.expect(t, bridge.Applied)
}

func TestReleasedIsNotTold(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	damaged(t, field, core)
	if err := core.Release(t.Context(), core.refusal(t).ID, "look again", "cli:olga"); err != nil {
		t.Fatal(err)
	}
	if s := core.status(t); len(s.Rejected) != 0 {
		t.Errorf("told as rejected: %+v", s.Rejected)
	}
	core.expect(t, bridge.Quarantined)
	if s := core.status(t); len(s.Rejected) != 1 || s.Quarantined != 1 {
		t.Errorf("refused again: %+v", s)
	}
}

// A decision whose run ended before the file was moved is gone on with.
func TestDecisionsAreGoneOnWith(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verdict string
		decide  func(*end) func(id string) error
		left    []string
	}{
		{"released", func(e *end) func(string) error {
			return func(id string) error { return e.Release(t.Context(), id, "look again", "cli:olga") }
		}, []string{bridge.Quarantined}},
		{"rejected", func(e *end) func(string) error {
			return func(id string) error { return e.Reject(t.Context(), id, "no", "cli:olga") }
		}, nil},
	} {
		t.Run(c.verdict, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			damaged(t, field, core)
			q := core.refusal(t)
			_, err := core.site.Pool.Exec(t.Context(), `UPDATE quarantined_files SET decided = $2, decided_by = 'cli:olga', decided_at = now() WHERE id = $1`, q.ID, c.verdict)
			if err != nil {
				t.Fatal(err)
			}
			before := len(core.own(t))
			if err := c.decide(core)(q.ID); err != nil {
				t.Fatal(err)
			}
			if after := len(core.own(t)); after != before {
				t.Errorf("%d events more: it was decided before", after-before)
			}
			if left := core.names(t, "quarantine/"+q.ID); !slices.Equal(left, []string{"reason.json"}) {
				t.Errorf("left in quarantine: %q", left)
			}
			core.expect(t, c.left...)
			wantRefusal(t, c.decide(core)(q.ID), "already-decided")
		})
	}
}

func TestWhatCannotBeDecided(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	name, _ := damaged(t, field, core)
	q := core.refusal(t)
	path := filepath.Join(core.dir, "quarantine", q.ID, name)
	release := func(id string) error { return core.Release(t.Context(), id, "look again", "cli:olga") }

	wantRefusal(t, release("nothing"), "not-found")
	wantRefusal(t, release("01a20351-498a-7e70-a315-478c02f0c07c"), "not-found")
	wantRefusal(t, core.Reject(t.Context(), q.ID, "two\nlines", "cli:olga"), "invalid-reason")

	// An import that ended before it put the file away still has it in staging.
	staged := filepath.Join(core.dir, "staging", q.ID+"_"+name)
	if err := os.Rename(path, staged); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, release(q.ID), "import-unfinished")
	wantRefusal(t, core.Reject(t.Context(), q.ID, "no", "cli:olga"), "import-unfinished")
	core.expect(t, bridge.Quarantined)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, release(q.ID), "file-not-in-quarantine")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, release(q.ID), "not-a-file")
	if core.refusal(t).Decided != "" {
		t.Error("a refused decision was noted")
	}
	if err := core.Reject(t.Context(), q.ID, "a pipe", "cli:olga"); err != nil {
		t.Error(err)
	}
	core.expect(t)
}

// The file of a bundle is found wherever it lies, but not in quarantine.
func TestFetch(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var sent []bridge.Exported
	for range 2 {
		field.submit(t)
		sent = append(sent, field.exportOne(t, "core"))
	}
	fetched := func(e *end, id string, want []byte) {
		t.Helper()
		f, err := e.Fetch(t.Context(), id)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		got := make([]byte, f.Size)
		if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) || f.ID != sent[1].ID || f.Name != sent[1].File {
			t.Errorf("%s: %d bytes of %d, %s %s, %v", id, len(got), len(want), f.ID, f.Name, err)
		}
	}
	disk := read(t, field, "outbox/"+sent[1].File)
	fetched(field, sent[1].ID, disk)
	fetched(field, sent[1].File, disk)

	carry(t, field, core, sent[1].File)
	core.expect(t, bridge.Held)
	fetched(core, sent[1].ID, disk)
	_, err := core.Fetch(t.Context(), sent[1].File)
	wantRefusal(t, err, "not-found") // by name only what goes out is given

	carry(t, field, core, sent[0].File)
	core.expect(t, bridge.Applied, bridge.Applied)
	fetched(core, sent[1].ID, disk)

	damaged(t, field, core)
	for _, id := range []string{core.refusal(t).ID, strings.ToUpper(sent[1].ID), "", "../" + sent[1].File, strings.Repeat("0", 64)} {
		_, err := core.Fetch(t.Context(), id)
		wantRefusal(t, err, "not-found")
	}
}

// endless is a body that only stops when it is told to.
type endless struct {
	started chan<- struct{}
	stop    <-chan struct{}
}

func (e endless) Read([]byte) (int, error) {
	e.started <- struct{}{}
	<-e.stop
	return 0, errors.New("the caller went away")
}

// An upload that was left behind is removed by the next one, and one that is
// under way is not.
func TestUploadsLeftBehind(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	x := field.exportOne(t, "core")
	left := filepath.Join(core.dir, "inbox", ".upload-left-behind")
	if err := os.WriteFile(left, []byte("half a bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	started, stop, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := core.Receive(t.Context(), "sp1_field-core_00000000_0000000009.jsonl.zst", endless{started: started, stop: stop})
		done <- err
	}()
	<-started
	if _, err := core.Receive(t.Context(), x.File, bytes.NewReader(read(t, field, "outbox/"+x.File))); err != nil {
		t.Fatal(err)
	}
	var hidden []string
	for _, n := range core.names(t, "inbox") {
		if strings.HasPrefix(n, ".") {
			hidden = append(hidden, n)
		}
	}
	if len(hidden) != 1 || hidden[0] == filepath.Base(left) {
		t.Errorf("hidden in the inbox: %q, want the one that is under way", hidden)
	}
	close(stop)
	if err := <-done; err == nil {
		t.Error("half an upload was taken")
	}
	core.expect(t, bridge.Applied)
	if names := core.names(t, "inbox"); len(names) > 0 {
		t.Errorf("in the inbox: %q", names)
	}
}

// A file that is called as its own reason would be takes nobody's place.
func TestAFileCalledReasonIsKeptBesideItsReason(t *testing.T) {
	t.Parallel()
	core := newEnd(t, "core", domain.ResponseSite)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "reason.json"), []byte("no bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := core.ImportFiles(t.Context(), dir, []string{"reason.json"})
	if err != nil || len(out) != 1 || out[0].State != bridge.Quarantined {
		t.Fatal(out, err)
	}
	r := core.reasons(t)[0]
	if got := read(t, core, "quarantine/"+r.ID+"/"+r.File); string(got) != "no bundle" {
		t.Errorf("kept as %s: %q", r.File, got)
	}
}
