package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/internal/boot"
	"sallyport/internal/pgdev/pgtest"
)

// rotation changes field's key by a command while both sites run: they tell
// each other, and finish it, as soon as somebody carries.
func (c *crossing) rotation(t *testing.T) {
	at := func(args ...string) []string { return append([]string{"-C", c.field.config}, args...) }
	before := must[bridge.OwnKeys](t, at("keys", "show")...)
	during := must[bridge.OwnKeys](t, at("keys", "rotate")...)
	if during.Rotation == nil || during.KeyID != before.KeyID || len(during.Rotation.Peers) != 1 || during.Rotation.Peers[0].Knows {
		t.Fatalf("keys rotate: %+v", during)
	}
	if all := must[[]bridge.PeerKeys](t, at("link", "list")...); len(all) != 1 || all[0].OurNext == "" || all[0].OurNext == "known" {
		t.Errorf("link list: %+v", all)
	}
	if r := call(t, at("keys", "show")...); r.code != 0 || !strings.Contains(r.stdout, during.Rotation.Next) || !strings.Contains(r.stdout, "core") {
		t.Errorf("keys show: %s%s", r.stdout, r.stderr)
	}
	var after bridge.OwnKeys
	eventually(t, "the end of the rotation", func() bool {
		c.carry(t, c.field, c.core)
		c.carry(t, c.core, c.field)
		after = must[bridge.OwnKeys](t, at("keys", "show")...)
		return after.Rotation == nil
	})
	if after.KeyID != during.Rotation.NextID || len(after.Old) != 1 || after.Old[0].ID != before.KeyID {
		t.Errorf("keys show: %+v", after)
	}
	card := must[bridge.Card](t, at("link", "card")...)
	if card.Key != after.Key || !bytes.Equal(card.Encode(), readFile(t, c.field.card())) {
		t.Errorf("link card: %+v", card)
	}
	eventually(t, "core's trust in the new key", func() bool {
		c.carry(t, c.field, c.core)
		all := must[[]bridge.PeerKeys](t, "-C", c.core.config, "link", "list")
		return len(all) == 1 && all[0].KeyID == after.KeyID && all[0].Fingerprint == card.Fingerprint()
	})
}

// ownSite makes a site with a database of its own and returns its configuration.
func ownSite(t *testing.T, name string, role domain.Role) (config string) {
	t.Helper()
	dsn := pgtest.Database(t, "")
	dir := t.TempDir()
	c := boot.Config{Site: name, Role: role, Data: dir, Listen: "127.0.0.1:0", Database: boot.Database{URL: pgtest.Login(t, dsn), MigrateURL: dsn, MaxConns: 4}}
	if _, err := boot.Init(t.Context(), c, "cli:test"); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "sallyport.yaml")
	c.Data = ""
	if err := c.WithoutOwner().Write(config); err != nil {
		t.Fatal(err)
	}
	return config
}

// newCard writes the card of a site of which only the keys exist.
func newCard(t *testing.T, name string, change func(*bridge.Card)) (card bridge.Card, path string) {
	t.Helper()
	dir := t.TempDir()
	keys, err := bridge.EnsureKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if card, err = keys.Card(name, domain.RequestSite, strings.Repeat("ab", 16)); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&card)
	}
	return card, writeFile(t, dir, "site-card.json", card.Encode())
}

