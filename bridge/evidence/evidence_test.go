package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
	"sallyport/bridge/bundle/bundletest"
	"sallyport/bridge/evidence"
)

const (
	request = "019aa1d4-11f3-7d02-8a47-6f1f5a3b9c0d"
	epoch   = "0123456789abcdef0123456789abcdef"
	vector  = "testdata/evidence-1.txt"
)

func line(pos int, stream, typ, data string) string {
	return fmt.Sprintf(`{"pos":%d,"id":"019aa1d4-11f3-7d02-8a47-6f1f5a3b%04d","stream":"%s","ver":1,"type":"%s","schema":1,"at":"2026-01-31T12:00:00.000000Z","actor":"site:field","corr":"x","cause":"","data":%s}`,
		pos, pos, stream, typ, data)
}

// log is a log whose position 3 is about the request.
type log struct {
	origin string
	lines  []string
	chains []bundle.Hash
}

func newLog(origin, stream, typ string) log {
	l := log{origin: origin, chains: []bundle.Hash{bundle.Start(epoch, origin)}}
	for pos := 1; pos <= 5; pos++ {
		text := line(pos, "site-"+origin, "site.founded", `{}`)
		if pos == 3 {
			text = line(pos, stream+request, typ, `{"reason":"é"}`)
		}
		l.lines = append(l.lines, text)
		l.chains = append(l.chains, l.chains[pos-1].Next([]byte(text)))
	}
	return l
}

// segment shows positions 3 to 5; withheld are the last of them that were.
func (l log) segment(manifest string, withheld bool) evidence.Segment {
	s := evidence.Segment{Origin: l.origin, Epoch: epoch, After: 2, Chain: l.chains[2], Through: 5, End: l.chains[5], Manifest: manifest}
	s.Items = []evidence.Item{{Line: l.lines[2]}}
	if withheld {
		s.Items = append(s.Items, evidence.Item{Withheld: 2, Chain: &l.chains[5]})
		return s
	}
	for _, text := range l.lines[3:] {
		digest := bundle.Hash(sha256.Sum256([]byte(text)))
		s.Items = append(s.Items, evidence.Item{Digest: &digest})
	}
	return s
}

