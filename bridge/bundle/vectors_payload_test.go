package bundle_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sallyport/bridge/bundle"
)

// badFirstLines are signed payloads whose first line is not that of their
// manifest, in one field each.
func badFirstLines(t *testing.T) []vector {
	vectors := []vector{}
	add := func(name string, f forgery) {
		vectors = append(vectors, vector{File: "first-" + name, Code: bundle.Untrusted, Frame: 1, Line: 1, Says: "does not belong", raw: f.file(t)})
	}
	for _, c := range []struct {
		name   string
		change func(*bundle.Core)
	}{
		{"other-kind", func(c *bundle.Core) { c.Kind = bundle.Return }},
		{"other-from", func(c *bundle.Core) { c.To, c.From = "core", "field"; c.To = "other" }},
		{"other-epoch", func(c *bundle.Core) { c.Epoch = salt }},
		{"other-seq", func(c *bundle.Core) { c.Seq = 2 }},
		{"other-prev", func(c *bundle.Core) { c.Prev = strings.Repeat("0", 64) }},
		{"other-after", func(c *bundle.Core) { c.Range.After-- }},
		{"other-through", func(c *bundle.Core) { c.Range.Through++ }},
		{"other-chain-after", func(c *bundle.Core) { c.Chain.After[31]++ }},
		{"other-chain-through", func(c *bundle.Core) { c.Chain.Through[31]++ }},
	} {
		f := forgeAt(10, text(11, `{}`))
		f.change = func(m *bundle.Manifest) { c.change(&m.Core) }
		add(c.name, f)
	}
	for _, c := range [][3]string{
		{"salt-missing", `"salt":"` + salt + `",`, ``},
		{"salt-short", `"salt":"00`, `"salt":"`},
		{"salt-upper-case", `aabbcc`, `AABBCC`},
		{"events-negative", `"events":1`, `"events":-1`},
		{"operator-over-limit", `"operator":"`, `"operator":"` + strings.Repeat("o", 257)},
		{"note-over-limit", `"note":"`, `"note":"` + strings.Repeat("n", 4097)},
		{"note-with-nul", `"note":"`, `"note":"\u0000`},
		{"note-missing", `,"note":""`, ``},
		{"unknown-key", `,"note":""`, `,"note":"","x":1`},
		{"proof-of-what-is-no-return", `,"note":""`, `,"note":"","proof":"x"`},
		{"with-plain-bytes", `},"salt"`, `,"plain_bytes":1},"salt"`},
		{"key-order", `"events":1,"operator":""`, `"operator":"","events":1`},
		{"white-space", `{"bundle":{`, `{"bundle": {`},
		{"escaped", `"kind":"data"`, `"kind":"d\u0061ta"`},
		{"cr", `"note":""}`, "\"note\":\"\"}\r"},
	} {
		f := forge(text(1, `{}`))
		f.head = func(line string) string { return strings.Replace(line, c[1], c[2], 1) }
		add(c[0], f)
	}
	missing := forge(text(1, `{}`))
	missing.head = func(string) string { return text(1, `{}`) }
	missing.text = ""
	add("missing", missing)
	other := forge(text(1, `{"a":1}`))
	another := forge(text(1, `{"a":1}`))
	another.first.Span.Seq = 2
	other.frames = func([]byte) [][]byte { _, p := cut(another.file(t)); return [][]byte{p} }
	add("of-another-bundle", other)
	return vectors
}

// forgeAt is forge for lines that follow after position after.
func forgeAt(after int64, lines ...string) forgery {
	f := forge(lines...)
	f.first.Span.Range.After, f.first.Span.Range.Through = after, after+int64(len(lines))
	return f
}

// header begins a zstd frame: descriptor, window or dictionary bytes, then the
// size of the content in four bytes.
func header(descriptor byte, more []byte, size int) []byte {
	out := append([]byte{0x28, 0xb5, 0x2f, 0xfd, descriptor}, more...)
	return binary.LittleEndian.AppendUint32(out, uint32(size))
}

