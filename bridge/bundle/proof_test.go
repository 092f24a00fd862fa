package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// returned is what gives lines back to field, with the proof that it sent them.
func returned(t testing.TB, lines [][]byte) recipe {
	t.Helper()
	return recipe{kind: bundle.Return, from: "core", to: "field", items: plainItems(lines), proof: proofOf(t, recipe{items: plainItems(lines)})}
}

// proofOf joins first line and manifest of a bundle that was sent.
func proofOf(t testing.TB, sent recipe) string {
	t.Helper()
	f := open(t, sent.file(t))
	if err := errors.Join(f.VerifySignatures(trusting("field", "core")), f.VerifyPayload()); err != nil {
		t.Fatal(err)
	}
	first, err := f.First(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	line, err := first.Line()
	if err != nil {
		t.Fatal(err)
	}
	return bundle.MakeProof(line, f.Signed())
}

func TestProved(t *testing.T) {
	t.Parallel()
	lines := events(0, 3)
	forged := append([][]byte{bytes.Replace(lines[0], []byte(`"ver":1`), []byte(`"ver":2`), 1)}, lines[1:]...)
	middle := []item{{line: lines[0]}, {run: lines[1:2:2]}, {line: lines[2]}}
	for name, c := range map[string]struct {
		change func(*recipe)
		says   string
	}{
		"as it was sent":           {func(*recipe) {}, ""},
		"without a proof":          {func(r *recipe) { r.proof = "" }, "no manifest"},
		"without a manifest":       {func(r *recipe) { r.proof, _, _ = strings.Cut(r.proof, "\n") }, "no manifest"},
		"a manifest changed":       {func(r *recipe) { r.proof = strings.Replace(r.proof, `"seq": 1`, `"seq": 2`, 1) }, "own"},
		"a first line changed":     {func(r *recipe) { r.proof = strings.Replace(r.proof, salt[:8], "ffffffff", 1) }, "not those"},
		"a first line of another":  {func(r *recipe) { r.proof = strings.Replace(r.proof, `"seq":1`, `"seq":2`, 1) }, "first line"},
		"signed by who returns it": {func(r *recipe) { r.proof = proofOf(t, recipe{from: "core", to: "field", items: r.items}) }, "own"},
		"other lines":              {func(r *recipe) { r.items = plainItems(forged) }, "another epoch, range or chain"},
		"an event made a run":      {func(r *recipe) { r.items = middle }, "not those"},
		"another range":            {func(r *recipe) { r.items = r.items[:2] }, "another epoch, range or chain"},
		"a return that proves a return": {func(r *recipe) {
			r.proof = proofOf(t, recipe{kind: bundle.Return, from: "field", to: "core", items: r.items})
		}, "no return of a bundle of data"},
	} {
		r := returned(t, lines)
		c.change(&r)
		f := open(t, r.file(t))
		if _, err := f.Proved(context.Background(), trusting("field")); err == nil {
			t.Errorf("%s: believed before it was verified", name)
		}
		if err := errors.Join(f.VerifySignatures(trusting("core")), f.VerifyPayload()); err != nil {
			t.Fatal(err)
		}
		m, err := f.Proved(context.Background(), trusting("field"))
		switch {
		case c.says == "" && (err != nil || m.Core.From != "field" || m.Head.Position != 3):
			t.Errorf("%s: %+v, %v", name, m, err)
		case c.says != "":
			wantCode(t, err, bundle.Untrusted, c.says)
		}
	}
}
