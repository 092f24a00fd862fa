package dev

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/boot"
)

// What a person adds to a dev site's responders is there after the next start.
func TestWhatMayBeAskedIsKept(t *testing.T) {
	t.Parallel()
	e := &End{Name: "core", Dir: t.TempDir()}
	if kept, err := e.keptResponders(); err != nil || !cmp.Equal(kept, boot.Responders{}) {
		t.Errorf("of no file: %+v, %v", kept, err)
	}
	mine := boot.Source{URL: "postgres://reader@/mine"}
	first := boot.Config{Site: "core", Responders: with(boot.Responders{}, "mine", mine)}
	first.Responders.Services = map[string]boot.Service{"orders": {URL: "http://127.0.0.1:9000"}}
	if err := first.Write(e.ConfigPath()); err != nil {
		t.Fatal(err)
	}
	kept, err := e.keptResponders()
	if err != nil {
		t.Fatal(err)
	}
	want := first.Responders
	want.Sources = map[string]boot.Source{"mine": mine, sourceName: {URL: "postgres://reader@/airports"}}
	if d := cmp.Diff(want, with(kept, sourceName, boot.Source{URL: "postgres://reader@/airports"})); d != "" {
		t.Error(d)
	}
	if err := os.WriteFile(e.ConfigPath(), []byte("responders: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.keptResponders(); err == nil || !strings.Contains(err.Error(), "mend it") {
		t.Errorf("of a broken file: %v", err)
	}
}