// block is a zstd block of a kind: 0 raw, 1 RLE, 3 reserved; the last of its frame.
func block(kind int, content []byte, size int) []byte {
	v := size<<3 | kind<<1 | 1
	return append([]byte{byte(v), byte(v >> 8), byte(v >> 16)}, content...)
}

func badFrames(t *testing.T) []vector {
	vectors := []vector{}
	add := func(name string, code bundle.Code, says string, pack func(plain []byte) []byte) {
		f := forge(text(1, `{"a":1}`), text(2, `{"a":2}`))
		f.frames = func(plain []byte) [][]byte { return [][]byte{pack(plain)} }
		vectors = append(vectors, vector{File: "frame-" + name, Code: code, Frame: 1, Says: says, raw: f.file(t)})
	}
	add("after-skippable", bundle.Damaged, "skippable or empty", func(p []byte) []byte { return append([]byte{0x5b, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, zframe(p)...) })
	add("after-empty", bundle.Damaged, "skippable or empty", func(p []byte) []byte { return append(zframe(nil, zstd.WithZeroFrames(true)), zframe(p)...) })
	add("before-empty", bundle.Damaged, "not the one that the manifest lists", func(p []byte) []byte { return append(zframe(p), zframe(nil, zstd.WithZeroFrames(true))...) })
	add("with-bytes-after", bundle.Damaged, "not the one that the manifest lists", func(p []byte) []byte { return append(zframe(p), 0) })
	add("not-zstd", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { return p })
	add("gzip", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { return append([]byte{0x1f, 0x8b, 8, 0}, p...) })
	add("without-content-size", bundle.Damaged, "states its size", func(p []byte) []byte {
		return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50}, block(0, p, len(p))...)
	})
	add("content-size-one-less", bundle.Damaged, "cannot be read", func(p []byte) []byte { return append(header(0xa0, nil, len(p)-1), block(0, p, len(p))...) })
	add("content-size-one-more", bundle.Refused, "than core.plain_bytes", func(p []byte) []byte { return append(header(0xa0, nil, len(p)+1), block(0, p, len(p))...) })
	add("window-over-limit", bundle.Refused, "window", func(p []byte) []byte { return rawFrame(p, 14<<3) }) // 16 MiB
	add("dictionary", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { return append(header(0xa1, []byte{7}, len(p)), block(0, p, len(p))...) })
	add("reserved-bit", bundle.Damaged, "cannot be read", func(p []byte) []byte { return append(header(0xa8, nil, len(p)), block(0, p, len(p))...) })
	add("block-reserved-kind", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { return append(header(0xa0, nil, len(p)), block(3, p, len(p))...) })
	add("block-over-128-kib", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { return append(header(0xa0, nil, len(p)), block(0, p, 128<<10+1)...) })
	add("cut-before-signing", bundle.Damaged, "not one whole zstd frame", func(p []byte) []byte { z := zframe(p); return z[:len(z)-1] })
	add("checksum", bundle.Damaged, "cannot be read", func(p []byte) []byte { z := zframe(p); z[len(z)-1] ^= 1; return z })
	add("padded", bundle.Refused, "far longer than its content", func(p []byte) []byte { return append(header(0xa0, nil, len(p)), make([]byte, 70<<10)...) })
	add("bomb", bundle.Refused, "more decompressed bytes than core.plain_bytes", func([]byte) []byte { return zframe(make([]byte, 1<<20)) })
	add("no-last-lf", bundle.Damaged, "end with a line", func(p []byte) []byte { return zframe(append(bytes.Clone(p[:len(p)-1]), ' ')) })
	return append(vectors, bigFrames(t)...)
}

func bigFrames(t *testing.T) []vector {
	const huge = 17 << 20
	bomb := forge(text(1, `{}`))
	bomb.frames = func([]byte) [][]byte { return [][]byte{zframe(make([]byte, huge), zstd.WithSingleSegment(false))} }
	bomb.change = func(m *bundle.Manifest) { m.Core.PlainBytes, m.Frames[0].PlainBytes = huge, huge }
	endless := forge(text(1, `{}`))
	endless.change = func(m *bundle.Manifest) { m.Core.PlainBytes, m.Frames[0].PlainBytes = 2<<30+1, 2<<30+1 }
	var lines []string
	for i := range int64(5) {
		lines = append(lines, long(i+1, "request.submitted", 900<<10))
	}
	return []vector{
		{File: "frame-bomb-over-frame-limit", Code: bundle.Refused, Frame: 1, Says: "decompresses to more than the limit", raw: bomb.file(t)},
		{File: "frame-over-4-mib-of-many-lines", Code: bundle.Refused, Frame: 1, Says: "more than one line", raw: forge(lines...).file(t)},
		{File: "plain-bytes-over-limit", Code: bundle.Refused, Says: "too large", raw: endless.file(t)},
	}
}

