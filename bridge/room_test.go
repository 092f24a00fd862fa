package bridge_test

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Whatever the limits are, every plan can be written, and its receiver takes it
// under the same limits.
func TestAPlanIsAlwaysWritable(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 30_000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		limits bundle.Limits
		long   int
	}{
		"runs count as lines":        {limits: bundle.Limits{Lines: 7}},
		"no more bytes than allowed": {limits: bundle.Limits{Plain: 160 << 10}, long: 12},
		"no larger file":             {limits: bundle.Limits{File: 160 << 10}, long: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, core := pair(t)
			field.Limits, core.Limits = c.limits, c.limits
			field.submitMany(t, 20, true)
			for range c.long {
				large := requested()
				large.Params = []byte(`{"x":"` + base64.StdEncoding.EncodeToString(noise) + `"}`)
				field.append(t, domain.RequestStream(large.User), large)
			}
			out := field.export(t, "core")
			if len(out) < 3 {
				t.Fatalf("%d bundles", len(out))
			}
			states := make([]string, len(out))
			for i, e := range out {
				carry(t, field, core, e.File)
				states[i] = bridge.Applied
			}
			core.expect(t, states...)
			sameChain(t, field, core)
		})
	}
}

// A tail of withheld events is read once: damage in it is not met again, and
// what is then appended goes on from its end.
func TestAnIdleLinkReadsNothing(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submitMany(t, 3, true)
	carry(t, field, core, field.exportOne(t, "core").File)
	field.append(t, domain.RequestNameStream("ann", "x"), domain.RequestNameClaimed{Request: "x"})
	through := field.head(t).Pos
	if out := field.export(t, "core"); len(out) != 0 {
		t.Fatalf("withheld events made %+v due", out)
	}
	for _, sql := range []string{`ALTER TABLE events DISABLE TRIGGER ALL`, `CREATE TABLE lost AS SELECT * FROM events WHERE pos = $1`, `DELETE FROM events WHERE pos = $1`} {
		sql = strings.ReplaceAll(sql, "$1", strconv.FormatInt(through, 10))
		if _, err := field.site.Owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if out := field.export(t, "core"); len(out) != 0 {
		t.Fatalf("exported %+v", out)
	}
	if _, err := field.site.Owner.Exec(t.Context(), `INSERT INTO events SELECT * FROM lost`); err != nil {
		t.Fatal(err)
	}
	field.submit(t)
	out := field.exportOne(t, "core")
	if out.Events != 1 || out.Withheld != 2 {
		t.Errorf("exported %+v", out)
	}
	carry(t, field, core, out.File)
	core.expect(t, bridge.Applied, bridge.Applied)
	sameChain(t, field, core)
}

// What the schemas call a password hash is secret in the catalogue.
func TestPasswordHashesAreSecret(t *testing.T) {
	t.Parallel()
	found := 0
	for _, k := range domain.Catalogue() {
		data, err := os.ReadFile(filepath.Join("..", "schema", "events", k.Type+".v1.json"))
		if err != nil {
			t.Fatal(err)
		}
		hash := regexp.MustCompile(`"[a-z_]*(password|hash|secret)[a-z_]*"\s*:\s*\{`).Match(data)
		if hash {
			found++
		}
		if k.Secret != hash {
			t.Errorf("%s: secret %v, its schema has a hash: %v", k.Type, k.Secret, hash)
		}
	}
	if found == 0 {
		t.Error("no schema has a password hash: the pattern is wrong")
	}
}
