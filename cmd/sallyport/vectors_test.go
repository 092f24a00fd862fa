package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// The golden bundles of the format, through the command line: each bad one has
// the exit code of its class.
func TestVerifyGoldenVectors(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "bridge", "bundle", "testdata", "vectors")
	var index struct {
		Trusted []string `json:"trusted"`
		Vectors []struct {
			File string      `json:"file"`
			Code bundle.Code `json:"code"`
		} `json:"vectors"`
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, "index.json")), &index); err != nil {
		t.Fatal(err)
	}
	card := vectorCard(t, filepath.Join(dir, "ok-plain"), index.Trusted)
	want := map[bundle.Code]int{bundle.Damaged: 10, bundle.Incomplete: 11, bundle.Untrusted: 15, bundle.Refused: 16, bundle.Upgrade: 17}
	tried := map[bundle.Code]int{}
	for _, v := range index.Vectors {
		if tried[v.Code]++; tried[v.Code] > 12 || v.Code == "" || strings.HasPrefix(v.File, "age-") {
			continue // the format's own tests try all, also with identities
		}
		r := call(t, "bundle", "verify", "--card", card, filepath.Join(dir, v.File))
		// Their events are made up: a schema may refuse one before the flaw is reached.
		schema := r.code == 16 && strings.Contains(r.stderr, "does not satisfy its schema")
		if r.code != want[v.Code] && !schema {
			t.Errorf("%s: exit code %d, want %d: %s", v.File, r.code, want[v.Code], r.stderr)
		}
	}
	if r := call(t, "bundle", "verify", "--card", card, filepath.Join(dir, "ok-beacon")); r.code != 0 {
		t.Errorf("a good beacon: exit code %d: %s", r.code, r.stderr)
	}
	if len(tried) < 5 || len(index.Vectors) < 30 {
		t.Errorf("too few vectors to say anything: %v", tried)
	}
}

// vectorCard makes the site card of the site that a vector comes from.
func vectorCard(t *testing.T, file string, trusted []string) string {
	t.Helper()
	m, err := readManifest(file)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	of := slices.IndexFunc(trusted, func(key string) bool { return strings.HasPrefix(key, m.Core.From+"+") })
	if of < 0 {
		t.Fatalf("no key of %s in %v", m.Core.From, trusted)
	}
	card := bridge.Card{Format: bridge.CardFormat, Name: m.Core.From, Role: domain.RequestSite, Epoch: m.Core.Epoch,
		Key: trusted[of], Recipient: identity.Recipient().String()}
	return writeFile(t, t.TempDir(), "card.json", card.Encode())
}
