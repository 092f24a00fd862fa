package bundle_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge/bundle"
)

// vector is a bundle file under testdata/vectors and what a reader must say to it,
// with the keys of field and core trusted.
type vector struct {
	File     string      `json:"file"`
	Code     bundle.Code `json:"code"`           // "" for a good bundle
	Says     string      `json:"says,omitempty"` // part of the message
	ID       string      `json:"id,omitempty"`   // of a good bundle
	Lines    int         `json:"lines,omitempty"`
	Identity string      `json:"identity,omitempty"` // to decrypt with, in base64
	raw      []byte
}

// vectors makes all of them.
func vectors(t *testing.T) []vector {
	id := identity(t)
	good := recipe{items: plainItems(events(0, 3)), note: "vectors"}
	withheld := recipe{items: []item{{run: events(0, 2)}, {line: events(2, 1)[0]}}}
	sealed := good
	sealed.recipients = []string{id.Recipient().String()}
	v := []vector{
		{File: "ok-plain", Lines: 3, raw: good.file(t)},
		{File: "ok-withheld", Lines: 2, raw: withheld.file(t)},
		{File: "ok-beacon", raw: recipe{kind: bundle.Beacon}.file(t)},
		{File: "ok-return", Lines: 3, raw: recipe{kind: bundle.Return, from: "core", to: "field", items: plainItems(events(0, 3))}.file(t)},
		{File: "ok-frames", Lines: 9, raw: recipe{items: plainItems(events(0, 9)), limits: bundle.Limits{Frame: 900}}.file(t)},
		{File: "ok-age", Lines: 3, raw: sealed.file(t), Identity: base64.StdEncoding.EncodeToString([]byte(id.String()))},
	}
	v = append(v, badFiles(t, good.file(t))...)
	v = append(v, badManifests(t, good)...)
	v = append(v, badFrames(t)...)
	return append(v, badLines(t)...)
}

func badFiles(t *testing.T, good []byte) []vector {
	signed, payload := cut(good)
	flip := func(at int) []byte {
		raw := bytes.Clone(good)
		raw[at] ^= 1
		return raw
	}
	two := recipe{items: plainItems(events(0, 1)), signers: []string{"field", "core"}}.file(t)
	twoSigned, twoPayload := cut(two)
	stripped := twoSigned[:bytes.LastIndex(twoSigned, []byte("— "))]
	textOnly, _, _ := bytes.Cut(signed, []byte("\n\n"))
	slack := bytes.TrimSuffix(signed, []byte("\n")) // 68 bytes end in one '=': two slack bits
	last := bytes.LastIndexByte(slack, '=') - 1
	slack = append(bytes.Clone(slack), '\n')
	slack[last]++
	return []vector{
		{File: "empty", Code: bundle.Incomplete, raw: []byte{}},
		{File: "cut-manifest", Code: bundle.Incomplete, raw: good[:100]},
		{File: "cut-payload", Code: bundle.Incomplete, Says: "20 bytes early", raw: good[:len(good)-20]},
		{File: "extra-byte", Code: bundle.Damaged, Says: "after its end", raw: append(bytes.Clone(good), 0)},
		{File: "flip-payload", Code: bundle.Damaged, Says: "frame 1", raw: flip(len(good) - 40)},
		{File: "flip-magic", Code: bundle.Damaged, raw: flip(0)},
		{File: "flip-head", Code: bundle.Untrusted, raw: bytes.Replace(good, []byte(`"position": 3`), []byte(`"position": 9`), 1)},
		{File: "no-signature", Code: bundle.Damaged, raw: join(t, append(bytes.Clone(textOnly), '\n'), payload)},
		{File: "stripped-signature", Code: bundle.Untrusted, Says: "manifest lists", raw: join(t, stripped, twoPayload)},
		{File: "slack-bits", Code: bundle.Damaged, raw: join(t, slack, payload)},
		{File: "carriage-return", Code: bundle.Damaged, raw: join(t, append(bytes.Clone(signed[:len(signed)-1]), '\r', '\n'), payload)},
		{File: "huge-manifest", Code: bundle.Damaged, Says: "length of the manifest", raw: append([]byte{0x5b, 0x2a, 0x4d, 0x18, 1, 0, 0x40, 0}, payload...)},
	}
}

