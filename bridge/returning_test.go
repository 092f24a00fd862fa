package bridge_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// returning is a file that gives a log back, taken apart to be forged.
type returning struct {
	first bundle.First
	lines []bundle.Line
}

func openReturn(t *testing.T, from, to *end, file string) *returning {
	t.Helper()
	data := read(t, from, "outbox/"+file)
	f, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.VerifySignatures(from.Card().Trust()), f.VerifyPayload()); err != nil {
		t.Fatal(err)
	}
	r := &returning{}
	if r.first, err = f.First(t.Context(), to.Keys.Identity); err != nil {
		t.Fatal(err)
	}
	for line, err := range f.Lines(t.Context(), to.Keys.Identity) {
		if err != nil {
			t.Fatal(err)
		}
		line.Raw = bytes.Clone(line.Raw)
		r.lines = append(r.lines, line)
	}
	return r
}

// hideEvent makes one run of the first event and the runs beside it.
func (r *returning) hideEvent() {
	after := r.lines[0].Withheld.After
	r.lines = r.lines[2:]
	w := *r.lines[0].Withheld
	w.After = after
	r.lines[0].Withheld = &w
	r.first.Events--
}

// signedBy gives the proof under a key that is not the log's own site's.
func (r *returning) signedBy(t *testing.T, e *end) string {
	t.Helper()
	first, signed, _ := strings.Cut(r.first.Proof, "\n")
	m, err := bundle.ReadManifest([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := bundle.NewSigner(m.Core.From, e.Keys.Signing)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.MakeProof([]byte(first), again)
}

// file makes it whole again, as the peer would.
func (r *returning) file(t *testing.T, from, to *end) []byte {
	t.Helper()
	var payload, out bytes.Buffer
	w, err := bundle.NewWriter(t.Context(), &payload, bundle.Plan{First: r.first, Recipients: []string{to.Card().Recipient}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, line := range r.lines {
		if line.Withheld != nil {
			err = errors.Join(err, w.Withheld(*line.Withheld))
		} else {
			err = errors.Join(err, w.Line(line.Raw))
		}
	}
	c, finished := w.Finish()
	signer, noSigner := bundle.NewSigner(from.Card().Name, from.Keys.Signing)
	if err := errors.Join(err, finished, noSigner); err != nil {
		t.Fatal(err)
	}
	m := c.Manifest()
	m.CreatedAt = "2026-11-22T09:26:02.123456Z"
	signed, err := m.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.WriteFile(&out, signed, &payload); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
