package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge/bundle"
)

// forgery is a bundle that a sender with a trusted key makes without our writer:
// everything is hashed and signed as it should be, but the content is its own.
type forgery struct {
	first  bundle.First
	head   func(line string) string    // changes the first line; nil: as it is
	text   string                      // after the first line
	frames func(plain []byte) [][]byte // nil: one honest frame
	change func(*bundle.Manifest)
	signer string
}

// forge gives a forgery whose lines are these, with positions and chain as they
// would be if every line were an event.
func forge(lines ...string) forgery {
	span := bundle.Span{Format: bundle.Format, Kind: bundle.Data, From: "field", To: "core", Epoch: epoch, Seq: 1}
	span.Chain.After = bundle.Start(epoch, "field")
	span.Chain.Through = span.Chain.After
	span.Range.Through = int64(len(lines))
	var text strings.Builder
	for _, l := range lines {
		span.Chain.Through = span.Chain.Through.Next([]byte(l))
		text.WriteString(l + "\n")
	}
	return forgery{first: bundle.First{Span: span, Salt: salt, Events: len(lines)}, text: text.String(), signer: "field"}
}

// plain is the payload as it should be, decompressed.
func (f forgery) plain(t testing.TB) []byte {
	t.Helper()
	first, err := json.Marshal(f.first)
	if err != nil {
		t.Fatal(err)
	}
	if f.head != nil {
		first = []byte(f.head(string(first)))
	}
	return append(append(first, '\n'), f.text...)
}

func (f forgery) file(t testing.TB) []byte {
	t.Helper()
	plain := f.plain(t)
	frames := [][]byte{}
	if f.frames != nil {
		frames = f.frames(plain)
	} else {
		frames = append(frames, zframe(plain))
	}
	payload := bytes.Join(frames, nil)
	m := bundle.Manifest{Core: bundle.Core{Span: f.first.Span, PlainBytes: int64(len(plain)), PlainSHA256: sha256.Sum256(plain)}, CreatedAt: madeAt}
	m.Payload = bundle.Payload{Bytes: int64(len(payload)), SHA256: sha256.Sum256(payload)}
	// One entry: how the bytes are cut into zstd frames is the forger's affair.
	m.Frames = []bundle.Frame{{Bytes: m.Payload.Bytes, PlainBytes: m.Core.PlainBytes, First: f.first.Span.Range.After + 1,
		Events: f.first.Events, SHA256: m.Payload.SHA256}}
	if f.change != nil {
		f.change(&m)
	}
	signed, err := m.Sign(signerOf(t, f.signer))
	if err != nil {
		t.Fatal(err)
	}
	return join(t, signed, payload)
}

// zframe compresses with the size in the header.
func zframe(plain []byte, opts ...zstd.EOption) []byte {
	e, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithSingleSegment(true)}, opts...)...)
	if err != nil {
		panic(err)
	}
	return e.EncodeAll(plain, nil)
}

// rawFrame stores plain, which must be short, in a frame with this window descriptor.
func rawFrame(plain []byte, window byte) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x80, window} // size of the content in four bytes
	out = binary.LittleEndian.AppendUint32(out, uint32(len(plain)))
	block := len(plain)<<3 | 1 // raw, the last
	return append(append(out, byte(block), byte(block>>8), byte(block>>16)), plain...)
}

// resign signs a manifest's text as it is after a change, whatever the rules say.
func resign(t testing.TB, raw []byte, old, new string, signers ...string) []byte {
	t.Helper()
	signed, payload := cut(raw)
	text, _, _ := strings.Cut(string(signed), "\n\n")
	text += "\n"
	changed := strings.Replace(text, old, new, 1)
	if changed == text && old != new {
		t.Fatalf("nothing to change: no %q in the manifest", old)
	}
	var with []note.Signer
	for _, s := range signers {
		with = append(with, signerOf(t, s))
	}
	again, err := note.Sign(&note.Note{Text: changed}, with...)
	if err != nil {
		t.Fatal(err)
	}
	return join(t, again, payload)
}

func text(pos int64, data string) string { return string(eventAt(pos, "request.submitted", data)) }

// long gives an event line of exactly n bytes.
func long(pos int64, typ string, n int) string {
	short := len(eventAt(pos, typ, `{"x":""}`))
	return string(eventAt(pos, typ, fmt.Sprintf(`{"x":"%s"}`, strings.Repeat("a", n-short))))
}

// nested gives data that makes a line nest n deep: the line is 1, data 2.
func nested(n int) string {
	return `{"x":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}`
}

func sum(b []byte) bundle.Hash { return sha256.Sum256(b) }