func badManifests(t *testing.T, good recipe) []vector {
	raw := good.file(t)
	c, _ := good.content(t)
	id := identity(t)
	theirs := recipe{from: "core", to: "field", items: plainItems(events(0, 3)), recipients: []string{id.Recipient().String()}}
	_, ciphertext := theirs.content(t)
	mine := recipe{items: plainItems(events(0, 3)), recipients: theirs.recipients}
	own, _ := mine.content(t)
	stolen := mine
	stolen.change = func(m *bundle.Manifest) {
		m.Payload.Bytes, m.Payload.SHA256 = int64(len(ciphertext)), sum(ciphertext)
	}
	other := good
	other.signers = []string{"core"}
	stranger := good
	stranger.signers = []string{"field", "stranger"}
	_ = c
	return []vector{
		{File: "another-site-signs", Code: bundle.Untrusted, Says: "no trusted key of the sender", raw: other.file(t)},
		{File: "stranger-signs", Code: bundle.Untrusted, Says: "not trusted here", raw: stranger.file(t)},
		{File: "unknown-key", Code: bundle.Damaged, raw: resign(t, raw, `"created_at"`, `"colour": 1,`+"\n"+`  "created_at"`, "field")},
		{File: "double-key", Code: bundle.Damaged, raw: resign(t, raw, `"head": {`, `"head": {`+"\n"+`    "position": 1,`, "field")},
		{File: "other-indent", Code: bundle.Damaged, Says: "one encoding", raw: resign(t, raw, `  "head": {`, `   "head": {`, "field")},
		{File: "upper-case-hash", Code: bundle.Damaged, raw: resign(t, raw, `"sha256": "`, `"sha256": "A`, "field")},
		{File: "newer-format", Code: bundle.Upgrade, raw: resign(t, raw, `bundle/1"`, `bundle/2"`, "field")},
		{File: "newer-format-unsigned", Code: bundle.Untrusted, raw: resign(t, raw, `bundle/1"`, `bundle/2"`, "stranger")},
		{File: "wrong-start", Code: bundle.Damaged, Says: "start of this log", raw: resign(t, raw, `"after": "`+bundle.Start(epoch, "field").String(),
			`"after": "`+bundle.Start(epoch, "core").String(), "field")},
		{File: "resigned-ciphertext", Code: bundle.Untrusted, Says: "does not belong", Identity: base64.StdEncoding.EncodeToString([]byte(id.String())),
			raw: stolen.seal(t, own, ciphertext)},
		{File: "no-identity", Code: bundle.Refused, Says: "no identity", raw: mine.file(t)},
	}
}

func badFrames(t *testing.T) []vector {
	lines := []string{text(1, `{"a":1}`), text(2, `{"a":2}`)}
	with := func(frames func(plain []byte) [][]byte) []byte {
		f := forge(lines...)
		f.frames = frames
		return f.file(t)
	}
	other := forge(lines...)
	other.first.Span.Seq = 2
	spliced := forge(lines...)
	spliced.frames = func([]byte) [][]byte { _, p := cut(other.file(t)); return [][]byte{p} }
	plainLie := forge(lines...)
	plainLie.change = func(m *bundle.Manifest) { m.Core.PlainSHA256[0] ^= 1 }
	frameHash, frameFirst := forge(lines...), forge(lines...)
	frameHash.change = func(m *bundle.Manifest) { m.Frames[0].SHA256[0] ^= 1 }
	frameFirst.change = func(m *bundle.Manifest) { m.Frames[0].First = 2 }
	bomb := forge(lines...)
	bomb.frames = func([]byte) [][]byte { return [][]byte{zframe(make([]byte, 1<<20))} }
	return []vector{
		{File: "skippable-inside", Code: bundle.Damaged, Says: "frame 1: frame cannot be read: skippable", raw: with(func(p []byte) [][]byte {
			return [][]byte{{0x5b, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, zframe(p)}
		})},
		{File: "empty-frame", Code: bundle.Damaged, Says: "frame 1: frame cannot be read: skippable or empty", raw: with(func(p []byte) [][]byte {
			return [][]byte{zframe(nil, zstd.WithZeroFrames(true)), zframe(p)}
		})},
		{File: "two-frames-listed-as-one", Code: bundle.Damaged, Says: "not the one that the manifest lists", raw: with(func(p []byte) [][]byte {
			n := bytes.IndexByte(p, '\n') + 1
			return [][]byte{zframe(p[:n]), zframe(p[n:])}
		})},
		{File: "wide-window", Code: bundle.Refused, Says: "window", raw: with(func(p []byte) [][]byte {
			return [][]byte{rawFrame(p, 14<<3)} // 16 MiB
		})},
		{File: "no-line-end", Code: bundle.Damaged, Says: "end with a line", raw: with(func(p []byte) [][]byte {
			return [][]byte{zframe(append(bytes.Clone(p[:len(p)-1]), ' '))}
		})},
		{File: "not-zstd", Code: bundle.Damaged, Says: "frame 1", raw: with(func([]byte) [][]byte { return [][]byte{[]byte("plain text")} })},
		{File: "bomb", Code: bundle.Refused, Says: "more decompressed bytes", raw: bomb.file(t)},
		{File: "frame-hash", Code: bundle.Damaged, Says: "not the one that the manifest lists", raw: frameHash.file(t)},
		{File: "frame-first", Code: bundle.Damaged, Says: "other positions", raw: frameFirst.file(t)},
		{File: "spliced-frame", Code: bundle.Untrusted, Says: "does not belong", raw: spliced.file(t)},
		{File: "plain-hash", Code: bundle.Damaged, Says: "plain_sha256", raw: plainLie.file(t)},
	}
}

func badLines(t *testing.T) []vector {
	one := text(1, `{"a":1}`)
	edit := func(old, new string) []byte {
		return forge(one, strings.Replace(text(2, `{"a":2}`), old, new, 1)).file(t)
	}
	chain := forge(one)
	chain.first.Span.Chain.Through[5] ^= 1
	short := forge(one, text(2, `{}`))
	short.first.Span.Range.Through = 3
	count := forge(one)
	count.first.Events = 2
	count.change = func(m *bundle.Manifest) { m.Frames[0].Events = 1 }
	place := "frame 1 line 3 position 2"
	return []vector{
		{File: "gap", Code: bundle.Refused, Says: "does not follow", raw: forge(one, text(3, `{}`), text(3, `{}`)).file(t)},
		{File: "again", Code: bundle.Refused, Says: place, raw: edit(`{"pos":2`, `{"pos":1`)},
		{File: "beyond", Code: bundle.Refused, Says: place, raw: edit(`{"pos":2`, `{"pos":3`)},
		{File: "run-overlap", Code: bundle.Refused, Says: place, raw: forge(one, string(bundle.AppendWithheld(nil, bundle.Withheld{Through: 2}))).file(t)},
		{File: "double-name", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, `{"a":2,"\u0061":3}`)},
		{File: "white-space", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, `{"a": 2}`)},
		{File: "nul", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, `{"a":"\u0000"}`)},
		{File: "surrogate", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, `{"a":"\udc00\ud800"}`)},
		{File: "not-utf-8", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, "{\"a\":\"\xff\"}")},
		{File: "envelope-order", Code: bundle.Refused, Says: place, raw: edit(`"actor":"site:field","corr":"`, `"corr":"site:field","actor":"`)},
		{File: "envelope-case", Code: bundle.Refused, Says: place, raw: edit(`"pos"`, `"Pos"`)},
		{File: "deep", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, nested(65))},
		{File: "huge-exponent", Code: bundle.Refused, Says: place, raw: edit(`{"a":2}`, `{"a":1e999999999}`)},
		{File: "empty-line", Code: bundle.Refused, Says: place, raw: edit(text(2, `{"a":2}`), "")},
		{File: "long-line", Code: bundle.Refused, Says: place, raw: forge(one, long(2, "request.submitted", 1<<20+1)).file(t)},
		{File: "chain", Code: bundle.Damaged, Says: "chain", raw: chain.file(t)},
		{File: "short-range", Code: bundle.Damaged, Says: "range", raw: short.file(t)},
		{File: "event-count", Code: bundle.Damaged, Says: "announced", raw: count.file(t)},
	}
}

