package bridge_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// golden is a card that was once written to a file.
func golden(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/card.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCardOnDiskStaysReadable(t *testing.T) {
	t.Parallel()
	card, err := bridge.ReadCard("testdata/card.json")
	if err != nil {
		t.Fatal(err)
	}
	if card.Name != "field" || card.Role != domain.RequestSite {
		t.Errorf("read %+v", card)
	}
	if !bytes.Equal(card.Encode(), golden(t)) {
		t.Errorf("it is written anew as\n%s", card.Encode())
	}
	if got := card.Fingerprint(); got != "4b25 9ce0 db39 e512 57d2 cb0e 41fd 9114" {
		t.Errorf("fingerprint %s: two people would read different ones to each other", got)
	}
}

func TestFingerprintCoversTheWholeCard(t *testing.T) {
	t.Parallel()
	card, err := bridge.ParseCard(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{card.Fingerprint(): "nothing"}
	for what, change := range map[string]func(*bridge.Card){
		"format": func(c *bridge.Card) { c.Format += "x" }, "name": func(c *bridge.Card) { c.Name += "x" },
		"role": func(c *bridge.Card) { c.Role = domain.ResponseSite }, "epoch": func(c *bridge.Card) { c.Epoch += "x" },
		"key": func(c *bridge.Card) { c.Key += "x" }, "recipient": func(c *bridge.Card) { c.Recipient += "x" },
	} {
		other := card
		change(&other)
		if before, double := seen[other.Fingerprint()]; double {
			t.Errorf("%s and %s changed give one fingerprint", before, what)
		}
		seen[other.Fingerprint()] = what
	}
}

func TestParseCardIsStrict(t *testing.T) {
	t.Parallel()
	card, err := bridge.ParseCard(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for name, change := range map[string]func(string) string{
		"empty":                    func(string) string { return "" },
		"null":                     func(string) string { return "null" },
		"an empty object":          func(string) string { return "{}" },
		"a list":                   func(s string) string { return "[" + s + "]" },
		"cut off":                  func(s string) string { return s[:len(s)/2] },
		"two cards":                func(s string) string { return s + s },
		"text after it":            func(s string) string { return s + "x" },
		"an unknown field":         swap(`{`, `{"admin": true,`),
		"a field twice":            swap(`{`, `{"name": "core",`),
		"a field in other case":    swap(`"name"`, `"Name"`),
		"another format":           swap(bridge.CardFormat, "sallyport-site/2"),
		"no format":                swap(bridge.CardFormat, ""),
		"an unknown role":          swap(`"request"`, `"relay"`),
		"a number as role":         swap(`"request"`, `1`),
		"another site's key":       swap(`"name": "field"`, `"name": "other"`),
		"a name in capitals":       func(s string) string { return strings.ReplaceAll(s, "field", "Field") },
		"a long name":              func(s string) string { return strings.ReplaceAll(s, "field", strings.Repeat("f", 33)) },
		"no name":                  func(s string) string { return strings.ReplaceAll(s, "field", "") },
		"a short epoch":            swap(card.Epoch, card.Epoch[:31]),
		"an epoch in capitals":     swap(card.Epoch, strings.ToUpper(card.Epoch)),
		"an epoch and a line feed": swap(card.Epoch, card.Epoch+`\n`),
		"a key that was changed":   swap(card.Key, card.Key[:len(card.Key)-4]+"AAA="),
		"no key":                   swap(card.Key, ""),
		"no recipient":             swap(card.Recipient, ""),
		"a recipient in capitals":  swap(card.Recipient, strings.ToUpper(card.Recipient)),
		"a recipient with a space": swap(card.Recipient, card.Recipient+" "),
		"an X25519 recipient":      swap(card.Recipient, "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"),
		"an identity":              swap(card.Recipient, "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"),
		"too long":                 func(s string) string { return s + strings.Repeat(" ", 16<<10) },
	} {
		changed := change(string(golden(t)))
		if changed == string(golden(t)) {
			t.Errorf("%s: nothing was changed", name)
		}
		if c, err := bridge.ParseCard([]byte(changed)); err == nil || c != (bridge.Card{}) {
			t.Errorf("%s: read %+v, %v", name, c, err)
		}
	}
}

func TestReadCardSaysWhichFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bad.json")
	if _, err := bridge.ReadCard(path); err == nil {
		t.Error("a missing card was read")
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.ReadCard(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error does not name %s: %v", path, err)
	}
	if _, err := bridge.ReadCard("/dev/zero"); err == nil {
		t.Error("an endless card was read")
	}
}

// FuzzParseCard holds that a card that is read gives itself again and keys that
// work. Its seeds are the golden card and its damaged kin.
func FuzzParseCard(f *testing.F) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzParseCard/*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no committed seeds: %v", err)
	}
	f.Add(golden(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		card, err := bridge.ParseCard(data)
		if err != nil {
			if card != (bridge.Card{}) {
				t.Fatalf("refused and still returned: %+v", card)
			}
			return
		}
		again, err := bridge.ParseCard(card.Encode())
		if err != nil || again != card {
			t.Fatalf("%+v is read back as %+v, %v", card, again, err)
		}
		name, key, err := bundle.ParseVerifierKey(card.Key)
		if got, ok := card.Trust()(bundle.KeyID(name, key)); err != nil || !ok || !got.Equal(key) {
			t.Fatalf("the card's own key is not trusted: %v", err)
		}
	})
}

func TestTrustKnowsOneKey(t *testing.T) {
	t.Parallel()
	field, other := newPeer(t, "field", domain.RequestSite), newPeer(t, "field", domain.RequestSite)
	name, key, err := bundle.ParseVerifierKey(other.card.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := field.card.Trust()(bundle.KeyID(name, key)); ok {
		t.Error("another key under the same name is trusted")
	}
	if _, ok := (bridge.Card{}).Trust()(""); ok {
		t.Error("the empty card trusts the empty key")
	}
}

func TestKeysAreMadeOnceAndForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	var made [8]bridge.Keys
	var g errgroup.Group
	for i := range made {
		g.Go(func() (err error) { made[i], err = bridge.EnsureKeys(dir); return err })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	again := keysIn(t, dir)
	for _, k := range made {
		if !k.Signing.Equal(again.Signing) || k.Identity.String() != again.Identity.String() {
			t.Fatal("two programs that make keys at once got different ones")
		}
	}
	want := map[string]fs.FileMode{".": fs.ModeDir | 0o700, "signing.pem": 0o600, "identity.age": 0o600}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode() != want[path] {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want[path])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBrokenKeysAreNeitherReplacedNorShown(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	keys := keysIn(t, dir)
	identity, err := bridge.ReadIdentity(filepath.Join(dir, "identity.age"))
	if err != nil || fmt.Sprint(identity) != keys.Identity.String() {
		t.Fatalf("read another identity, %v", err)
	}
	for _, name := range []string{"signing.pem", "identity.age"} {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		broken := "SECRET" + string(good[6:len(good)-10])
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := bridge.EnsureKeys(dir); err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != broken {
			t.Errorf("%s was replaced, %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bridge.ReadIdentity(filepath.Join(dir, "missing.age")); err == nil {
		t.Error("a missing identity was made")
	}
	if len(keys.Signing) != ed25519.PrivateKeySize {
		t.Error("no Ed25519 key")
	}
}

func TestWhichLinksMayBeAdded(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	log := len(core.own(t))
	core.addLink(t, field.card)
	if got := core.own(t); len(got) != log || got[log-1] != "site.peer_added" {
		t.Errorf("the same card again changed the log to %q", got)
	}
	changed := newPeer(t, "field", domain.RequestSite).card
	moved := field.card
	moved.Epoch = epochOf("restored")
	double := newPeer(t, "other", domain.RequestSite).card
	double.Epoch = field.card.Epoch
	for name, card := range map[string]bridge.Card{
		"the same role": newPeer(t, "core2", domain.ResponseSite).card, "itself": core.Card(), "nothing": {},
		"its own name": newPeer(t, "core", domain.RequestSite).card, "a changed key": changed, "a changed epoch": moved,
		"another's epoch": double,
	} {
		if err := core.AddLink(t.Context(), card, "cli:test"); err == nil {
			t.Errorf("a link to %s was added", name)
		}
	}
	links, err := core.Links(t.Context())
	if err != nil || len(links) != 1 || links[0].Card != field.card || len(core.own(t)) != log {
		t.Errorf("in the end %+v, %v", links, err)
	}
}
