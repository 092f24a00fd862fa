package bundle_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"sallyport/bridge/bundle"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epoch  = "0123456789abcdef0123456789abcdef"
	salt   = "00112233445566778899aabbccddeeff"
	madeAt = "2026-11-22T09:26:02.123456Z"
)

// keyOf gives a site's key, the same in every run.
func keyOf(site string) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, site)
	return ed25519.NewKeyFromSeed(seed)
}

func publicOf(site string) ed25519.PublicKey { return keyOf(site).Public().(ed25519.PublicKey) }

func signerOf(t testing.TB, site string) *bundle.Signer {
	t.Helper()
	s, err := bundle.NewSigner(site, keyOf(site))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trusting is a trust store that holds the keys of these sites.
func trusting(sites ...string) bundle.Trust {
	known := map[string]ed25519.PublicKey{}
	for _, s := range sites {
		known[bundle.KeyID(s, publicOf(s))] = publicOf(s)
	}
	return func(id string) (ed25519.PublicKey, bool) { k, ok := known[id]; return k, ok }
}

// eventAt gives an event at pos that differs from all others.
func eventAt(pos int64, typ, data string) []byte {
	id := fmt.Sprintf("019aa000-0000-7000-8000-%012x", pos)
	return bundle.AppendEvent(nil, bundle.Event{
		Pos: pos, ID: id, Stream: "request-" + id, Ver: 1, Type: typ, Schema: 1,
		At: time.Date(2026, 11, 22, 9, 26, 2, int(pos%1000)*1000, time.UTC), Actor: "site:field", Corr: id, Data: []byte(data),
	})
}

// events gives n events from position after+1 on.
func events(after int64, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = eventAt(after+1+int64(i), "request.submitted", fmt.Sprintf(`{"type":"airport","params":{"iata":"A%02d"}}`, i))
	}
	return out
}

// item is a line to be written: an event, or a run of withheld ones.
type item struct {
	line []byte
	run  []([]byte)
}

func plainItems(lines [][]byte) (out []item) {
	for _, l := range lines {
		out = append(out, item{line: l})
	}
	return out
}

// recipe says what bundle to make; its zero value is a small plain one.
type recipe struct {
	kind       bundle.Kind
	from, to   string
	seq, after int64
	chain      bundle.Hash // at after; zero means the start of the log
	items      []item
	recipients []string
	limits     bundle.Limits
	note       string
	proof      string
	change     func(*bundle.Manifest) // before signing
	signers    []string
	also       []*bundle.Signer
}

func (r recipe) plan() (bundle.Plan, []bundle.Withheld) {
	if r.kind == "" {
		r.kind = bundle.Data
	}
	if r.from == "" {
		r.from, r.to = "field", "core"
	}
	if r.seq == 0 && r.kind != bundle.Beacon && r.kind != bundle.Audit {
		r.seq = 1
	}
	chain := r.chain
	if r.after == 0 {
		chain = bundle.Start(epoch, bundle.Span{Kind: r.kind, From: r.from, To: r.to}.Origin())
	}
	span := bundle.Span{Kind: r.kind, From: r.from, To: r.to, Epoch: epoch, Seq: r.seq,
		Range: bundle.Range{After: r.after, Through: r.after}, Chain: bundle.ChainEnds{After: chain, Through: chain}}
	n := 0
	var runs []bundle.Withheld
	for _, it := range r.items {
		run := bundle.Withheld{After: span.Range.Through}
		for _, l := range append(it.run, it.line) {
			if l != nil {
				span.Range.Through++
				span.Chain.Through = span.Chain.Through.Next(l)
			}
		}
		if it.line != nil {
			n++
		}
		run.Through, run.Chain = span.Range.Through, span.Chain.Through
		runs = append(runs, run)
	}
	return bundle.Plan{First: bundle.First{Span: span, Salt: salt, Events: n, Operator: "cli:ann", Note: r.note, Proof: r.proof},
		Recipients: r.recipients, Limits: r.limits}, runs
}

// content makes the payload.
func (r recipe) content(t testing.TB) (bundle.Content, []byte) {
	t.Helper()
	var payload bytes.Buffer
	plan, runs := r.plan()
	w, err := bundle.NewWriter(context.Background(), &payload, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, it := range r.items {
		if it.line != nil {
			err = w.Line(it.line)
		} else {
			err = w.Withheld(runs[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return c, payload.Bytes()
}

// file makes the whole bundle.
func (r recipe) file(t testing.TB) []byte {
	t.Helper()
	c, payload := r.content(t)
	return r.seal(t, c, payload)
}

func (r recipe) seal(t testing.TB, c bundle.Content, payload []byte) []byte {
	t.Helper()
	m := c.Manifest()
	m.Head = bundle.Head{Position: c.Core.Range.Through, Seq: c.Core.Seq}
	m.CreatedAt = madeAt
	if r.change != nil {
		r.change(&m)
	}
	if r.signers == nil {
		r.signers = []string{m.Core.From}
	}
	var signers []*bundle.Signer
	for _, s := range r.signers {
		signers = append(signers, signerOf(t, s))
	}
	signed, err := m.Sign(append(signers, r.also...)...)
	if err != nil {
		t.Fatal(err)
	}
	return join(t, signed, payload)
}

func join(t testing.TB, signed, payload []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := bundle.WriteFile(&out, signed, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// cut takes a bundle file apart.
func cut(raw []byte) (signed, payload []byte) {
	n := 8 + int(binary.LittleEndian.Uint32(raw[4:]))
	return raw[8:n], raw[n:]
}

// read takes every step and keeps the lines.
func read(raw []byte, limits bundle.Limits, trust bundle.Trust, ids ...age.Identity) ([]bundle.Line, error) {
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), limits)
	if err != nil {
		return nil, err
	}
	if err := f.VerifySignatures(trust); err != nil {
		return nil, err
	}
	if err := f.VerifyPayload(); err != nil {
		return nil, err
	}
	var out []bundle.Line
	for line, err := range f.Lines(context.Background(), ids...) {
		if err != nil {
			return out, err
		}
		out = append(out, line)
	}
	return out, nil
}

func wantCode(t testing.TB, err error, want bundle.Code, part string) {
	t.Helper()
	if got := bundle.CodeOf(err); got != want || !strings.Contains(fmt.Sprint(err), part) {
		t.Errorf("got %q (%v), want %q with %q", got, err, want, part)
	}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}
