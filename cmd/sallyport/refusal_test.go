package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

// damagedCopy brings a damaged copy before the original: it is put away with
// the reason, and the original still applies afterwards.
func (c *crossing) damagedCopy(t *testing.T) {
	files := c.export(t, c.field)
	if len(files) == 0 {
		t.Fatal("no bundle is in the outbox of field")
	}
	last := files[len(files)-1]
	raw := readFile(t, last)
	raw[len(raw)-5] ^= 1
	sum := sha256.Sum256(raw)
	inbox := filepath.Join(c.core.dir, "inbox")
	if err := os.Rename(writeFile(t, inbox, ".coming", raw), filepath.Join(inbox, filepath.Base(last))); err != nil {
		t.Fatal(err)
	}
	var refused bridge.Reason
	eventually(t, "the damaged copy's quarantine", func() bool {
		for _, r := range must[[]bridge.Reason](t, "-C", c.core.config, "quarantine", "list") {
			if r.SHA256 == hex.EncodeToString(sum[:]) {
				refused = r
			}
		}
		return refused.ID != ""
	})
	dir := filepath.Join(c.core.dir, "quarantine", refused.ID)
	var reason bridge.Reason
	decodeStrictly(t, readFile(t, filepath.Join(dir, "reason.json")), &reason)
	if reason.Code != bundle.Damaged || reason.Message == "" || reason.NextStep == "" || reason.Peer != "field" {
		t.Errorf("reason.json: %+v", reason)
	}
	eventually(t, "the file's move to quarantine", func() bool {
		_, err := os.Stat(filepath.Join(dir, filepath.Base(last)))
		return err == nil
	})
	if shown := must[bridge.Reason](t, "-C", c.core.config, "quarantine", "show", refused.ID); shown != reason {
		t.Errorf("quarantine show: %+v, reason.json %+v", shown, reason)
	}
	c.notStopped(t)
}

func (c *crossing) notStopped(t *testing.T) {
	t.Helper()
	for _, l := range must[[]bridge.Status](t, "-C", c.core.config, "link", "status") {
		if l.Stopped != nil {
			t.Errorf("the link to %s is stopped: %s", l.Peer, *l.Stopped)
		}
	}
}

// strangers brings bundles that nobody may believe, or that are for somebody
// else: none is applied, none stops the link.
func (c *crossing) strangers(t *testing.T) {
	original := readFile(t, c.plain[0])
	signed, payload := cutFile(t, original)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := bridge.EnsureKeys(filepath.Join(c.field.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	before := must[[]bridge.Status](t, "-C", c.core.config, "link", "status")
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	for name, raw := range map[string][]byte{
		"unsigned":          joined(t, append(text, '\n', '\n'), payload),
		"of another key":    resigned(t, original, payload, stranger, func(*bundle.Manifest) {}),
		"for another site":  resigned(t, original, payload, own.Signing, func(m *bundle.Manifest) { m.Core.To = "moon" }),
		"of another site":   resigned(t, original, payload, stranger, func(m *bundle.Manifest) { m.Core.From = "moon" }),
		"of another epoch":  resigned(t, original, payload, own.Signing, func(m *bundle.Manifest) { m.Core.Epoch = "0123456789abcdef0123456789abcdef" }),
		"cut in its middle": original[:len(original)-20],
		"no bundle at all":  []byte("hello\n"),
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, t.TempDir(), filepath.Base(c.plain[0]), raw)
			r := call(t, "-C", c.core.config, "-o", "json", "bundle", "import", file)
			if !slices.Contains([]int{10, 11, 15}, r.code) {
				t.Errorf("exit code %d: %s", r.code, r.stderr)
			}
			var out []bridge.Outcome
			if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || len(out) == 0 || out[0].State != bridge.Quarantined || out[0].Reason == "" {
				t.Errorf("%v: %s", err, r.stdout)
			}
		})
	}
	if after := must[[]bridge.Status](t, "-C", c.core.config, "link", "status"); after[0].AppliedThrough != before[0].AppliedThrough {
		t.Error("something was applied")
	}
	c.notStopped(t)
}

// cutFile separates a bundle's signed manifest from its payload.
func cutFile(t *testing.T, raw []byte) (signed, payload []byte) {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Signed(), raw[int64(len(raw))-f.Manifest().Payload.Bytes:]
}

func joined(t *testing.T, signed, payload []byte) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := bundle.WriteFile(&file, signed, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func resigned(t *testing.T, raw, payload []byte, key ed25519.PrivateKey, change func(*bundle.Manifest)) []byte {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m := f.Manifest()
	change(&m)
	m.Core.Chain.After = bundle.Start(m.Core.Epoch, m.Core.From) // the first bundle: its chain begins there
	signer, err := bundle.NewSigner(m.Core.From, key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := m.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return joined(t, signed, payload)
}

// duplicate brings again what was applied.
func (c *crossing) duplicate(t *testing.T) {
	for _, file := range c.plain {
		out := must[[]bridge.Outcome](t, "-C", c.core.config, "bundle", "import", file)
		m, err := readManifest(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) != 1 || m.Core.Kind == bundle.Data && out[0].State != bridge.Duplicate {
			t.Errorf("%s again: %+v", file, out)
		}
	}
	c.notStopped(t)
}

// flippedBits changes one bit here and there: whatever it hits, the bundle is
// refused with one of the codes for bundles.
func (c *crossing) flippedBits(t *testing.T) {
	samples := func(from site, file string, n int) {
		raw := readFile(t, file)
		if r := call(t, "bundle", "verify", "--card", from.card(), file); r.code != 0 {
			t.Fatalf("the original: exit code %d: %s", r.code, r.stderr)
		}
		for i := range n {
			at := i * (len(raw) - 1) / (n - 1)
			bad := bytes.Clone(raw)
			bad[at] ^= 1 << (i % 8)
			r := call(t, "bundle", "verify", "--card", from.card(), writeFile(t, t.TempDir(), filepath.Base(file), bad))
			if !slices.Contains([]int{10, 11, 15, 16, 17}, r.code) {
				t.Errorf("bit %d of byte %d of %s: exit code %d: %s%s", i%8, at, filepath.Base(file), r.code, r.stdout, r.stderr)
			}
		}
	}
	samples(c.field, c.plain[len(c.plain)-1], 60)
	samples(c.core, c.aged[0], 20)
}
