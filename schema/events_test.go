package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/domain"
	"sallyport/schema"
	"sallyport/schema/schematest"
)

const goldenDir = "../domain/testdata/events"

func load(t testing.TB) *schema.Events {
	t.Helper()
	e, err := schema.LoadEvents()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSchemaAcceptsEveryGoldenFile(t *testing.T) {
	t.Parallel()
	events := load(t)
	for _, g := range schematest.Goldens(t, goldenDir) {
		for _, data := range [][]byte{g.Realistic, g.Minimal} {
			if err := events.Validate(g.Type, g.Version, data); err != nil {
				t.Errorf("%s: %v", data, err)
			}
		}
	}
}

func TestSchemaRefusesEveryBrokenGoldenFile(t *testing.T) {
	t.Parallel()
	events := load(t)
	for _, g := range schematest.Goldens(t, goldenDir) {
		t.Run(g.File(), func(t *testing.T) {
			t.Parallel()
			broken := g.Break(t)
			if len(broken) < 6 && string(g.Realistic) != "{}" {
				t.Fatalf("only %d ways to break it were found", len(broken))
			}
			for _, b := range broken {
				var refused *schema.EventError
				if err := events.Validate(g.Type, g.Version, b.Data); !errors.As(err, &refused) {
					t.Errorf("%s was accepted (%v): %s", b.What, err, b.Data)
				}
			}
		})
	}
}

func TestSchemaFilesAreWellFormed(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("events/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no schema file (%v)", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v := strings.TrimSuffix(filepath.Base(name), ".json")
		i := strings.LastIndex(v, ".v")
		id := fmt.Sprintf(`"$id": "urn:sallyport:event:%s:v%s"`, v[:i], v[i+2:])
		for _, want := range []string{id, `"$schema": "https://json-schema.org/draft/2020-12/schema"`, `"additionalProperties": false`, `"description"`} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	events := load(t)
	const user = `{"username":%q,"email":"a@b","full_name":"","role":"user","profile":"aa","credential":{"algorithm":"bcrypt","hash":%q}%s}`
	for _, c := range []struct{ name, data, pointer, rule string }{
		{"pattern", fmt.Sprintf(user, "A", "x", ""), "/username", "pattern"},
		{"first of several", fmt.Sprintf(user, "A", strings.Repeat("x", 513), ""), "/credential/hash", "maxLength"},
		{"unknown member", fmt.Sprintf(user, "abc", "x", `,"admin":true`), "", `additionalProperties: ["admin"]`},
		{"missing members", `{}`, "", "required: credential, email, full_name, profile, role, username"},
		{"double member", fmt.Sprintf(user, "abc", "x", `,"role":"admin"`), "", "is no JSON object"},
		{"a list", `[]`, "", "is no JSON object"},
		{"nothing", ``, "", "is no JSON object"},
		{"cut off", `{"username":"abc"`, "", "is no JSON object"},
		{"two values", fmt.Sprintf(user, "abc", "x", "") + "{}", "", "is no JSON object"},
		{"space behind", fmt.Sprintf(user, "abc", "x", "") + " ", "", "is no JSON object"},
		{"invalid UTF-8", fmt.Sprintf(user, "abc", "x", ",\"\xff\":1"), "", "is no JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := events.Validate("user.registered", 1, []byte(c.data))
			var refused *schema.EventError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want an EventError", err)
			}
			if refused.Pointer != c.pointer || !strings.HasPrefix(refused.Rule, c.rule) {
				t.Errorf("got %q %q, want %q %q", refused.Pointer, refused.Rule, c.pointer, c.rule)
			}
		})
	}
}

func TestValidateNeverShowsTheData(t *testing.T) {
	t.Parallel()
	events := load(t)
	const secret = "hunter2-hash with space"
	data := `{"username":"abc","email":"a@b","full_name":"","role":"user","profile":"aa","credential":{"algorithm":"bcrypt","hash":"` + secret + `"}}`
	err := events.Validate("user.registered", 1, []byte(data))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("the message shows the credential, or there is none: %v", err)
	}
}

func TestValidateAsksForAnUpgrade(t *testing.T) {
	t.Parallel()
	events := load(t)
	for _, v := range []struct {
		eventType string
		number    int
	}{{"user.promoted", 1}, {"user.registered", 2}, {"user.registered", 0}, {"", 1}} {
		var unknown *domain.UnknownEventError
		if err := events.Validate(v.eventType, v.number, []byte(`{}`)); !errors.As(err, &unknown) || unknown.Type != v.eventType || unknown.Schema != v.number {
			t.Errorf("%v: got %v, want an UnknownEventError", v, err)
		}
	}
}

