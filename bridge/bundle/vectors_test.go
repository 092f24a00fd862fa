package bundle_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sallyport/bridge/bundle"
)

const vectorDir = "testdata/vectors"

// vectorIndex is testdata/vectors/index.json.
type vectorIndex struct {
	Trusted []string `json:"trusted"` // verifier keys of the reader's trust store
	Vectors []vector `json:"vectors"`
}

// vector is a bundle file and what a reader must say to it with the default limits.
type vector struct {
	File     string      `json:"file"` // names the one fault
	Code     bundle.Code `json:"code"` // "" for a good bundle
	Frame    int         `json:"frame,omitzero"`
	Line     int         `json:"line,omitzero"`
	Position int64       `json:"position,omitzero"`
	Says     string      `json:"says,omitempty"` // part of this package's message
	ID       string      `json:"id,omitempty"`   // of a good bundle
	Lines    int         `json:"lines,omitzero"`
	Identity string      `json:"identity,omitempty"` // to decrypt with, in base64
	raw      []byte
}

// vectors makes all of them.
func vectors(t *testing.T) (v []vector) {
	for _, part := range []func(*testing.T) []vector{
		goodVectors, badFiles, badNotes, badSigners, badManifests, badEncodings, badSealed, badFirstLines, badFrames, badTables, badLines, badRanges, badRuns,
	} {
		v = append(v, part(t)...)
	}
	return v
}

func goodVectors(t *testing.T) []vector {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	id := identity(t)
	three := recipe{items: plainItems(events(0, 3)), note: "vectors"}
	sealed, quantum := three, three
	sealed.recipients = []string{id.Recipient().String()}
	quantum.recipients = []string{hybrid.Recipient().String()}
	every := recipe{items: plainItems([][]byte{
		eventAt(1, "request.submitted", `{"a":[],"b":{},"c":[null,true,false,-0,1.50,1e308],"d":"é☂😀\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"}`),
		eventAt(2, "request.submitted", nested(64)),
	})}
	return []vector{
		{File: "ok-plain", Lines: 3, raw: three.file(t)},
		{File: "ok-one-event", Lines: 1, raw: exampleRecipe().file(t)},
		{File: "ok-withheld", Lines: 2, raw: recipe{items: []item{{run: events(0, 2)}, {line: events(2, 1)[0]}}}.file(t)},
		{File: "ok-all-withheld", Lines: 1, raw: recipe{items: []item{{run: events(0, 2)}}}.file(t)},
		{File: "ok-beacon", raw: recipe{kind: bundle.Beacon}.file(t)},
		{File: "ok-return", Lines: 3, raw: recipe{kind: bundle.Return, from: "core", to: "field", items: plainItems(events(0, 3))}.file(t)},
		{File: "ok-return-proved", Lines: 3, raw: returned(t, events(0, 3)).file(t)},
		{File: "ok-audit", Lines: 2, raw: audit().file(t)},
		{File: "ok-audit-for-itself", Lines: 2, raw: auditFor("field").file(t)},
		{File: "ok-frames", Lines: 9, raw: recipe{items: plainItems(events(0, 9)), limits: bundle.Limits{Frame: 900}}.file(t)},
		{File: "ok-every-value", Lines: 2, raw: every.file(t)},
		{File: "ok-middle-with-ack", Lines: 7, raw: middle(t).file(t)},
		{File: "ok-ack-seen", Lines: 7, raw: middleSeen(t).file(t)},
		{File: "ok-rotation", Lines: 1, raw: rotation(t).file(t)},
		{File: "ok-age", Lines: 3, raw: sealed.file(t), Identity: secret(id.String())},
		{File: "ok-age-hybrid", Lines: 3, raw: quantum.file(t), Identity: secret(hybrid.String())},
	}
}

// exampleRecipe is the bundle that docs/bundle-format.md takes apart.
func exampleRecipe() recipe {
	return recipe{items: plainItems([][]byte{eventAt(1, "request.submitted", `{"type":"airport","params":{"iata":"VIE"}}`)})}
}

// middle is a bundle from the middle of a log, with everything a manifest can
// hold but a rotation. Each of its numbers stands only once.
func middle(t testing.TB) recipe {
	lines := events(40, 8)
	return recipe{
		seq: 3, after: 40, chain: bundle.Hash{1}, limits: bundle.Limits{Frame: 900},
		items: append(append(plainItems(lines[:3]), item{run: lines[3:5]}), plainItems(lines[5:])...),
		change: func(m *bundle.Manifest) {
			m.Core.Prev = "" // what a plan would know, the vectors do not need
			m.Head = bundle.Head{Position: 60, Seq: 4}
			m.Ack = &bundle.Ack{Epoch: salt, Incarnation: epoch, No: 11, Seq: 5, Position: 90, Chain: bundle.Hash{9}, Missing: []int64{6, 8},
				Rejected:    []bundle.Rejection{{Seq: 7, Code: bundle.Upgrade}, {Seq: 9, Code: bundle.Damaged}},
				Understands: []string{"request.submitted.v1", "user.profile_changed.v2"}}
		},
	}
}

