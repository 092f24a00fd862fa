package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge"
	"sallyport/bridge/media"
)

// media carries a request across on a medium, as operators do.
func (c *crossing) media(t *testing.T) {
	dir := t.TempDir()
	c.wide.submit(t, "airport", `{"iata":"AMS"}`).want(t, 202)
	must[[]bridge.Exported](t, "-C", c.field.config, "bundle", "export")
	c.writeMedium(t, dir)
	c.readMedium(t, dir)
	c.mixUps(t, dir)
	for _, s := range []site{c.field, c.core} {
		c.inCustody(t, s)
	}
}

func (c *crossing) writeMedium(t *testing.T, dir string) {
	at := []string{"-C", c.field.config, "media", "write", dir}
	dry := must[bridge.MediumWritten](t, append(at, "--dry-run")...)
	if len(bundlesOf(dry)) == 0 || dry.Peer != "core" || !dry.DryRun {
		t.Fatalf("dry run: %+v", dry)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the dry run left %v, %v", left, err)
	}
	r := call(t, append(at, "--serial", "blue 7", "-o", "json")...)
	var w bridge.MediumWritten
	if err := json.Unmarshal([]byte(r.stdout), &w); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	if !slices.Equal(bundlesOf(w), bundlesOf(dry)) || w.Serial.Text != "blue 7" || w.Serial.From != media.ByOperator || !w.New {
		t.Errorf("%+v", w)
	}
	said, progress := strings.Split(strings.TrimSpace(r.stderr), "\n"), 0
	for _, line := range said {
		var p progressLine
		if strings.HasPrefix(line, `{"doing"`) {
			decodeStrictly(t, []byte(line), &p)
			progress++
			if p.Total == 0 || p.Done > p.Total {
				t.Errorf("%s", line)
			}
		}
	}
	if progress < 2 {
		t.Errorf("stderr tells no progress:\n%s", r.stderr)
	}
	if table := call(t, at...); table.code != 0 || !strings.Contains(table.stdout, "present") || !strings.Contains(table.stdout, "next:") {
		t.Errorf("exit code %d\n%s%s", table.code, table.stdout, table.stderr)
	}
}

// bundlesOf names the bundles on a medium; a beacon may be written at any time.
func bundlesOf(w bridge.MediumWritten) (names []string) {
	for _, f := range w.Files {
		if !f.Beacon {
			names = append(names, f.Name)
		}
	}
	return names
}

func (c *crossing) readMedium(t *testing.T, dir string) {
	link := "sp1_field-core_01234567_0000009999.jsonl.zst"
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, link)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "a\x1b[2J", nil)
	at := []string{"-C", c.core.config, "media", "read", dir}
	before := must[[]bridge.Status](t, "-C", c.core.config, "link", "status")[0].AppliedThrough
	for _, args := range [][]string{append(at, "--dry-run"), at} {
		r := call(t, args...)
		if r.code != 16 || !strings.Contains(r.stderr, link) || !strings.Contains(r.stdout, "symbolic link") || strings.Contains(r.stdout, "\x1b") {
			t.Errorf("exit code %d\n%q\n%s", r.code, r.stdout, r.stderr)
		}
	}
	if err := os.Remove(filepath.Join(dir, link)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the arrival of what the medium brought", func() bool {
		return must[[]bridge.Status](t, "-C", c.core.config, "link", "status")[0].AppliedThrough > before
	})
	again := must[media.Taken](t, at...) // the site has it: it is a duplicate, which changes nothing
	if !slices.ContainsFunc(again.Files, func(f media.Found) bool { return f.State == media.Copied && f.Seq > 0 }) || again.Serial.From == media.OfNothing {
		t.Errorf("%+v", again)
	}
}

func (c *crossing) mixUps(t *testing.T, dir string) {
	r := call(t, "-C", c.core.config, "media", "write", dir)
	if r.code != 16 || !strings.Contains(r.stderr, "--any-pool") || r.stdout != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r = call(t, "-C", c.core.config, "media", "write", dir, "--any-pool")
	if r.code != 0 || !strings.Contains(r.stderr, "WARNING: the medium belongs to another direction") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	r = call(t, "-C", c.field.config, "media", "read", dir, "--dry-run")
	if r.code != 0 || !strings.Contains(r.stderr, "LEAVES field") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, wrong := range []struct {
		code int
		args []string
	}{
		{2, []string{"write", dir, "--serial", "a\x1bb"}},
		{2, []string{"read", dir, "--serial", "a\nb"}},
		{2, []string{"write", dir, "--peer", "moon"}},
		{2, []string{"write"}},
		{2, []string{"read", dir, dir}},
		{1, []string{"write", filepath.Join(dir, "nowhere")}},
		{1, []string{"read", filepath.Join(dir, "nowhere")}},
	} {
		if r := call(t, append([]string{"-C", c.field.config, "media"}, wrong.args...)...); r.code != wrong.code || r.stdout != "" {
			t.Errorf("%q: exit code %d\n%s%s", wrong.args, r.code, r.stdout, r.stderr)
		}
	}
}

// inCustody looks for a site's own events about media.
func (c *crossing) inCustody(t *testing.T, s site) {
	conn, err := pgx.Connect(t.Context(), s.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var written, read, abroad int
	err = conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE type = 'media.written' AND origin = $1), count(*) FILTER (WHERE type = 'media.read' AND origin = $1),
		count(*) FILTER (WHERE origin <> $1) FROM events WHERE stream LIKE 'custody-%'`, filepath.Base(s.dir)).Scan(&written, &read, &abroad)
	if err != nil || abroad > 0 || s == c.field && written != 2 || s == c.core && read != 2 {
		t.Errorf("%s: %d written, %d read, %d of another site, %v", s.dir, written, read, abroad, err)
	}
}
