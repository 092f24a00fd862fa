package bridge_test

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

func folder(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

// archiveInto copies the log up to a seq, and says which segments were written.
func (e *end) archiveInto(t *testing.T, dir string, through int64, events int) (made []string) {
	t.Helper()
	_, err := e.Archive(t.Context(), bridge.ArchiveWish{Root: folder(t, dir), Through: through, Events: events, Operator: "cli:test",
		Told: func(a bridge.Archived) {
			if a.Made {
				made = append(made, a.File)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (e *end) seq(t *testing.T) int64 {
	t.Helper()
	head, err := e.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Seq
}

func cardsOf(ends ...*end) bundle.Trust {
	return func(id string) (ed25519.PublicKey, bool) {
		for _, e := range ends {
			if key, ok := e.Card().Trust()(id); ok {
				return key, true
			}
		}
		return nil, false
	}
}

func stored(t *testing.T, events func(func(eventstore.Stored, error) bool)) (all []eventstore.Stored) {
	t.Helper()
	for e, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		e.StoredAt, e.Line = e.StoredAt.UTC(), bytes.Clone(e.Line)
		all = append(all, e)
	}
	return all
}

// readsAsTheLog archives all of the log, and compares what the archive shows with
// what the log does.
func (e *end) readsAsTheLog(t *testing.T, others ...*end) (dir string, a *archive.Archive) {
	t.Helper()
	dir = t.TempDir()
	e.archiveInto(t, dir, e.seq(t), 7)
	a, err := archive.Open(folder(t, dir), cardsOf(append(others, e)...))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []eventstore.Filter{{}, {After: 4, Through: 9}, {After: 7}, {Origin: "core"}, {Type: "request.submitted"}, {Actor: "cli:test", Through: 15},
		{Backward: true}, {Backward: true, After: 4, Through: 9}, {Backward: true, Type: "request.submitted"}} {
		want, got := stored(t, e.Log.Search(t.Context(), f)), stored(t, a.Search(t.Context(), f))
		if !slices.EqualFunc(want, got, func(x, y eventstore.Stored) bool {
			return x.Seq == y.Seq && x.Origin == y.Origin && x.Type == y.Type && x.StoredAt.Equal(y.StoredAt) && bytes.Equal(x.Line, y.Line)
		}) {
			t.Errorf("%+v: %d events are in the log, and the archive has %d others", f, len(want), len(got))
		}
	}
	want, err := e.VerifyLogs(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Verify(t.Context(), archive.Checks{Peers: cardsOf(append(others, e)...), Line: bridge.Checker{Schemas: schemas(t)}.OfLog})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("verified\n%+v\nand the log is\n%+v", got, want)
	}
	return dir, a
}

// talked is a pair with events of every kind on both sides: withheld ones,
// secrets, bundles both ways.
func talked(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = pair(t)
	id := field.submit(t)
	field.append(t, domain.RequestNameStream("ann", "x"), domain.RequestNameClaimed{Request: "x"})
	field.submitMany(t, 8, true)
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Applied)
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	core.append(t, domain.EmailStream("e"), domain.EmailClaimed{User: "x"})
	core.append(t, domain.ResponseStream(id), domain.ResponseFailed{Code: "timeout", Error: "no answer", Attempts: 1})
	carry(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Applied)
	field.submit(t)
	return field, core
}

// An archive shows what the log does, on both sites, with what peers have signed.
func TestArchiveReadsAsTheLog(t *testing.T) {
	t.Parallel()
	field, core := talked(t)
	field.readsAsTheLog(t, core)
	_, a := core.readsAsTheLog(t, field)
	for _, e := range stored(t, core.Log.Search(t.Context(), eventstore.Filter{})) {
		m := eventstore.Moment{At: e.StoredAt}
		want, err := core.Log.Resolve(t.Context(), m)
		got, err2 := a.Resolve(t.Context(), m)
		if want != got || err != nil || err2 != nil {
			t.Errorf("stored by %s: %d in the log (%v), %d in the archive (%v)", e.StoredAt, want, err, got, err2)
		}
		want, err = core.Log.Before(t.Context(), m)
		got, err2 = a.Before(t.Context(), m)
		if want != got || err != nil || err2 != nil {
			t.Errorf("stored before %s: %d in the log (%v), %d in the archive (%v)", e.StoredAt, want, err, got, err2)
		}
	}
	for _, m := range []eventstore.Moment{{Seq: 1000}, {At: time.Now().Add(time.Hour)}} {
		if at, err := a.Resolve(t.Context(), m); err == nil {
			t.Errorf("the archive reaches to %+v: %d", m, at)
		}
	}
}

// An archive grows: what is there is read and stays byte for byte, also what a run
// has left that was killed before it listed it.
func TestArchiveGoesOn(t *testing.T) {
	t.Parallel()
	field := newEnd(t, "field", domain.RequestSite)
	field.submitMany(t, 20, true)
	dir := t.TempDir()
	if made := field.archiveInto(t, dir, 25, 10); len(made) != 3 || made[2] != "archive_field_0000000021-0000000025.jsonl.zst" {
		t.Fatalf("made %q", made)
	}
	index := filepath.Join(dir, archive.IndexName)
	before, files := readAll(t, dir), slices.Concat(field.archiveInto(t, dir, 25, 10), field.archiveInto(t, dir, 3, 10))
	if len(files) > 0 {
		t.Errorf("made again %q", files)
	}
	if made := field.archiveInto(t, dir, field.seq(t), 10); len(made) != 2 {
		t.Errorf("made %q", made)
	}
	after := readAll(t, dir)
	for name, text := range before {
		if name != archive.IndexName && !bytes.Equal(text, after[name]) {
			t.Errorf("%s was written anew", name)
		}
	}
	last := archive.SegmentName("field", 35, field.seq(t))
	for name, text := range map[string][]byte{index: before[archive.IndexName], filepath.Join(dir, "."+last+".tmp"): []byte("half")} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if made := field.archiveInto(t, dir, field.seq(t), 10); len(made) != 0 {
		t.Errorf("after a kill it made %q", made)
	}
	if now := readAll(t, dir); !bytes.Equal(now[last], after[last]) {
		t.Error("a segment that was left was written anew")
	}
	if _, err := archive.Open(folder(t, dir), cardsOf(field)); err != nil {
		t.Error(err)
	}
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		if all[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// readWhole reads an archive as `audit verify` does.
func readWhole(t *testing.T, dir string, trust bundle.Trust) error {
	t.Helper()
	a, err := archive.Open(folder(t, dir), trust)
	if err == nil {
		_, err = a.Verify(t.Context(), archive.Checks{})
	}
	return err
}

func writeAll(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What is damaged, missing, doubled or another's is refused with its code and its
// place, by whoever reads it and by whoever would go on from it.
func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	field, core := talked(t)
	dir, _ := field.readsAsTheLog(t, core)
	other, _ := core.readsAsTheLog(t, field)
	files, foreign := readAll(t, dir), readAll(t, other)
	const first, second = "archive_field_0000000001-0000000007.jsonl.zst", "archive_field_0000000008-0000000014.jsonl.zst"
	end := len(files[second]) - 9
	flipped := bytes.Clone(files[second])
	flipped[end] ^= 4
	for what, c := range map[string]struct {
		name string
		text []byte // nil: the file is removed
		code bundle.Code
		says string
	}{
		"a bit of a line":            {second, flipped, bundle.Damaged, second + ", which holds seq 8 to 14: seq 8 to 14: bundle damaged frame 1"},
		"cut off":                    {second, files[second][:end], bundle.Incomplete, "ends 9 bytes early"},
		"longer":                     {second, append(bytes.Clone(files[second]), 0), bundle.Damaged, "1 bytes after its end"},
		"missing in the middle":      {second, nil, bundle.Gap, second + ", which holds seq 8 to 14"},
		"another site's segment":     {second, sized(foreign["archive_core_0000000008-0000000014.jsonl.zst"], len(files[second])), "", second},
		"the one before once more":   {second, sized(files[first], len(files[second])), "", second},
		"no index":                   {archive.IndexName, nil, "", "there is no archive"},
		"another site's index":       {archive.IndexName, foreign[archive.IndexName], bundle.Untrusted, "core"},
		"an index that is cut off":   {archive.IndexName, files[archive.IndexName][:500], bundle.Damaged, archive.IndexName},
		"an index that is empty":     {archive.IndexName, []byte{}, bundle.Damaged, archive.IndexName},
		"an index that is very long": {archive.IndexName, make([]byte, archive.MaxIndex+1), bundle.Refused, "larger than 16 MiB"},
	} {
		changed := maps.Clone(files)
		if changed[c.name] = c.text; c.text == nil {
			delete(changed, c.name)
		}
		dir := writeAll(t, changed)
		err := readWhole(t, dir, cardsOf(field))
		if err == nil || c.code != "" && bundle.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s with %q", what, err, c.code, c.says)
		}
		if _, err := field.Archive(t.Context(), bridge.ArchiveWish{Root: folder(t, dir), Through: field.seq(t), Operator: "cli:test"}); (err == nil) != (what == "no index") {
			t.Errorf("%s: gone on from: %v", what, err)
		}
	}
	for name, text := range files {
		for at := 0; at < len(text); at += 131 {
			changed := maps.Clone(files)
			changed[name] = bytes.Clone(text)
			changed[name][at] ^= 1 << (at % 8)
			if err := readWhole(t, writeAll(t, changed), cardsOf(field)); bundle.CodeOf(err) == "" || !strings.Contains(err.Error(), name) {
				t.Fatalf("byte %d of %s: %v", at, name, err)
			}
		}
	}
}

// sized cuts or fills a file, so that its length does not give it away.
func sized(text []byte, n int) []byte {
	return append(bytes.Clone(text), make([]byte, max(0, n-len(text)))...)[:n]
}
