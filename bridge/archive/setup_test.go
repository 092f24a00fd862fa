package archive_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/bridge/bundle/bundletest"
)

var update = flag.Bool("update", false, "write testdata anew")

const (
	epoch = "0123456789abcdef0123456789abcdef"
	later = "fedcba9876543210fedcba9876543210"
	salt  = "00112233445566778899aabbccddeeff"
	noon  = "2026-01-31T12:00:00.000000Z"
)

var trust = bundletest.Trust("field")

func event(pos int64) []byte {
	return fmt.Appendf(nil, `{"pos":%d,"id":"019aa1d4-11f3-7d02-8a47-6f1f5a3b%04d","stream":"site-x","ver":1,"type":"site.founded","schema":1,"at":"%s","actor":"site:x","corr":"x","cause":"","data":{}}`,
		pos, pos, noon)
}

// entry is the line of an entry.
func entry(seq int64, origin string, pos int64) []byte {
	return bundle.AppendEntry(nil, seq, time.Date(2026, 1, 31, 12, 0, int(seq), 0, time.UTC), origin, event(pos))
}

func note(t testing.TB, l archive.Line) []byte {
	t.Helper()
	raw, err := l.Note()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func stand(t testing.TB, origin, epoch string, after int64, chain bundle.Hash) []byte {
	return note(t, archive.Line{Stand: &archive.Stand{Origin: origin, Epoch: epoch, After: after, Chain: chain}})
}

func run(t testing.TB, origin string, after, through int64) []byte {
	return note(t, archive.Line{Withheld: &archive.Run{Origin: origin, After: after, Through: through, Chain: bundle.Hash{1}}})
}

// good are the lines of an archive of two logs, one of which was founded anew.
func good(t testing.TB) [][]byte {
	return [][]byte{
		stand(t, "field", epoch, 0, bundle.Start(epoch, "field")), entry(1, "field", 1),
		stand(t, "core", epoch, 0, bundle.Start(epoch, "core")), run(t, "core", 0, 2), entry(2, "core", 3),
		note(t, archive.Line{Manifest: "signed\n"}), entry(3, "field", 2),
		stand(t, "core", later, 7, bundle.Start(later, "core")), entry(4, "core", 8),
	}
}

// segment is the file of lines, signed by field.
func segment(t testing.TB, no, after int64, prev string, lines [][]byte) (file []byte, id string) {
	t.Helper()
	through := after
	for _, l := range lines {
		if bytes.HasPrefix(l, []byte(`{"seq":`)) {
			through++
		}
	}
	var payload, out bytes.Buffer
	w, err := bundle.NewWriter(t.Context(), &payload, bundle.Plan{First: bundle.First{Salt: salt, Events: int(through - after), Operator: "cli:ann",
		Span: bundle.Span{Kind: bundle.Archive, From: "field", To: "field", Epoch: epoch, Seq: no, Prev: prev, Range: bundle.Range{After: after, Through: through}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, l := range lines {
		if bytes.HasPrefix(l, []byte(`{"seq":`)) {
			err = w.Entry(l)
		} else {
			err = w.Note(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m := c.Manifest()
	m.Head, m.CreatedAt = bundle.Head{Position: through, Seq: no}, noon
	signed, err := m.Sign(bundletest.Signer(t, "field"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.WriteFile(&out, signed, &payload); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), m.Core.ID()
}

// made writes an archive of one segment.
func made(t *testing.T, lines [][]byte, logs []archive.Log) *os.Root {
	t.Helper()
	file, id := segment(t, 1, 0, "", lines)
	n := int64(bytes.Count(bytes.Join(lines, nil), []byte(`{"seq":`)))
	x := archive.Index{Site: "field", CreatedAt: noon, Logs: logs, Keys: []archive.Key{}, Segments: []archive.Segment{
		{File: archive.SegmentName("field", 0, n), ID: id, Through: n, StoredFrom: noon, StoredTo: noon, Bytes: int64(len(file))}}}
	dir := t.TempDir()
	for name, text := range map[string][]byte{x.Segments[0].File: file, archive.IndexName: sign(t, x)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func sign(t testing.TB, x archive.Index) []byte {
	t.Helper()
	text, err := x.Sign(bundletest.Signer(t, "field"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// walked are the logs that lines lead to.
func walked(t testing.TB, lines [][]byte) []archive.Log {
	t.Helper()
	var w archive.Walk
	for _, raw := range lines {
		l, err := archive.ParseLine(raw, bundle.Limits{})
		if err == nil {
			err = w.Take(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return w.Logs("field")
}

func writeSeeds(t *testing.T, dir string, list [][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		text := "go test fuzz v1\n[]byte(" + strconv.Quote(string(s)) + ")\n"
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%02d", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
