package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fsnotify/fsnotify"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
)

// TestKilledInTheMiddleOfAFile kills the program as soon as a file appears: a
// scratch file, a finished one, a copy in staging, one in quarantine.
func TestKilledInTheMiddleOfAFile(t *testing.T) {
	t.Parallel()
	exports := []moment{{"outbox/.tmp", "core-"}, {"outbox/.tmp", "sp1_"}, {"outbox", "sp1_"}, {"outbox", "label.txt"}}
	imports := []moment{{"staging", "."}, {"staging", "_sp1_"}, {"receipts", "."}, {"receipts", "receipt.json"}, {"quarantine", "-"}}
	s := newSweep(t)
	s.round(t, 2, untouched, untouched)
	for n := range max(len(exports), len(imports)) {
		e, i := exports[n%len(exports)], imports[n%len(imports)]
		s.damagedCopyArrives(t)
		s.round(t, 500, e.killing(), i.killing())
		if t.Failed() {
			t.Fatalf("after kills at %v and %v", e, i)
		}
	}
	s.quarantineIsWhole(t, max(len(exports), len(imports)))
	s.allIsWell(t)
}

func untouched(t *testing.T, on *station, what string) {
	t.Helper()
	on.must(t, "bundle", what)
}

// moment is when a file appears in a folder whose name has this in it.
type moment struct{ folder, name string }

// killing runs the program and kills it at the moment.
func (m moment) killing() killer {
	return func(t *testing.T, on *station, what string) {
		t.Helper()
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		watch, err := fsnotify.NewWatcher()
		if err == nil {
			err = watch.Add(filepath.Join(on.dir, m.folder))
		}
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan bool, 1)
		go func() {
			came <- m.wait(watch.Events)
			kill()
		}()
		r := ended(t, on.command(ctx, "bundle", what))
		if err := watch.Close(); err != nil {
			t.Error(err)
		}
		if !<-came {
			t.Errorf("no file %q came to %s: exit code %d\n%s", m.name, m.folder, r.code, r.stderr)
		}
		t.Logf("%s/…%s…: exit code %d", m.folder, m.name, r.code) // not -1 if it was quicker
	}
}

func (m moment) wait(events <-chan fsnotify.Event) bool {
	for e := range events {
		if e.Has(fsnotify.Create) && strings.Contains(filepath.Base(e.Name), m.name) {
			return true
		}
	}
	return false
}

// damagedCopyArrives puts a bundle of before, with a bit flipped, into the inbox
// of core.
func (s *sweep) damagedCopyArrives(t *testing.T) {
	t.Helper()
	name := s.field.bundles(t, "outbox")[0]
	raw := readFile(t, filepath.Join(s.field.dir, "outbox", name))
	raw[len(raw)-5] ^= 1
	s.core.drop(t, name, raw)
}

// quarantineIsWhole holds that each damaged copy is there once, with its reason.
func (s *sweep) quarantineIsWhole(t *testing.T, n int) {
	t.Helper()
	ids := s.core.names(t, "quarantine")
	for _, id := range ids {
		files := s.core.names(t, "quarantine/"+id)
		var reason bridge.Reason
		decodeStrictly(t, readFile(t, filepath.Join(s.core.dir, "quarantine", id, "reason.json")), &reason)
		if len(files) != 2 || !slices.Contains(files, reason.File) || reason.Code != bundle.Damaged {
			t.Errorf("quarantine/%s holds %q: %+v", id, files, reason)
		}
	}
	var listed []bridge.Reason
	decodeInto(t, s.core.must(t, "quarantine", "list").stdout, &listed)
	if len(ids) < n || len(listed) != len(ids) {
		t.Errorf("%d damaged copies came, %d are in quarantine, %d are listed", n, len(ids), len(listed))
	}
}
