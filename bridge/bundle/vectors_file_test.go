package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"sallyport/bridge/bundle"
)

// badFiles are faults that a medium, a copy or a clumsy hand makes.
func badFiles(t *testing.T) []vector {
	good := middle(t).file(t)
	signed, payload := cut(good)
	frames := open(t, good).Manifest().Frames
	flip := func(at int) []byte {
		raw := bytes.Clone(good)
		raw[at] ^= 1
		return raw
	}
	length := func(delta int) []byte {
		raw := bytes.Clone(good)
		binary.LittleEndian.PutUint32(raw[4:], uint32(len(signed)+delta))
		return raw
	}
	at := 8 + len(signed)
	second := at + int(frames[1].Offset)
	return []vector{
		{File: "empty", Code: bundle.Incomplete, raw: []byte{}},
		{File: "cut-in-magic", Code: bundle.Incomplete, raw: good[:3]},
		{File: "cut-in-length", Code: bundle.Incomplete, raw: good[:7]},
		{File: "cut-in-manifest", Code: bundle.Incomplete, raw: good[:100]},
		{File: "cut-in-signature", Code: bundle.Incomplete, raw: good[:at-1]},
		{File: "cut-before-payload", Code: bundle.Incomplete, raw: good[:at]},
		{File: "cut-in-first-frame", Code: bundle.Incomplete, raw: good[:second-10]},
		{File: "cut-between-frames", Code: bundle.Incomplete, raw: good[:second]},
		{File: "cut-last-byte", Code: bundle.Incomplete, Says: "1 bytes early", raw: good[:len(good)-1]},
		{File: "extra-byte", Code: bundle.Damaged, Says: "1 bytes after its end", raw: append(bytes.Clone(good), 0)},
		{File: "extra-frame", Code: bundle.Damaged, Says: "after its end", raw: append(bytes.Clone(good), zframe([]byte("{}\n"))...)},
		{File: "extra-skippable-frame", Code: bundle.Damaged, Says: "after its end", raw: join(t, signed, append([]byte{0x5b, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, payload...))},
		{File: "twice-in-one-file", Code: bundle.Damaged, Says: "after its end", raw: append(bytes.Clone(good), good...)},
		{File: "flip-first-frame", Code: bundle.Damaged, Frame: 1, Position: 41, Says: "not what was signed", raw: flip(second - 40)},
		{File: "flip-second-frame", Code: bundle.Damaged, Frame: 2, Position: frames[1].First, Says: "not what was signed", raw: flip(second + 40)},
		{File: "frames-swapped", Code: bundle.Damaged, Frame: 1, Position: 41, raw: join(t, signed, append(bytes.Clone(payload[frames[1].Offset:]), payload[:frames[1].Offset]...))},
		{File: "flip-magic", Code: bundle.Damaged, Says: "does not begin", raw: flip(0)},
		{File: "other-skippable-magic", Code: bundle.Damaged, Says: "does not begin", raw: append([]byte{0x50}, good[1:]...)},
		{File: "no-manifest", Code: bundle.Damaged, Says: "does not begin", raw: payload},
		{File: "length-0", Code: bundle.Damaged, Says: "length of the manifest", raw: length(-len(signed))},
		{File: "length-one-less", Code: bundle.Damaged, raw: length(-1)},
		{File: "length-one-more", Code: bundle.Damaged, raw: length(1)},
		{File: "length-over-limit", Code: bundle.Damaged, Says: "length of the manifest", raw: length(4<<20 + 1 - len(signed))},
		{File: "flip-head", Code: bundle.Untrusted, Says: "does not fit", raw: bytes.Replace(good, []byte(`"position": 60`), []byte(`"position": 61`), 1)},
		{File: "flip-signature", Code: bundle.Untrusted, Says: "does not fit", raw: flip(at - 40)},
	}
}

// badNotes are manifests whose text is untouched: only what stands below it is not
// as it was signed, or is not in its one form.
func badNotes(t *testing.T) []vector {
	good := exampleRecipe().file(t)
	signed, payload := cut(good)
	text, lines, _ := strings.Cut(string(signed), "\n\n")
	with := func(below string) []byte { return join(t, []byte(text+"\n\n"+below), payload) }
	edit := func(old, new string) []byte {
		if !strings.Contains(lines, old) {
			t.Fatalf("nothing to change: no %q", old)
		}
		return with(strings.Replace(lines, old, new, 1))
	}
	sig := func(change func(raw []byte) []byte) []byte {
		b64 := strings.TrimPrefix(strings.TrimSuffix(lines, "\n"), "— field ")
		raw, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			t.Fatal(err)
		}
		return edit(b64, base64.StdEncoding.EncodeToString(change(raw)))
	}
	slack := []byte(lines) // 68 bytes end in one '=': two slack bits
	slack[bytes.LastIndexByte(slack, '=')-1]++
	_, other, _ := strings.Cut(string(first(cut(middle(t).file(t)))), "\n\n")
	damaged := func(name string, raw []byte) vector {
		return vector{File: "note-" + name, Code: bundle.Damaged, Says: "signed note", raw: raw}
	}
	return []vector{
		damaged("no-signature", join(t, []byte(text+"\n"), payload)),
		damaged("no-line-below", with("")),
		damaged("no-blank-line", join(t, []byte(text+"\n"+lines), payload)),
		damaged("no-last-lf", with(strings.TrimSuffix(lines, "\n"))),
		damaged("cr-lf", edit("\n", "\r\n")),
		damaged("hyphen-for-dash", edit("—", "-")),
		damaged("two-spaces", edit("field ", "field  ")),
		damaged("name-upper-case", edit("field", "Field")),
		damaged("slack-bits", with(string(slack))),
		damaged("no-padding", edit("=\n", "\n")),
		damaged("url-base64", edit("/", "_")),
		damaged("signature-63-bytes", sig(func(b []byte) []byte { return b[:len(b)-1] })),
		damaged("signature-65-bytes", sig(func(b []byte) []byte { return append(b, 0) })),
		damaged("text-below", with(lines+"hello\n")),
		damaged("seventeen-signatures", with(strings.Repeat(lines, 17))),
		{File: "note-blank-line-more", Code: bundle.Damaged, Says: "one encoding", raw: with("\n" + lines)},
		{File: "note-signature-twice", Code: bundle.Untrusted, Says: "manifest lists", raw: with(lines + lines)},
		{File: "note-key-hash-of-another", Code: bundle.Untrusted, Says: "manifest lists", raw: sig(func(b []byte) []byte { b[0] ^= 1; return b })},
		{File: "note-name-of-another", Code: bundle.Untrusted, Says: "manifest lists", raw: edit("field", "core")},
		{File: "note-signature-of-another-text", Code: bundle.Untrusted, Says: "does not fit", raw: with(other)},
	}
}

