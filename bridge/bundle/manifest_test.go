package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge/bundle"
)

func fullManifest(t testing.TB) bundle.Manifest {
	t.Helper()
	next, err := bundle.VerifierKey("field", publicOf("field-2"))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := recipe{items: plainItems(events(0, 9)), limits: bundle.Limits{Frame: 900}}.content(t)
	m := c.Manifest()
	m.Head = bundle.Head{Position: 12, Seq: 2}
	m.Ack = &bundle.Ack{Epoch: epoch, Incarnation: salt, No: 7, Seq: 4, Position: 90, Chain: bundle.Hash{9}, Missing: []int64{5, 7},
		Rejected: []bundle.Rejection{{Seq: 6, Code: bundle.Upgrade}}, Understands: []string{"request.submitted.v1", "user.profile_changed.v2"}}
	m.NextKey, m.CreatedAt = next, madeAt
	return m
}

func manifestText(t testing.TB, m bundle.Manifest) string {
	t.Helper()
	signed, err := m.Sign(signerOf(t, "field"))
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	return text + "\n"
}

func TestManifestHasOneEncoding(t *testing.T) {
	t.Parallel()
	text := manifestText(t, fullManifest(t))
	m, err := bundle.ParseManifest([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := manifestText(t, m); again != text {
		t.Errorf("written again:\n%s\nwas:\n%s", again, text)
	}
	for i := range len(text) {
		if text[i] >= 0x80 {
			t.Fatalf("byte %d is not ASCII", i)
		}
	}
	for _, edit := range [][2]string{
		{"\n  \"head\"", " \"head\""}, {`"seq": 1`, `"seq": 1.0`}, {`"seq": 1`, `"seq": 1e0`}, {`"kind": "data"`, `"kind": "d\u0061ta"`}, {`"kind": "data"`, `"kind": "other"`},
		{`"kind"`, `"Kind"`}, {`"from": "field"`, `"from": "FIELD"`}, {`"from": "field"`, `"from": "core"`}, {`"missing": [`, `"missing": null, "x": [`},
		{"5,\n      7", "7,\n      5"}, {`"user.profile_changed.v2"`, `"a.b.v1"`}, {`.v2`, `.v02`}, {`.v2`, ``}, {`"code": "upgrade"`, `"code": "odd"`},
		{`"no": 7`, `"no": 0`}, {`"next_key": "field+`, `"next_key": "core+`}, {`26:02.123456Z`, `26:02.123Z`}, {`"offset": 0`, `"offset": 1`}, {"}\n", "}\n\n"}, {"{", "\ufeff{"},
		{`"prev": ""`, `"prev": "00"`}, {`"seq": 1`, `"seq": 0`}, {`"seq": 1`, `"seq": 10000000000`},
	} {
		changed := strings.Replace(text, edit[0], edit[1], 1)
		if changed == text {
			t.Fatalf("%q changes nothing", edit)
		}
		if _, err := bundle.ParseManifest([]byte(changed)); bundle.CodeOf(err) != bundle.Damaged {
			t.Errorf("%q: %v", edit, err)
		}
	}
}

func TestFramesTileThePayload(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bundle.Manifest){
		"last one missing": func(m *bundle.Manifest) { m.Frames = m.Frames[:len(m.Frames)-1] },
		"none":             func(m *bundle.Manifest) { m.Frames = nil },
		"beyond the end":   func(m *bundle.Manifest) { m.Frames[len(m.Frames)-1].Bytes++ },
		"too short":        func(m *bundle.Manifest) { m.Frames[0].Bytes-- },
		"empty":            func(m *bundle.Manifest) { m.Frames[0].Bytes = 0 },
		"plain too short":  func(m *bundle.Manifest) { m.Frames[0].PlainBytes-- },
		"before the range": func(m *bundle.Manifest) { m.Frames[0].First = 0 },
		"and encrypted": func(m *bundle.Manifest) {
			m.Encryption = &bundle.Encryption{Recipients: []string{identity(t).Recipient().String()}}
		},
	} {
		m := fullManifest(t)
		change(&m)
		if _, err := m.Sign(signerOf(t, "field")); bundle.CodeOf(err) != bundle.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The id can be computed by anyone with a JSON tool: jq -c .core | tr -d '\n' | sha256sum.
func TestIDIsOfTheCompactCore(t *testing.T) {
	t.Parallel()
	m := fullManifest(t)
	text := manifestText(t, m)
	core := text[strings.Index(text, `"core": `)+8 : strings.Index(text, ",\n  \"head\"")]
	core = strings.NewReplacer("\n", "", " ", "").Replace(core)
	want := sha256.Sum256([]byte(core))
	if got := m.Core.ID(); got != hex.EncodeToString(want[:]) {
		t.Errorf("id %s is not that of %s", got, core)
	}
}

// The signed manifest is a note that other programs verify too.
func TestManifestIsASignedNote(t *testing.T) {
	t.Parallel()
	signed, err := fullManifest(t).Sign(signerOf(t, "field"), signerOf(t, "ann"))
	if err != nil {
		t.Fatal(err)
	}
	var known []note.Verifier
	for _, name := range []string{"field", "ann"} {
		key, err := bundle.VerifierKey(name, publicOf(name))
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, v)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil || len(n.Sigs) != 2 {
		t.Errorf("%+v, %v", n, err)
	}
}

func TestSignersAreNamesAndWholeKeys(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "Field", "a b", "a+b", "é", strings.Repeat("a", 33)} {
		if _, err := bundle.NewSigner(name, keyOf("x")); err == nil {
			t.Errorf("%q may sign", name)
		}
		if id := bundle.KeyID(name, publicOf("x")); id != "" {
			t.Errorf("%q has a key id %s", name, id)
		}
	}
	if _, err := bundle.NewSigner("field", make(ed25519.PrivateKey, 5)); err == nil {
		t.Error("a key of five bytes may sign")
	}
	if _, err := fullManifest(t).Sign(); err == nil {
		t.Error("a manifest without a signature")
	}
	if _, err := fullManifest(t).Sign(signerOf(t, "field"), signerOf(t, "field")); err == nil {
		t.Error("a manifest signed twice by one key")
	}
}

func TestVerifierKeyHasOneForm(t *testing.T) {
	t.Parallel()
	key, err := bundle.VerifierKey("field", publicOf("field"))
	if err != nil {
		t.Fatal(err)
	}
	name, public, err := bundle.ParseVerifierKey(key)
	if err != nil || name != "field" || !public.Equal(publicOf("field")) {
		t.Errorf("%s %x %v", name, public, err)
	}
	for _, bad := range []string{"", "field", key + "\n", key + "=", strings.ToUpper(key), strings.Replace(key, "field", "core", 1), key[:len(key)-4]} {
		if _, _, err := bundle.ParseVerifierKey(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

// During a rotation a reader that knows only the old key goes on; the old key is
// kept until bundles come that the new one signs alone.
func TestRotation(t *testing.T) {
	t.Parallel()
	oldKey := signerOf(t, "field")
	newKey, err := bundle.NewSigner("field", keyOf("field-2"))
	if err != nil {
		t.Fatal(err)
	}
	c, payload := recipe{items: plainItems(events(0, 1))}.content(t)
	m := c.Manifest()
	m.CreatedAt = madeAt
	m.NextKey, _ = bundle.VerifierKey("field", publicOf("field-2"))
	signed, err := m.Sign(oldKey, newKey)
	if err != nil {
		t.Fatal(err)
	}
	raw := join(t, signed, payload)
	onlyNew := func(id string) (ed25519.PublicKey, bool) {
		return publicOf("field-2"), id == newKey.KeyID()
	}
	if _, err := read(raw, bundle.Limits{}, trusting("field")); err != nil {
		t.Error("a reader that knows the old key:", err)
	}
	_, err = read(raw, bundle.Limits{}, onlyNew) // the old key is unknown there, and nobody vouches for it
	wantCode(t, err, bundle.Untrusted, "not trusted here")
	m.NextKey = ""
	signed, err = m.Sign(oldKey, newKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = read(join(t, signed, payload), bundle.Limits{}, trusting("field"))
	wantCode(t, err, bundle.Untrusted, "not trusted here")
	raw[bytes.LastIndex(raw, []byte("— "))+60] ^= 1
	_, err = read(raw, bundle.Limits{}, trusting("field"))
	if code := bundle.CodeOf(err); code != bundle.Untrusted && code != bundle.Damaged {
		t.Error("a broken signature of the next key:", err)
	}
}

// A trust store that gives another key than the one asked for is not believed.
func TestTrustMustAnswerWithTheKeyAsked(t *testing.T) {
	t.Parallel()
	raw := recipe{items: plainItems(events(0, 1)), signers: []string{"field"}}.file(t)
	_, err := read(raw, bundle.Limits{}, func(string) (ed25519.PublicKey, bool) { return publicOf("core"), true })
	wantCode(t, err, bundle.Untrusted, "does not fit")
	_, err = read(raw, bundle.Limits{}, func(string) (ed25519.PublicKey, bool) { return nil, true })
	wantCode(t, err, bundle.Untrusted, "does not fit")
}
