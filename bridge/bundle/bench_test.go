package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge/bundle"
)

// bulk gives about n bytes of events of some 500 bytes.
func bulk(n int) [][]byte {
	var out [][]byte
	for size, pos := 0, int64(1); size < n; pos++ {
		l := eventAt(pos, "response.recorded", fmt.Sprintf(
			`{"status":"answered","result":[{"iata":"A%02d","name":"Field %d","city":"Ort am See – №%d","lat":%d.25,"lon":-%d.5}],"result_count":1,"took_ms":%d}`,
			pos%90, pos*7919%100003, pos%977, pos%90, pos%180, pos%300))
		out = append(out, l)
		size += len(l) + 1
	}
	return out
}

func total(lines [][]byte) (n int64) {
	for _, l := range lines {
		n += int64(len(l)) + 1
	}
	return n
}

func BenchmarkCheckLine(b *testing.B) {
	lines := bulk(1 << 20)
	b.SetBytes(total(lines))
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range lines {
			if err := bundle.CheckLine(l, bundle.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkParseLine(b *testing.B) {
	lines := bulk(1 << 20)
	b.SetBytes(total(lines))
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range lines {
			if _, err := bundle.ParseLine(l, bundle.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	lines := bulk(32 << 20)
	plan, _ := recipe{items: plainItems(lines)}.plan()
	b.SetBytes(total(lines))
	b.ReportAllocs()
	for b.Loop() {
		w, err := bundle.NewWriter(context.Background(), io.Discard, plan)
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range lines {
			if err := w.Line(l); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	lines := bulk(32 << 20)
	raw := recipe{items: plainItems(lines)}.file(b)
	trust := trusting("field")
	b.SetBytes(total(lines))
	b.ReportAllocs()
	for b.Loop() {
		f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if err := f.VerifySignatures(trust); err != nil {
			b.Fatal(err)
		}
		if err := f.VerifyPayload(); err != nil {
			b.Fatal(err)
		}
		for _, err := range f.Lines(context.Background()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkEncodeLimit is what BenchmarkEncode is measured against: the same lines
// through the zstd encoder alone, with the SHA-256 of both sides.
func BenchmarkEncodeLimit(b *testing.B) {
	lines := append(bytes.Join(bulk(32<<20), []byte("\n")), '\n')
	b.SetBytes(int64(len(lines)))
	for b.Loop() {
		plain, packed := sha256.New(), sha256.New()
		e, err := zstd.NewWriter(packed)
		if err != nil {
			b.Fatal(err)
		}
		for l := range bytes.Lines(lines) {
			plain.Write(l)
			if _, err := e.Write(l); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyLimit is what BenchmarkVerify is measured against: decompression,
// SHA-256 of both sides and a strict scan by a general parser.
func BenchmarkVerifyLimit(b *testing.B) {
	lines := bulk(32 << 20)
	_, payload := cut(recipe{items: plainItems(lines)}.file(b))
	d, err := zstd.NewReader(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	b.SetBytes(total(lines))
	for b.Loop() {
		sum(payload)
		plain, err := d.DecodeAll(payload, nil)
		if err != nil {
			b.Fatal(err)
		}
		sum(plain)
		for l := range bytes.Lines(plain) {
			if !jsontext.Value(l).IsValid() {
				b.Fatal("not JSON")
			}
		}
	}
}
