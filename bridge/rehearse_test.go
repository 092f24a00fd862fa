package bridge_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func told(all []bridge.Outcome) (got []string) {
	for _, o := range all {
		got = append(got, fmt.Sprintf("%s %s %d %s", o.File, o.State, o.Events, o.Reason))
	}
	return got
}

// tree lists all files below a site's folder with their sizes.
func (e *end) tree(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.Walk(e.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, fmt.Sprintf("%s %d", path, info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (e *end) rehearse(t *testing.T) []bridge.Outcome {
	t.Helper()
	types, files, before := e.own(t), e.tree(t), e.status(t)
	out, err := e.Rehearse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := e.status(t)
	if !slices.Equal(e.own(t), types) || !slices.Equal(e.tree(t), files) ||
		after.AppliedThrough != before.AppliedThrough || after.LastContact != before.LastContact && *after.LastContact != *before.LastContact {
		t.Error("a rehearsal changed something")
	}
	return out
}

// A rehearsal tells exactly what the import then does: in disorder, doubled,
// damaged, too early, junk, and what waits from before.
func TestARehearsalForetellsTheImport(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var made []bridge.Exported
	for range 6 {
		field.submitMany(t, 2, true)
		made = append(made, field.exportOne(t, "core"))
	}
	carry(t, field, core, made[2].File)
	core.expect(t, bridge.Held) // it waits for two
	carry(t, field, core, made[0].File)
	carry(t, field, core, made[1].File)
	bad := bytes.Clone(read(t, field, "outbox/"+made[3].File))
	bad[len(bad)-9] ^= 1
	drop(t, core, made[3].File, bad)
	carry(t, field, core, made[5].File)
	drop(t, core, nameOf("moon", 1), []byte("no bundle"))
	drop(t, core, "notes.txt", []byte("hello"))
	drop(t, core, made[0].File+".label.txt", []byte("for people"))
	// A command has seen none of what waits.
	core = &end{Bridge: newBridge(t, core.site, core.site.Store, core.dir), site: core.site, dir: core.dir}
	foretold := core.rehearse(t)
	if again := core.rehearse(t); !slices.Equal(told(foretold), told(again)) {
		t.Errorf("told otherwise the second time: %q", told(again))
	}
	if became := core.receive(t); !slices.Equal(told(foretold), told(became)) {
		t.Errorf("foretold %q\nbecame   %q", told(foretold), told(became))
	}
	carry(t, field, core, made[1].File)
	carry(t, field, core, made[3].File)
	foretold = core.rehearse(t)
	if became := core.receive(t); !slices.Equal(told(foretold), told(became)) {
		t.Errorf("foretold %q\nbecame   %q", told(foretold), told(became))
	}
}

// Single files are rehearsed where they lie, one after the other.
func TestFilesAreRehearsedWhereTheyLie(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var names []string
	for range 3 {
		field.submit(t)
		names = append(names, field.exportOne(t, "core").File)
	}
	dir := filepath.Join(field.dir, "outbox")
	files := core.tree(t)
	out, err := core.RehearseFiles(t.Context(), dir, []string{names[1], names[0], names[1]})
	if err != nil || len(out) != 3 || out[0].State != bridge.Applied || out[1].State != bridge.Applied || out[2].State != bridge.Duplicate {
		t.Errorf("%q, %v", told(out), err)
	}
	if out, err := core.RehearseFiles(t.Context(), dir, []string{names[2]}); err != nil || len(out) != 1 || out[0].State != bridge.Held || out[0].Reason == "" {
		t.Errorf("too early: %q, %v", told(out), err)
	}
	if _, err := core.RehearseFiles(t.Context(), dir, []string{"nothing"}); err == nil {
		t.Error("a file that there is not was rehearsed")
	}
	if !slices.Equal(core.tree(t), files) {
		t.Error("something was written")
	}
}

// A signed bundle against the rules stops the link on paper alone.
func TestARehearsalStopsNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	site := said(domain.SiteStream("moon"), "site.link_stopped", `{"peer":"core","reason":"none"}`)
	forgery{from: field, events: []bundle.Event{site}}.deliver(t, core)
	out := core.rehearse(t)
	if len(out) != 1 || out[0].State != bridge.Quarantined || bundle.CodeOf(out[0].Err) != bundle.Refused {
		t.Fatalf("%q", told(out))
	}
	if l := core.link(t, "field"); l.Stopped != "" {
		t.Errorf("stopped: %s", l.Stopped)
	}
	core.expect(t, bridge.Quarantined)
	if l := core.link(t, "field"); l.Stopped == "" {
		t.Error("the import did not stop it")
	}
}
