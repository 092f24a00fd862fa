package schematest

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sallyport/schema"
)

// Older returns the schemas of a program that does not know some versions yet,
// each as `<type>.v<N>`. dir is the folder schema of this module.
func Older(t testing.TB, dir string, without ...string) *schema.Events {
	t.Helper()
	files := fstest.MapFS{}
	entries, err := os.ReadDir(path.Join(dir, "events"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(without, strings.TrimSuffix(e.Name(), ".json")) {
			continue
		}
		text, err := os.ReadFile(path.Join(dir, "events", e.Name())) // #nosec G304 -- a file of this module
		if err != nil {
			t.Fatal(err)
		}
		files["events/"+e.Name()] = &fstest.MapFile{Data: text}
	}
	if len(files) != len(entries)-len(without) {
		t.Fatalf("%q are not all in %s", without, dir)
	}
	older, err := schema.ReadEvents(files)
	if err != nil {
		t.Fatal(err)
	}
	return older
}
