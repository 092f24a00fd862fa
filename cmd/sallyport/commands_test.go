package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/projections/rebuild"
)

// plainLines reads a bundle as a stranger with public tools would.
func plainLines(t *testing.T, file string) [][]byte {
	t.Helper()
	d, err := zstd.NewReader(bytes.NewReader(readFile(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := io.ReadAll(d)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if path, err := exec.LookPath("zstdcat"); err == nil {
		theirs, err := exec.CommandContext(t.Context(), path, file).Output()
		if err != nil || !bytes.Equal(theirs, all) {
			t.Errorf("zstdcat reads something else: %v", err)
		}
	}
	return bytes.Split(bytes.TrimSuffix(all, []byte("\n")), []byte("\n"))
}

// keysOf lists the keys of a JSON object in their order.
func keysOf(t *testing.T, line []byte) (keys []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		keys = append(keys, key.(string))
	}
	return keys
}

// plainBundles reads what field sent: every line is what the format says.
func (c *crossing) plainBundles(t *testing.T) {
	event := []string{"pos", "id", "stream", "ver", "type", "schema", "at", "actor", "corr", "cause", "data"}
	position, events := int64(0), 0
	for _, file := range c.plain {
		m, err := readManifest(file)
		if err != nil || strings.HasSuffix(file, ".age") || m.Encryption != nil {
			t.Fatalf("%s is not plain: %v", file, err)
		}
		if m.Core.Kind != bundle.Data {
			continue
		}
		lines := plainLines(t, file)
		if keys := keysOf(t, lines[0]); !slices.Equal(keys, []string{"bundle", "salt", "events", "operator", "note"}) {
			t.Errorf("first line %s", lines[0])
		}
		for _, line := range lines[1:] {
			var l struct{ Pos, After, Through, Withheld int64 }
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			withheld := slices.Equal(keysOf(t, line), []string{"after", "through", "withheld", "chain"})
			if withheld && l.After == position && l.Withheld == l.Through-l.After {
				position = l.Through
				continue
			}
			if position++; !slices.Equal(keysOf(t, line), event) || l.Pos != position {
				t.Errorf("position %d has %s", position, line)
			}
			events++
		}
		if position != m.Core.Range.Through {
			t.Errorf("%s ends at %d, the manifest says %d", file, position, m.Core.Range.Through)
		}
	}
	if events < 3 {
		t.Errorf("%d events in all that field sent", events)
	}
}

// encryptedBundles checks what core sent with and without field's identity.
func (c *crossing) encryptedBundles(t *testing.T) {
	opened := 0
	for _, file := range c.aged {
		closed := must[bridge.Report](t, "bundle", "verify", "--card", c.core.card(), file)
		open := must[bridge.Report](t, "bundle", "verify", "--card", c.core.card(),
			"--identity", filepath.Join(c.field.dir, "keys", "identity.age"), file)
		if open.Content != "ok" || closed.Signature != "ok" || closed.Payload != "ok" || closed.ID != open.ID {
			t.Errorf("%s: %+v, opened %+v", file, closed, open)
		}
		if m, err := readManifest(file); err != nil || m.Core.Kind != bundle.Data {
			continue
		}
		if r := call(t, "bundle", "verify", "-o", "json", "--card", c.core.card(), file); strings.Contains(r.stdout, `"events"`) {
			t.Errorf("events of a payload that nobody opened are counted: %s", r.stdout)
		}
		if opened++; !strings.HasSuffix(file, ".age") || closed.Content != "unchecked" {
			t.Errorf("%s is not encrypted: %+v", file, closed)
		}
		if r := call(t, "bundle", "cat", "--card", c.core.card(), file); r.code == 0 || r.stdout != "" {
			t.Errorf("cat without an identity: exit code %d: %.80s", r.code, r.stdout)
		}
	}
	if opened < 2 {
		t.Errorf("%d encrypted bundles", opened)
	}
	if r := call(t, "bundle", "verify", "--card", c.field.card(), c.aged[0]); r.code != 15 {
		t.Errorf("with another site's card: exit code %d: %s", r.code, r.stderr)
	}
}

// commands runs each command against the running sites.
func (c *crossing) commands(t *testing.T) {
	file := c.plain[len(c.plain)-1]
	for _, s := range []site{c.field, c.core} {
		name := filepath.Base(s.dir)
		at := func(args ...string) []string { return append([]string{"-C", s.config}, args...) }
		if r := call(t, at("bundle", "export", "nobody")...); r.code != 2 || !strings.Contains(r.stderr, "nobody") || r.stdout != "" {
			t.Errorf("%s: export to nobody: exit code %d: %s%s", name, r.code, r.stdout, r.stderr)
		}
		c.several(t, at)
		if all := must[[]bridge.Listed](t, at("bundle", "list")...); len(all) < 2 {
			t.Errorf("%s: bundle list: %+v", name, all)
		}
		if r := must[bridge.Report](t, at("bundle", "verify", file)...); r.Content != "ok" || r.From != "field" || r.To != "core" {
			t.Errorf("%s: bundle verify: %+v", name, r)
		}
		if card := must[bridge.Card](t, at("link", "card")...); !bytes.Equal(card.Encode(), readFile(t, s.card())) {
			t.Errorf("%s: link card is not the card on disk", name)
		}
		if all := must[[]bridge.Status](t, at("link", "status")...); len(all) != 1 || all[0].NextAction == "" || all[0].LastContact == nil {
			t.Errorf("%s: links %+v", name, all)
		}
		for _, v := range must[[]struct {
			Origin string `json:"origin"`
			OK     bool   `json:"ok"`
		}](t, at("audit", "verify")...) {
			if !v.OK {
				t.Errorf("%s: the log of %s is wrong", name, v.Origin)
			}
		}
		if n := must[map[string]int](t, at("migrate", "status")...); n["pending"] != 0 {
			t.Errorf("%s: migrate status: %v", name, n)
		}
		for _, found := range must[[]checked](t, at("doctor")...) {
			if !found.OK || found.Detail == "" {
				t.Errorf("%s: doctor: %+v", name, found)
			}
		}
		if r := call(t, at("config", "validate")...); r.code != 0 {
			t.Errorf("%s: config validate: %s", name, r.stderr)
		}
		for _, v := range must[[]setting](t, at("config", "show")...) {
			if strings.Contains(v.Value, "postgres://") || strings.Contains(v.Value, "redis://") || v.From != s.config {
				t.Errorf("%s: config show: %+v", name, v)
			}
		}
		c.tables(t, at)
	}
	if m := must[inspected](t, "bundle", "inspect", file); m.Core.From != "field" || m.Signature != "" {
		t.Errorf("inspect: %+v", m)
	}
	if m := must[inspected](t, "bundle", "inspect", file, "--card", c.field.card()); m.Core.From != "field" || m.Signature != "ok" || m.Hashed != "ok" || m.Content != "ok" {
		t.Errorf("inspect, with the sender's card: %+v", m)
	}
	if r := call(t, "bundle", "inspect", file, "--card", c.core.card()); r.code != 15 || r.stdout != "" {
		t.Errorf("inspect, with another site's card: exit code %d, %s", r.code, r.stdout)
	}
	cat := call(t, "-C", c.core.config, "bundle", "cat", file)
	if want := bytes.Join(plainLines(t, file)[1:], []byte("\n")); cat.code != 0 || strings.TrimSuffix(cat.stdout, "\n") != string(want) {
		t.Errorf("cat is not what zstdcat gives after the first line: exit code %d\n%.300s", cat.code, cat.stdout)
	}
	scope := []string{"projections", "digest", "--requests-of", "field", "-C"}
	field, core := must[map[string]string](t, append(scope, c.field.config)...), must[map[string]string](t, append(scope, c.core.config)...)
	if len(field) < 5 || field["users"] != core["users"] || field["request_types"] != core["request_types"] {
		t.Errorf("digests: %v and %v", field, core)
	}
	made := must[[]rebuild.Rebuilt](t, "projections", "rebuild", "-C", c.field.config)
	if again := must[map[string]string](t, append(scope, c.field.config)...); len(made) < 12 || !maps.Equal(field, again) {
		t.Errorf("after a rebuild (%v), %v became %v", made, field, again)
	}
	if r := call(t, "projections", "rebuild", "nonsense", "-C", c.field.config); r.code != 2 {
		t.Errorf("a read model that there is not: exit code %d, %s", r.code, r.stderr)
	}
}

// several verifies more files than one, of which one is none.
func (c *crossing) several(t *testing.T, at func(...string) []string) {
	text := writeFile(t, t.TempDir(), "text.zst", []byte("This is no bundle at all, but long enough to hold the head of a frame."))
	r := call(t, at("bundle", "verify", "-o", "json", c.plain[0], text, c.plain[1], "/nowhere")...)
	var all []struct{ File, Content, Code, Error string }
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all) != 4 || r.code != 10 {
		t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	if all[0].Content != "ok" || all[1].Code != "damaged" || all[2].Content != "ok" || all[3].Error == "" || all[3].Code != "" {
		t.Errorf("%+v", all)
	}
}

// tables runs the commands as a person does.
func (c *crossing) tables(t *testing.T, at func(...string) []string) {
	for _, command := range []string{"bundle list", "link status", "link list", "link card", "keys show", "quarantine list", "audit verify",
		"projections digest", "projections status", "projections rebuild profiles", "migrate status", "config show", "doctor", "profile list", "requesttype list", "user list"} {
		table, lines := call(t, at(strings.Fields(command)...)...), call(t, at(append(strings.Fields(command), "-o", "jsonl")...)...)
		if table.code != 0 || table.stdout == "" || strings.HasPrefix(table.stdout, "{") && command != "link card" {
			t.Errorf("%s: exit code %d\n%s%s", command, table.code, table.stdout, table.stderr)
		}
		for line := range strings.Lines(lines.stdout) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s -o jsonl: %q", command, line)
			}
		}
	}
}

// secrets looks for passwords and their hashes in all that left core in the
// clear, and in all that was logged.
func (c *crossing) secrets(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), c.core.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT credential_hash FROM readmodel.users`)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(secrets) < len(c.dev.Accounts) {
		t.Fatalf("%d credentials, %v", len(secrets), err)
	}
	for _, a := range c.dev.Accounts {
		secrets = append(secrets, a.Password)
	}
	places := map[string][]byte{"the log": []byte(c.dev.stderr.String())}
	for _, file := range c.plain {
		places[file] = append(readFile(t, file), bytes.Join(plainLines(t, file), []byte("\n"))...)
	}
	for _, file := range c.aged {
		places[file] = readFile(t, file)
	}
	for place, text := range places {
		for _, secret := range append(secrets, c.wide.token, "argon2") {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a credential", place)
			}
		}
	}
}