// The steps build on one another.
func TestCardsByCommand(t *testing.T) {
	t.Parallel()
	config := ownSite(t, "core", domain.ResponseSite)
	card, path := newCard(t, "field", nil)
	renewed, renewedPath := newCard(t, "field", nil)
	_, founded := newCard(t, "field", func(c *bridge.Card) { c.Epoch = strings.Repeat("cd", 16) })
	_, double := newCard(t, "other", nil)
	_, unsealed := newCard(t, "third", func(c *bridge.Card) { c.Recipient, c.Epoch = "", strings.Repeat("ef", 16) })
	for _, step := range []struct {
		code int
		says string
		args []string
	}{
		{15, renewed.Words(), []string{"link", "add", renewedPath, "--fingerprint", card.Words()}},
		{15, "nothing was changed", []string{"link", "add", path, "--fingerprint", "0000"}},
		{2, "encryption key", []string{"link", "add", unsealed}},
		{2, "--replace", []string{"link", "add", path, "--last-valid", "3"}},
		{1, "without --replace", []string{"link", "add", path, "--replace"}},
		{0, "linked to field", []string{"link", "add", path, "--fingerprint", card.Fingerprint()}},
		{0, "linked to field", []string{"link", "add", path, "--fingerprint", strings.ToUpper(card.Words())}},
		{0, card.Fingerprint(), []string{"link", "add", path}}, // a script, which compared it before
		{1, "--replace", []string{"link", "add", renewedPath}},
		{1, "another epoch", []string{"link", "add", founded}},
		{1, "another epoch", []string{"link", "add", founded, "--replace"}},
		{1, "the epoch of field", []string{"link", "add", double}},
		{1, "no bundle's number", []string{"link", "add", renewedPath, "--replace", "--last-valid", "-1"}},
		{0, renewed.Fingerprint(), []string{"link", "add", renewedPath, "--replace", "--last-valid", "7"}},
		{1, "old card", []string{"link", "add", path, "--replace"}},
		{1, "no rotation", []string{"keys", "rotate", "--finish"}},
		{0, "", []string{"keys", "rotate"}},
		{0, "field never answered", []string{"keys", "rotate", "--finish"}},
	} {
		r := call(t, append([]string{"-C", config}, step.args...)...)
		if r.code != step.code || !strings.Contains(r.stderr, step.says) {
			t.Errorf("%v: exit code %d, want %d and %q: %s%s", step.args, r.code, step.code, step.says, r.stdout, r.stderr)
		}
	}
	all := must[[]bridge.PeerKeys](t, "-C", config, "link", "list")
	if len(all) != 1 || all[0].Fingerprint != renewed.Fingerprint() || all[0].Words != renewed.Words() || len(all[0].GivenUp) != 1 || all[0].GivenUp[0].LastValid != 7 {
		t.Errorf("link list: %+v", all)
	}
	own := must[bridge.OwnKeys](t, "-C", config, "keys", "show")
	if len(own.Old) != 1 || own.Rotation != nil {
		t.Errorf("keys show: %+v", own)
	}
	shown := call(t, "-C", config, "link", "card")
	if !strings.Contains(shown.stdout, own.Fingerprint) || !strings.Contains(shown.stdout, own.Words) || !strings.Contains(shown.stdout, own.Key) {
		t.Errorf("link card: %s", shown.stdout)
	}
	noSecrets(t, filepath.Dir(config))
}

// noSecrets calls every command about keys and looks for private ones.
func noSecrets(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil || len(files) < 4 {
		t.Fatalf("keys %q, %v", files, err)
	}
	var secrets []string
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
		lines := strings.Split(strings.TrimSpace(string(readFile(t, f))), "\n")
		secrets = append(secrets, lines[min(1, len(lines)-1)])
	}
	for _, command := range []string{"keys show", "keys rotate", "link list", "link card", "link status", "config show"} {
		for _, form := range []string{"table", "json", "jsonl"} {
			r := call(t, slices.Concat([]string{"-C", filepath.Join(dir, "sallyport.yaml"), "-o", form}, strings.Fields(command))...)
			for _, s := range secrets {
				if r.code != 0 || strings.Contains(r.stdout+r.stderr, s) {
					t.Errorf("%s -o %s: exit code %d, or it shows a secret", command, form, r.code)
				}
			}
		}
	}
}

func TestTheQuestionOnATerminal(t *testing.T) {
	t.Parallel()
	card, _ := newCard(t, "field", nil)
	for answer, want := range map[string]bool{"yes\n": true, "Y\n": true, "no\n": false, "\n": false, "maybe\n": false, "yes please\n": false} {
		person, stdin := terminal(t)
		var stderr bytes.Buffer
		p := &program{stdout: &stderr, stderr: &stderr}
		if _, err := fmt.Fprint(person, answer); err != nil {
			t.Fatal(err)
		}
		err := p.compare(stdin, card, "")
		if (err == nil) != want || (err != nil && exitCode(err) != 15) {
			t.Errorf("%q: %v", answer, err)
		}
		for _, shown := range []string{card.Fingerprint(), card.Words(), "field", "yes or no"} {
			if !strings.Contains(stderr.String(), shown) {
				t.Errorf("the question does not show %q:\n%s", shown, &stderr)
			}
		}
		if err := p.compare(stdin, card, card.Words()); err != nil { // it was given: nobody is asked
			t.Error(err)
		}
		_ = stdin.Close()
	}
}
