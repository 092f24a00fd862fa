package bundle_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"sallyport/bridge/bundle"
)

func open(t testing.TB, raw []byte) *bundle.File {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// drawItems gives a range of a log with withheld runs in it.
func drawItems(t *rapid.T, after int64) (items []item, lines int) {
	pos := after
	for range rapid.IntRange(1, 30).Draw(t, "items") {
		var it item
		for range rapid.SampledFrom([]int{0, 0, 0, 1, 5}).Draw(t, "withheld") {
			pos++
			it.run = append(it.run, eventAt(pos, "audit.viewed", `{}`))
		}
		if it.run == nil {
			pos++
			text := rapid.StringMatching(`([a-zé☂😀]|\\n){0,200}`).Draw(t, "text")
			it.line = eventAt(pos, "request.submitted", fmt.Sprintf(`{"text":"%s","n":[%d,null]}`, text, pos))
		}
		items = append(items, it)
	}
	return items, len(items)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	id := identity(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := recipe{after: rapid.Int64Range(0, 1<<40).Draw(rt, "after"), seq: rapid.Int64Range(1, 9_999_999_999).Draw(rt, "seq")}
		r.chain = bundle.Hash{1}
		r.limits.Frame = rapid.SampledFrom([]int{1, 700, 4 << 20}).Draw(rt, "frame")
		r.note = rapid.StringN(0, 100, 1000).Filter(func(s string) bool { return !bytes.ContainsRune([]byte(s), 0) }).Draw(rt, "note")
		r.items, _ = drawItems(rt, r.after)
		r.recipients = rapid.SampledFrom([][]string{nil, {id.Recipient().String()}, {hybrid.Recipient().String()}}).Draw(rt, "recipients")
		lines, err := read(r.file(t), r.limits, trusting("field"), id, hybrid)
		if err != nil {
			rt.Fatal(err)
		}
		plan, runs := r.plan()
		if len(lines) != len(r.items) {
			rt.Fatalf("%d lines came back of %d", len(lines), len(r.items))
		}
		for i, l := range lines {
			want := r.items[i].line
			if l.Withheld != nil {
				want = bundle.AppendWithheld(nil, runs[i])
			}
			if !bytes.Equal(l.Raw, want) || l.Chain != runs[i].Chain {
				rt.Fatalf("line %d: got %s, want %s", i, l.Raw, want)
			}
		}
		if got := lines[len(lines)-1].Chain; got != plan.First.Span.Chain.Through {
			rt.Fatal("chain does not end where it should")
		}
	})
}

// The same range makes the same bundle, whoever may read it.
func TestSameInputSameBundle(t *testing.T) {
	t.Parallel()
	r := recipe{items: plainItems(events(0, 50)), limits: bundle.Limits{Frame: 2000}}
	one, two := r.file(t), r.file(t)
	if !bytes.Equal(one, two) {
		t.Error("two makings of a plain bundle differ")
	}
	r.recipients = []string{identity(t).Recipient().String()}
	sealed := r.file(t)
	if bytes.Equal(one, sealed) {
		t.Error("an encrypted bundle is a plain one")
	}
	if a, b := open(t, one).Manifest().Core.ID(), open(t, sealed).Manifest().Core.ID(); a != b || len(a) != 64 {
		t.Errorf("ids %q and %q", a, b)
	}
	r.note = "another"
	if a, b := open(t, one).Manifest().Core.ID(), open(t, r.file(t)).Manifest().Core.ID(); a == b {
		t.Error("another first line, the same id")
	}
}

func TestBeaconHasNoLines(t *testing.T) {
	t.Parallel()
	for _, seq := range []int64{0, 7} {
		r := recipe{kind: bundle.Beacon, seq: seq, after: seq * 3, note: "nothing new"}
		raw := r.file(t)
		lines, err := read(raw, bundle.Limits{}, trusting("field"))
		if err != nil || len(lines) != 0 {
			t.Errorf("%d lines, %v", len(lines), err)
		}
		f := open(t, raw)
		if err := f.VerifySignatures(trusting("field")); err != nil {
			t.Fatal(err)
		}
		if err := f.VerifyPayload(); err != nil {
			t.Fatal(err)
		}
		first, err := f.First(context.Background())
		if err != nil || first.Note != "nothing new" || first.Span != f.Manifest().Core.Span {
			t.Errorf("first line %+v, %v", first, err)
		}
	}
}

func TestReturnCarriesTheReceiversLog(t *testing.T) {
	t.Parallel()
	r := recipe{kind: bundle.Return, from: "core", to: "field", items: plainItems(events(0, 3))}
	if _, err := read(r.file(t), bundle.Limits{}, trusting("core")); err != nil {
		t.Fatal(err)
	}
}

// A bundle stays readable for ever with public tools.
func TestPublicToolsReadIt(t *testing.T) {
	t.Parallel()
	lines := events(0, 100)
	raw := recipe{items: plainItems(lines), limits: bundle.Limits{Frame: 4000}}.file(t)
	d, err := zstd.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(d); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(plain.Bytes(), []byte("\n"))
	if want := append(bytes.Join(lines, []byte("\n")), '\n'); !bytes.Equal(rest, want) {
		t.Error("a zstd reader that skips the manifest gives other lines")
	}
	zstdcat, err := exec.LookPath("zstd")
	if err != nil {
		t.Log("no zstd program here: checked with the library alone")
		return
	}
	cmd := exec.Command(zstdcat, "-dc", "-")
	cmd.Stdin = bytes.NewReader(raw)
	if out, err := cmd.Output(); err != nil || !bytes.Equal(out, plain.Bytes()) {
		t.Errorf("zstd -dc: %d bytes, %v", len(out), err)
	}
}