// badTables are manifests whose list of frames is not that of the payload.
func badTables(t *testing.T) []vector {
	good := recipe{items: plainItems(events(0, 9)), limits: bundle.Limits{Frame: 900}}
	vectors := []vector{}
	add := func(name string, v vector, change func(f []bundle.Frame)) {
		r := good
		r.change = func(m *bundle.Manifest) { change(m.Frames) }
		v.File, v.Code, v.raw = "table-"+name, bundle.Damaged, r.file(t)
		vectors = append(vectors, v)
	}
	second := open(t, good.file(t)).Manifest().Frames[1].First
	add("bytes-shifted", vector{Frame: 1, Says: "not the one that the manifest lists"}, func(f []bundle.Frame) {
		f[0].Bytes, f[1].Offset, f[1].Bytes = f[0].Bytes-1, f[1].Offset-1, f[1].Bytes+1
	})
	add("plain-bytes-shifted", vector{Frame: 1, Says: "not the one that the manifest lists"}, func(f []bundle.Frame) { f[0].PlainBytes--; f[1].PlainBytes++ })
	add("sha256-of-another", vector{Frame: 2, Says: "not the one that the manifest lists"}, func(f []bundle.Frame) { f[1].SHA256 = f[0].SHA256 })
	add("first-one-more", vector{Frame: 2, Position: second, Says: "other positions"}, func(f []bundle.Frame) { f[1].First++ })
	add("first-one-less", vector{Frame: 2, Position: second, Says: "other positions"}, func(f []bundle.Frame) { f[1].First-- })
	add("events-one-less", vector{Frame: 2, Position: second, Says: "other positions"}, func(f []bundle.Frame) { f[1].Events-- })
	add("events-shifted", vector{Frame: 1, Position: 1, Says: "other positions"}, func(f []bundle.Frame) { f[0].Events--; f[1].Events++ })
	fused := good
	fused.change = func(m *bundle.Manifest) {
		_, payload := good.content(t)
		m.Frames = []bundle.Frame{{Bytes: m.Payload.Bytes, PlainBytes: m.Core.PlainBytes, First: 1, Events: 9, SHA256: sum(payload)}}
	}
	vectors = append(vectors, vector{File: "table-two-frames-as-one", Code: bundle.Damaged, Frame: 1, Says: "not the one", raw: fused.file(t)})
	return append(vectors, resigned(t, good.file(t), []edit{
		{"table-empty", `"frames": \[.*?\]`, `"frames": []`, ""},
		{"table-missing", `  "frames": \[.*?\],\n`, ``, "frames do not add up"},
		{"table-last-entry-missing", `,\n    {[^{]*}\n  \]`, "\n  ]", "frames do not add up"},
		{"table-offset-one-more", `"offset": 0`, `"offset": 1`, "frames[0]"},
		{"table-bytes-0", `("offset": 0,\s+"bytes": )\d+`, `${1}0`, "frames[0]"},
		{"table-bytes-beyond-payload", `("offset": 0,\s+"bytes": )\d+`, `${1}99999`, "frames[0]"},
		{"table-plain-bytes-0", `("offset": 0,.*?"plain_bytes": )\d+`, `${1}0`, "frames[0]"},
		{"table-first-before-range", `"first": 1`, `"first": 0`, "frames[0]"},
		{"table-events-negative", `"events": \d+`, `"events": -1`, "frames[0]"},
		{"table-sha256-63-digits", `("offset": 0,.*?"sha256": ")[0-9a-f]`, `$1`, "strict JSON"},
	})...)
}
