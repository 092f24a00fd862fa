package bundle_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge/bundle"
)

// seeds gives what each fuzz target starts from; -update commits them.
func seeds(t *testing.T) map[string][][]byte {
	t.Helper()
	good := recipe{items: plainItems(events(0, 3))}.file(t)
	_, payload := cut(good)
	id := identity(t)
	sealed := recipe{items: plainItems(events(0, 1)), recipients: []string{id.Recipient().String()}}.file(t)
	beacon := recipe{kind: bundle.Beacon}.file(t)
	full := fullManifest(t)
	var lines [][]byte
	for _, data := range []string{`{}`, `{"a":[1,-0.5e+10,null,true]}`, `{"a":"\ud83d\ude00\u00e9é","a\n":""}`, `{"a":1,"\u0061":2}`, `{"a":1e999}`,
		`{"a": 1}`, `{"a":"\u0000"}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", nested(64), nested(65), manyNames(13, 12), `{},"x":{}`} {
		lines = append(lines, []byte(data))
	}
	return map[string][][]byte{
		"FuzzOpen":    {good, sealed, beacon, good[:60]},
		"FuzzPayload": {payload, rawFrame([]byte("{}\n"), 0), append(bytes.Clone(payload), payload...), {0x5b, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}},
		"FuzzParseManifest": {[]byte(manifestText(t, full)), []byte(manifestText(t, open(t, beacon).Manifest())), []byte("{\n}\n"),
			[]byte(manifestText(t, open(t, audit().file(t)).Manifest()))},
		"FuzzParseName": {[]byte("sp1_field-core_01234567_0000000001.jsonl.zst.age"), []byte("sp1_a-b_01234567_0000000000.b7.jsonl.zst")},
		"FuzzData":      lines,
		"FuzzParseLine": {[]byte(text(1, `{"a":1}`)), bundle.AppendWithheld(nil, bundle.Withheld{After: 1, Through: 3}), []byte(`{"pos":1}`)},
	}
}

// A fuzz target without seeds passes whatever the code does.
func TestFuzzSeedsAreThere(t *testing.T) {
	t.Parallel()
	for name, list := range seeds(t) {
		dir := filepath.Join("testdata", "fuzz", name)
		if *update {
			writeSeeds(t, dir, list)
		}
		found, err := os.ReadDir(dir)
		if err != nil || len(found) < 2 {
			t.Errorf("%s: %d seeds, %v", name, len(found), err)
		}
	}
}

func writeSeeds(t *testing.T, dir string, list [][]byte) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		entry := "go test fuzz v1\n[]byte(" + strconv.Quote(string(s)) + ")\n"
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%02d", i)), []byte(entry), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody without field's key makes a bundle of field's that is accepted.
func FuzzOpen(f *testing.F) {
	trust := trusting("field")
	good := recipe{items: plainItems(events(0, 3))}.file(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		lines, err := read(raw, bundle.Limits{}, trust)
		if err == nil && len(lines) > 0 && !bytes.Equal(raw, good) {
			t.Errorf("accepted %d lines of a forgery", len(lines))
		}
	})
}

// Whatever a trusted sender packs is read to its clean end or refused, and what is
// accepted gives the same lines to a public zstd reader.
func FuzzPayload(f *testing.F) {
	plan, _ := recipe{items: plainItems(events(0, 3))}.plan()
	plan.First.Span.Format = bundle.Format
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) == 0 {
			return
		}
		forged := forgery{first: plan.First, signer: "field", frames: func([]byte) [][]byte { return [][]byte{payload} }}
		for _, l := range events(0, 3) {
			forged.text += string(l) + "\n"
		}
		lines, err := read(forged.file(t), bundle.Limits{}, trusting("field"))
		if err == nil && !bytes.Equal(unpack(t, payload), forged.plain(t)) {
			t.Errorf("%d lines without an error", len(lines))
		}
	})
}

func unpack(t *testing.T, payload []byte) []byte {
	d, err := zstd.NewReader(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := io.ReadAll(d)
	if err != nil {
		t.Fatal("accepted what a public reader refuses:", err)
	}
	return plain
}

func FuzzParseManifest(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := bundle.ParseManifest(raw)
		if err != nil {
			return
		}
		signed, err := m.Sign(signerOf(t, "field"))
		if err != nil {
			t.Fatal("what was read cannot be written:", err)
		}
		again, err := bundle.ParseManifest(signed[:bytes.Index(signed, []byte("\n\n"))+1])
		if err != nil || again.Core != m.Core || again.Core.ID() != m.Core.ID() {
			t.Errorf("%+v became %+v: %v", m, again, err)
		}
	})
}

func FuzzParseName(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n, err := bundle.ParseName(string(raw)); err == nil && n.String() != string(raw) {
			t.Errorf("%q became %q", raw, n)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := bundle.ParseLine(raw, bundle.Limits{})
		if check := bundle.CheckLine(raw, bundle.Limits{}); (check == nil) != (err == nil && l.Withheld == nil) {
			t.Fatalf("CheckLine says %v, ParseLine %v", check, err)
		}
		if err != nil {
			return
		}
		again := bundle.AppendEvent(nil, l.Event)
		if l.Withheld != nil {
			again = bundle.AppendWithheld(nil, *l.Withheld)
		}
		if !bytes.Equal(again, raw) {
			t.Errorf("%q became %q", raw, again)
		}
		if !jsontext.Value(raw).IsValid() {
			t.Errorf("not strict JSON: %q", raw)
		}
	})
}

// The scanner agrees with a general strict parser on every byte string.
func FuzzData(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		line := []byte(text(1, string(data)))
		got := bundle.CheckLine(line, bundle.Limits{}) == nil
		if want := strictData(data) && len(line) <= 1<<20; got != want {
			t.Errorf("%q: accepted %v, want %v", data, got, want)
		}
	})
}

// strictData is the rule of a line's data told by jsontext: one object, no white
// space, no U+0000, nested 63 deep at most, numbers of a bounded size.
func strictData(data []byte) bool {
	compact := jsontext.Value(bytes.Clone(data))
	if !compact.IsValid() || compact.Kind() != '{' || compact.Compact() != nil || !bytes.Equal(compact, data) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.ReadToken()
		if err == io.EOF {
			return true
		}
		if err != nil || d.StackDepth() > 63 {
			return false
		}
		switch token.Kind() {
		case '"':
			if strings.ContainsRune(token.String(), 0) {
				return false
			}
		case '0':
			if !boundedNumber(token.String()) {
				return false
			}
		}
	}
}

func boundedNumber(s string) bool {
	_, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	exponent = strings.TrimLeft(exponent, "+-")
	n, err := strconv.Atoi("0" + exponent)
	return len(s) <= 128 && len(exponent) <= 3 && err == nil && n <= 308
}
