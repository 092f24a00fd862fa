// Package schematest reads the golden files of events and breaks them: every
// event version ever written has one, and must be readable for ever.
//
//	domain/testdata/events/<type>.v<N>.json          {"realistic": {…}, "minimal": {…}}
//	domain/testdata/events/<type>.v<N>+<variant>.json   the same, where data has several forms
//
// The two are the data of an event, byte for byte as the log holds it. minimal
// holds no member that may be left out.
package schematest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sallyport/domain"
)

// Golden is one golden file.
type Golden struct {
	Type      string
	Version   int
	Variant   string // empty for the first form
	Realistic json.RawMessage
	Minimal   json.RawMessage
}

// Name returns `<type>.v<N>`.
func (g Golden) Name() string { return g.Type + ".v" + strconv.Itoa(g.Version) }

// File returns the name of the golden file.
func (g Golden) File() string {
	if g.Variant == "" {
		return g.Name() + ".json"
	}
	return g.Name() + "+" + g.Variant + ".json"
}

// Goldens reads all golden files of a folder. It fails the test if there is
// none: a suite that lost its files must not be green.
func Goldens(t testing.TB, dir string) []Golden {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden file in %s (%v)", dir, err)
	}
	goldens := make([]Golden, 0, len(names))
	for _, name := range names {
		goldens = append(goldens, read(t, name))
	}
	return goldens
}

func read(t testing.TB, name string) Golden {
	t.Helper()
	base, variant, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".json"), "+")
	eventType, number, ok := cutLast(base, ".v")
	version, err := strconv.Atoi(number)
	if !ok || err != nil {
		t.Fatalf("%s is not named <type>.v<N>.json", name)
	}
	text, err := os.ReadFile(name) // #nosec G304 -- a file of this module
	if err != nil {
		t.Fatal(err)
	}
	g := Golden{Type: eventType, Version: version, Variant: variant}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if g.Type != eventType || g.Version != version || g.Variant != variant || g.Realistic == nil || g.Minimal == nil {
		t.Fatalf("%s does not hold exactly realistic and minimal", name)
	}
	return g
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Present returns the version of a type that is written now; 1 of a type that
// nobody knows.
func Present(eventType string) int {
	k, _ := domain.KindOf(eventType)
	return max(k.Schema, 1)
}