// middleSeen is [middle] with an ack that tells which manifest its sender saw.
func middleSeen(t testing.TB) recipe {
	r := middle(t)
	change := r.change
	r.change = func(m *bundle.Manifest) {
		change(m)
		m.Ack.Seen = &bundle.Seen{Incarnation: salt, No: 21}
	}
	return r
}

// rotation is signed by field's key and by the one that is to follow it.
func rotation(t testing.TB) recipe {
	t.Helper()
	next, err := bundle.NewSigner("field", keyOf("field-2"))
	if err != nil {
		t.Fatal(err)
	}
	return recipe{items: plainItems(events(0, 1)), also: []*bundle.Signer{next}, change: func(m *bundle.Manifest) { m.NextKey = verifierKey(t, "field", "field-2") }}
}

func secret(identity string) string { return base64.StdEncoding.EncodeToString([]byte(identity)) }

func verifierKey(t testing.TB, name, key string) string {
	t.Helper()
	s, err := bundle.VerifierKey(name, publicOf(key))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWriteVectors writes the files anew with -update, from fixed keys and a fixed
// source of randomness, so that only what a change of the code means changes.
func TestWriteVectors(t *testing.T) {
	if !*update {
		return
	}
	cryptotest.SetGlobalRandom(t, 1)
	index := vectorIndex{Trusted: []string{verifierKey(t, "field", "field"), verifierKey(t, "core", "core")}, Vectors: vectors(t)}
	if err := errors.Join(os.RemoveAll(vectorDir), os.MkdirAll(vectorDir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for i, v := range index.Vectors {
		if v.Code == "" {
			index.Vectors[i].ID = open(t, v.raw).Manifest().Core.ID()
		}
		if err := os.WriteFile(filepath.Join(vectorDir, v.File), v.raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(index, jsontext.WithIndent("  "))
	if err == nil {
		err = os.WriteFile(filepath.Join(vectorDir, "index.json"), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readIndex(t testing.TB) (index vectorIndex) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorDir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &index, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return index
}

// The committed files hold every later version of this package to format 1.
func TestVectors(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	good, bad, names, contents := 0, 0, map[string]bool{}, map[string]string{}
	for _, v := range readIndex(t).Vectors {
		if v.Code == "" {
			good++
		} else {
			bad++
		}
		names[v.File] = true
		raw := v.read(t)
		if twin, found := contents[string(raw)]; found && v.Identity == "" {
			t.Errorf("%s and %s are the same file", v.File, twin)
		}
		contents[string(raw)] = v.File
		t.Run(v.File, func(t *testing.T) { v.check(t, raw) })
	}
	if good < 6 || bad < 60 || len(names) != good+bad || len(files) != len(names)+1 {
		t.Errorf("%d good and %d bad vectors, %d names, %d files with the index", good, bad, len(names), len(files))
	}
	t.Logf("%d good and %d bad vectors", good, bad)
}

func (v vector) read(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectorDir, v.File))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (v vector) check(t *testing.T, raw []byte) {
	lines, err := read(raw, bundle.Limits{}, trusting("field", "core"), v.identities(t)...)
	if v.Code != "" {
		wantCode(t, err, v.Code, v.Says)
		var e *bundle.Error
		if errors.As(err, &e) && (e.Frame != v.Frame || e.Line != v.Line || e.Position != v.Position) {
			t.Errorf("at frame %d line %d position %d; want %d, %d, %d", e.Frame, e.Line, e.Position, v.Frame, v.Line, v.Position)
		}
		return
	}
	if err != nil || len(lines) != v.Lines {
		t.Fatalf("%d lines, want %d: %v", len(lines), v.Lines, err)
	}
	if got := open(t, raw).Manifest().Core.ID(); got != v.ID {
		t.Errorf("id %s, want %s", got, v.ID)
	}
}

func (v vector) identities(t *testing.T) []age.Identity {
	t.Helper()
	if v.Identity == "" {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(v.Identity)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := age.ParseHybridIdentity(string(text)); err == nil {
		return []age.Identity{id}
	}
	id, err := age.ParseX25519Identity(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return []age.Identity{id}
}
