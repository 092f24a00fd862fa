package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/demo"
	"sallyport/internal/pgdev/pgtest"
)

// The main job, proven by the program itself: the same that `make demo` runs.
func TestDemo(t *testing.T) {
	t.Parallel()
	r := call(t, "dev", "--demo", "-o", "json", "--data", pgtest.Folder(t))
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var s demo.Summary
	decodeStrictly(t, []byte(lines[len(lines)-1]), &s)
	for what, ok := range map[string]bool{
		"at least 200 requests":       s.Requests >= 200,
		"all answered":                s.Answered == s.Requests && s.Failed == 0,
		"at least 120 find something": s.Found >= 120,
		"at least 20 find nothing":    s.Empty >= 20 && s.Found+s.Empty == s.Answered,
		"exactly one is refused":      s.Refused == 1,
		"bundles went both ways":      s.BundlesCarried >= 4,
		"logs and mirrors verify":     s.LogsVerified,
		"read models are equal":       s.DigestsEqual,
		"the damaged copy is refused": s.DamageRefused,
		"it tells how long it took":   s.Seconds > 0,
	} {
		if !ok {
			t.Errorf("not so: %s: %+v", what, s)
		}
	}
	for _, key := range []string{`"requests"`, `"answered"`, `"failed"`, `"bundles_carried"`, `"logs_verified"`, `"digests_equal"`, `"seconds"`} {
		if !bytes.Contains([]byte(r.stdout), []byte(key)) {
			t.Errorf("the summary lacks %s of the contract", key)
		}
	}
}

// A site that cannot run tells why, not that nobody can log in there.
func TestDevTellsWhyASiteEnded(t *testing.T) {
	t.Parallel()
	data := pgtest.Folder(t)
	core := filepath.Join(data, "core")
	if err := os.Mkdir(core, 0o711); err != nil { //nolint:gosec // PostgreSQL's account must reach its cluster in it
		t.Fatal(err)
	}
	given := "responders: {services: {orders: {url: https://orders.example, header_files: {X-Key: /nowhere/key}}}}\n"
	if err := os.WriteFile(filepath.Join(core, "sallyport.yaml"), []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call(t, "dev", "--request-port", "0", "--response-port", "0", "-o", "json", "--data", data)
	if r.code != 3 || !strings.Contains(r.stderr, "sallyport: read a secret of the configuration: open /nowhere/key") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}