// recorded is an answer with the given result.
func recorded(result string) []byte {
	return []byte(`{"status":"answered","result":` + result +
		`,"result_count":1,"took_ms":1,"truncated":false,"responder":"sql","cached":false,"content_type":"application/json"}`)
}

func TestResultMayBeAnyJSON(t *testing.T) {
	t.Parallel()
	events := load(t)
	for _, ok := range []string{`null`, `1`, `"x"`, `[]`, `{"result":{"status":1e999}}`, `[1e400]`, strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if err := events.Validate("response.recorded", 1, recorded(ok)); err != nil {
			t.Errorf("result %.40s: %v", ok, err)
		}
	}
	for _, bad := range []string{``, `{`, `"` + "\xff" + `"`, `nil`, `1,"result":2`, `1,"took_ms":1`} {
		if err := events.Validate("response.recorded", 1, recorded(bad)); err == nil {
			t.Errorf("result %q was accepted", bad)
		}
	}
}

// TestLargeResultIsNotDecoded: an answer's names are looked at when its line
// enters a log; a second look would cost ten times the answer. The memory for an answer of 8 MiB stays far
// below what its decoded form would take.
func TestLargeResultIsNotDecoded(t *testing.T) {
	events := load(t)
	row := `{"iata":"AMS","name":"Amsterdam Schiphol","elevation_ft":-11},`
	var names strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&names, `"%d":0,`, i)
	}
	if err := events.Validate("response.recorded", 1, recorded("1")); err != nil { // which compiles the schema
		t.Fatal(err)
	}
	data := recorded("[" + strings.Repeat(row, (8<<20)/len(row)) + "{" + names.String() + `"x":0}]`)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := events.Validate("response.recorded", 1, data); err != nil {
				b.Fatal(err)
			}
		}
	})
	if got := result.AllocedBytesPerOp(); got > 64<<10 {
		t.Errorf("validating %d bytes allocated %d, want at most 64 KiB", len(data), got)
	}
}

func TestNumbersOutOfRangeAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	events := load(t)
	for _, n := range []string{"1e999999999", "-1e999999999", "0.5", "3e9", "9223372036854775808"} {
		data := `{"responder":"sql","attempt":` + n + `,"worker":"w"}`
		if err := events.Validate("response.started", 1, []byte(data)); err == nil {
			t.Errorf("attempt %s was accepted", n)
		}
	}
}

func TestDeepDataIsRefused(t *testing.T) {
	t.Parallel()
	events := load(t)
	nested := func(n int) []byte {
		return []byte(`{"name":"aa","title":"A","description":"","version":1,"max_results":1,"public":true,"parameters":` +
			strings.Repeat(`{"a":`, n) + `1` + strings.Repeat(`}`, n+1))
	}
	if err := events.Validate("requesttype.defined", 1, nested(63)); err != nil {
		t.Errorf("depth 64: %v", err)
	}
	if err := events.Validate("requesttype.defined", 1, nested(64)); err == nil {
		t.Error("depth 65 was accepted")
	}
}

func FuzzValidate(f *testing.F) {
	events := load(f)
	for _, g := range schematest.Goldens(f, goldenDir) {
		f.Add(g.Type, []byte(g.Realistic))
		f.Add(g.Type, []byte(g.Minimal))
	}
	if seeds, err := fs.Glob(os.DirFS("testdata/fuzz/FuzzValidate"), "*"); err != nil || len(seeds) == 0 {
		f.Fatalf("no seed corpus (%v)", err)
	}
	f.Fuzz(func(t *testing.T, eventType string, data []byte) {
		kind, _ := domain.KindOf(eventType)
		for version := 1; version <= kind.Schema; version++ {
			if events.Validate(eventType, version, data) != nil {
				continue
			}
			if _, err := domain.Decode(domain.Event{Type: eventType, Schema: version, Data: data}); err != nil && !strings.Contains(err.Error(), "into Go struct field") {
				t.Errorf("the schema accepts what cannot be read: %s: %v", data, err)
			}
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	events := load(b)
	for _, g := range schematest.Goldens(b, goldenDir) {
		b.Run(g.File(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(g.Realistic)))
			for b.Loop() {
				if err := events.Validate(g.Type, g.Version, g.Realistic); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