// manifest is one of a bundle of the log, with what its sender has of another.
func manifest(t testing.TB, of, acked log, to string) string {
	t.Helper()
	m := bundle.Manifest{
		Core: bundle.Core{Span: bundle.Span{Format: bundle.Format, Kind: bundle.Data, From: of.origin, To: to, Epoch: epoch, Seq: 1,
			Range: bundle.Range{Through: 5}, Chain: bundle.ChainEnds{After: of.chains[0], Through: of.chains[5]}}, PlainBytes: 1},
		Head: bundle.Head{Position: 5, Seq: 1}, Payload: bundle.Payload{Bytes: 1},
		Encryption: &bundle.Encryption{Recipients: []string{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}},
		Ack: &bundle.Ack{Epoch: epoch, Incarnation: epoch, No: 1, Seq: 1, Position: 5, Chain: acked.chains[5], Missing: []int64{},
			Rejected: []bundle.Rejection{}, Understands: []string{}},
		CreatedAt: "2026-01-31T12:00:00.000000Z",
	}
	signed, err := m.Sign(bundletest.Signer(t, of.origin))
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// good is evidence that field made: its request, which core acknowledged, and
// the answer, behind which core withheld something.
func good(t testing.TB) evidence.Evidence {
	t.Helper()
	field, core := newLog("field", "request-", "request.cancelled"), newLog("core", "response-", "response.withdrawn")
	brought := manifest(t, core, field, "field")
	return evidence.Evidence{Site: "field", Request: request, CreatedAt: "2026-01-31T12:00:00.000000Z",
		Segments:  []evidence.Segment{field.segment(brought, false), core.segment(brought, true), field.segment("", false), core.segment(brought, false)},
		Crossings: []evidence.Crossing{{Origin: "field", Position: 3, Direction: "out", Peer: "core", Seq: 1, State: "acknowledged"}},
		Keys:      []evidence.Key{}}
}

func signed(t testing.TB, e evidence.Evidence, by string) []byte {
	t.Helper()
	file, err := e.Sign(bundletest.Signer(t, by))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVector: the format does not change by accident, in writing or reading.
func TestVector(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(vector)
	if err != nil {
		t.Fatal(err)
	}
	if got := signed(t, good(t), "field"); !bytes.Equal(got, want) {
		t.Errorf("written otherwise than %s:\n%s", vector, got)
	}
	r, err := evidence.Check(want, bundletest.Trust("field", "core"))
	if err != nil {
		t.Fatal(err)
	}
	var proofs []string
	for _, e := range r.Events {
		proofs = append(proofs, fmt.Sprint(e.Type, " ", e.Proof, " by ", e.By))
	}
	if got, want := strings.Join(proofs, "; "), "request.cancelled witnessed by core; response.withdrawn attested by field; request.cancelled signed by field; response.withdrawn signed by core"; got != want {
		t.Errorf("shown %s, want %s", got, want)
	}
}

// TestRefused: what is signed by the site that made it, and yet proves nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	other := newLog("core", "response-", "response.failed")
	for name, c := range map[string]struct {
		change func(*evidence.Evidence)
		by     string
		trust  []string
		want   bundle.Code
	}{
		"an answer that was not given":    {func(e *evidence.Evidence) { e.Segments[3].Items[0].Line = other.lines[2] }, "field", nil, bundle.Damaged},
		"a digest of something else":      {func(e *evidence.Evidence) { e.Segments[0].Items[1].Digest = &other.chains[1] }, "field", nil, bundle.Damaged},
		"another end than the manifest's": {func(e *evidence.Evidence) { e.Segments[3].End = other.chains[5] }, "field", nil, bundle.Damaged},
		"a peer's log without a manifest": {func(e *evidence.Evidence) { e.Segments[3].Manifest = "" }, "field", nil, bundle.Damaged},
		"another log's manifest":          {func(e *evidence.Evidence) { e.Segments[3].Origin = "hq" }, "field", nil, bundle.Damaged},
		"another epoch":                   {func(e *evidence.Evidence) { e.Segments[0].Epoch = strings.Repeat("f", 32) }, "field", nil, bundle.Damaged},
		"about another request":           {func(e *evidence.Evidence) { e.Request = strings.Replace(request, "0", "1", 1) }, "field", nil, bundle.Damaged},
		"no event": {func(e *evidence.Evidence) {
			e.Segments = e.Segments[2:3]
			e.Segments[0].Items[0] = e.Segments[0].Items[1]
		}, "field", nil, bundle.Damaged},
		"signed by another site":     {func(*evidence.Evidence) {}, "core", nil, bundle.Untrusted},
		"signed by nobody known":     {func(*evidence.Evidence) {}, "field", []string{"core"}, bundle.Untrusted},
		"a manifest by nobody known": {func(*evidence.Evidence) {}, "field", []string{"field"}, bundle.Untrusted},
	} {
		e := good(t)
		c.change(&e)
		if c.trust == nil {
			c.trust = []string{"field", "core"}
		}
		if _, err := evidence.Check(signed(t, e, c.by), bundletest.Trust(c.trust...)); bundle.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, change := range map[string]func(*evidence.Evidence){
		"a hole":     func(e *evidence.Evidence) { e.Segments[0].Through = 6 },
		"two in one": func(e *evidence.Evidence) { e.Segments[0].Items[0].Digest = &other.chains[1] },
		"no items":   func(e *evidence.Evidence) { e.Segments[0].Items, e.Segments[0].Through = nil, 2 },
		"a long run": func(e *evidence.Evidence) { e.Segments[1].Items[1].Withheld = 1<<63 - 1 },
		"a run back": func(e *evidence.Evidence) { e.Segments[1].Items[1].Withheld = -1 },
		"no request": func(e *evidence.Evidence) { e.Request = "" },
		"no segment": func(e *evidence.Evidence) { e.Segments = nil },
	} {
		e := good(t)
		change(&e)
		if _, err := e.Sign(bundletest.Signer(t, "field")); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}

// FuzzCheck: whatever is read, nothing panics, and what is taken is the vector.
func FuzzCheck(f *testing.F) {
	file, err := os.ReadFile(vector)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:len(file)/2])
	known := bundletest.Trust("field", "core")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := evidence.Check(raw, known); err == nil && !bytes.Equal(raw, file) {
			t.Errorf("taken: %q", raw)
		}
		// The same text, signed by one who may lie.
		if text, _, ok := bytes.Cut(raw, []byte("\n\n")); ok {
			if again, err := bundle.SignNote(append(text, '\n'), bundletest.Signer(t, "field")); err == nil {
				_, _ = evidence.Check(again, known)
			}
		}
	})
}