const vectorDir = "testdata/vectors"

func writeVectors(t *testing.T) {
	list := vectors(t)
	if err := errors.Join(os.RemoveAll(vectorDir), os.MkdirAll(vectorDir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for i, v := range list {
		if v.Code == "" {
			list[i].ID = open(t, v.raw).Manifest().Core.ID()
		}
		if err := os.WriteFile(filepath.Join(vectorDir, v.File), v.raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index, err := json.Marshal(list, jsontext.WithIndent("  "))
	if err == nil {
		err = os.WriteFile(filepath.Join(vectorDir, "index.json"), append(index, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The committed files hold every later version of this package to format 1.
func TestVectors(t *testing.T) {
	t.Parallel()
	if *update {
		writeVectors(t)
	}
	index, err := os.ReadFile(filepath.Join(vectorDir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(index, &list); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for _, v := range list {
		if v.Code == "" {
			good++
		} else {
			bad++
		}
		t.Run(v.File, func(t *testing.T) { v.check(t) })
	}
	if good < 5 || bad < 40 {
		t.Errorf("only %d good and %d bad vectors", good, bad)
	}
}

func (v vector) check(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(vectorDir, v.File))
	if err != nil {
		t.Fatal(err)
	}
	var ids []age.Identity
	if v.Identity != "" {
		secret, _ := base64.StdEncoding.DecodeString(v.Identity)
		id, err := age.ParseX25519Identity(string(secret))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	lines, err := read(raw, bundle.Limits{}, trusting("field", "core"), ids...)
	if v.Code != "" {
		wantCode(t, err, v.Code, v.Says)
		return
	}
	if err != nil || len(lines) != v.Lines {
		t.Fatalf("%d lines, want %d: %v", len(lines), v.Lines, err)
	}
	if got := open(t, raw).Manifest().Core.ID(); got != v.ID {
		t.Errorf("id %s, want %s", got, v.ID)
	}
}

// A bundle that claims to be small must not get memory for being large.
func TestBombsStayBounded(t *testing.T) {
	var before, after runtime.MemStats
	zeros := forge(text(1, `{}`))
	zeros.frames = func([]byte) [][]byte { return [][]byte{zframe(make([]byte, 200<<20))} }
	raw := zeros.file(t)
	runtime.ReadMemStats(&before)
	_, err := read(raw, bundle.Limits{}, trusting("field"))
	runtime.ReadMemStats(&after)
	if bundle.CodeOf(err) != bundle.Refused {
		t.Errorf("200 MiB of zeros: %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("a refused bomb took %d bytes", used)
	}
}