func first(a, _ []byte) []byte { return a }

// badSigners are manifests signed by others than the sender, or by fewer.
func badSigners(t *testing.T) []vector {
	one := exampleRecipe()
	by := func(signers ...string) []byte {
		r := one
		r.signers = signers
		return r.file(t)
	}
	two, payload := cut(by("field", "core"))
	text, below, _ := strings.Cut(string(two), "\n\n")
	fields, cores, _ := strings.Cut(below, "\n")
	with := func(lines ...string) []byte {
		return join(t, []byte(text+"\n\n"+strings.Join(lines, "\n")+"\n"), payload)
	}
	cores = strings.TrimSuffix(cores, "\n")
	raw := one.file(t)
	coreID := bundle.KeyID("core", publicOf("core"))
	unlisted := resign(t, raw, "", "", "field", "core")
	impostor, err := bundle.NewSigner("field", keyOf("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	forged, rotated := one, rotation(t)
	forged.signers, forged.also = []string{}, []*bundle.Signer{impostor}
	rotated.change = nil
	return []vector{
		{File: "signer-stripped", Code: bundle.Untrusted, Says: "manifest lists", raw: with(fields)},
		{File: "signer-sender-stripped", Code: bundle.Untrusted, Says: "manifest lists", raw: with(cores)},
		{File: "signer-reordered", Code: bundle.Untrusted, Says: "manifest lists", raw: with(cores, fields)},
		{File: "signer-added", Code: bundle.Untrusted, Says: "manifest lists", raw: unlisted},
		{File: "signer-is-another-site", Code: bundle.Untrusted, Says: "no trusted key of the sender", raw: by("core")},
		{File: "signer-listed-is-another", Code: bundle.Untrusted, Says: "manifest lists", raw: resign(t, raw, bundle.KeyID("field", publicOf("field")), coreID, "field")},
		{File: "signer-unknown-beside", Code: bundle.Untrusted, Says: "not trusted here", raw: by("field", "stranger")},
		{File: "signer-unknown", Code: bundle.Untrusted, Says: "not trusted here", raw: by("stranger")},
		{File: "signer-same-name-other-key", Code: bundle.Untrusted, Says: "not trusted here", raw: forged.file(t)},
		{File: "signer-next-key-not-told", Code: bundle.Untrusted, Says: "not trusted here", raw: rotated.file(t)},
		{File: "newer-format", Code: bundle.Upgrade, Says: "upgrade this site first", raw: resign(t, raw, `bundle/1"`, `bundle/2"`, "field")},
		{File: "newer-format-unknown-signer", Code: bundle.Untrusted, Says: "not trusted here", raw: resign(t, raw, `bundle/1"`, `bundle/2"`, "stranger")},
	}
}
