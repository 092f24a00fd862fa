package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/pgdev/pgtest"
)

// operator is a dev mode in which an operator carries, loses and repairs by
// commands alone; the bridges of the sites run beside them.
type operator struct {
	field, core site
}

// TestOperator does what docs/operators.md tells a new operator. The steps
// build on one another.
func TestOperator(t *testing.T) {
	t.Parallel()
	dev := startDev(t, pgtest.Folder(t), "--carry", "manual", "--request-port", "0", "--response-port", "0")
	o := &operator{}
	for name, s := range map[string]*site{"field": &o.field, "core": &o.core} {
		ready := dev.Sites[name]
		*s = site{caller{url: ready.URL}, ready.Config, filepath.Dir(ready.Config), ready.Postgres}
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"first bundles cross", o.firstBundles}, {"a lost one is told and healed", o.lost}, {"again by hand", o.resend},
		{"lists", o.lists}, {"prune", o.prune}, {"stop and resume", o.stop}, {"withhold", o.withhold}, {"remove", o.remove},
	} {
		if !t.Run(step.name, step.run) {
			t.Fatalf("the steps after %q need it; dev said:\n%s", step.name, dev.stderr)
		}
	}
	dev.finish(t)
}

func at(s site, args ...string) []string { return append([]string{"-C", s.config}, args...) }

func (s site) status(t *testing.T) bridge.Status {
	t.Helper()
	all := must[[]bridge.Status](t, at(s, "link", "status")...)
	if len(all) != 1 {
		t.Fatalf("%d links", len(all))
	}
	return all[0]
}

// fails runs a command that must fail with a code and say what to do.
func fails(t *testing.T, code int, says string, args ...string) {
	t.Helper()
	r := call(t, args...)
	if r.code != code || !strings.Contains(r.stderr, says) || r.stdout != "" {
		t.Errorf("sallyport %v: exit code %d, want %d and %q:\n%s%s", args, r.code, code, says, r.stdout, r.stderr)
	}
}

// table runs a command as a person does, on a screen of 80 columns.
func table(t *testing.T, args ...string) string {
	t.Helper()
	r := call(t, args...)
	if r.code != 0 {
		t.Fatalf("sallyport %v: exit code %d\n%s", args, r.code, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		if n := len(strings.TrimSuffix(line, "\n")); n > screenWidth && !strings.Contains(line, "/") {
			t.Errorf("sallyport %v: %d columns: %s", args, n, line)
		}
	}
	return r.stdout
}

// carry moves all that the status names, again and again, until what is waited
// for has come.
func (o *operator) carry(t *testing.T, from, to site, what string, come func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		for _, f := range from.status(t).Carry {
			err := os.Rename(filepath.Join(from.dir, "outbox", f.File), filepath.Join(to.dir, "inbox", f.File))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		return come()
	})
}

func (o *operator) firstBundles(t *testing.T) {
	if text := table(t, at(o.field, "link", "status")...); !strings.Contains(text, "to carry") || !strings.Contains(text, "bundle 1") {
		t.Errorf("link status:\n%s", text)
	}
	o.carry(t, o.field, o.core, "the first bundle's arrival", func() bool { return o.core.status(t).AppliedSeq == 1 })
	o.carry(t, o.core, o.field, "core's word", func() bool { return o.field.status(t).AckedSeq == 1 })
	if r := call(t, at(o.field, "link", "status", "--check")...); r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// append puts an event into field's log that crosses, and waits for its bundle.
func (o *operator) append(t *testing.T, stream string, reason string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), o.field.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	log, err := eventstore.Open(t.Context(), pool, eventstore.Config{CheckLine: func(l []byte) error { return bundle.CheckLine(l, bundle.Limits{}) }})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	before := o.field.status(t).ExportedSeq
	_, err = log.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.Any,
		Facts: []domain.Fact{domain.LinkResumed{Peer: "core", Reason: reason}}}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bundle's export", func() bool { return o.field.status(t).ExportedSeq > before })
}

func (o *operator) lost(t *testing.T) {
	for range 2 {
		o.append(t, domain.SiteStream("field"), "a test")
	}
	lying := slices.DeleteFunc(o.field.status(t).Carry, func(f bridge.Outgoing) bool { return f.Beacon })
	gone := lying[0]
	if err := os.Remove(filepath.Join(o.field.dir, "outbox", gone.File)); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(o.field.dir, "outbox", lying[1].File)
	if out := must[[]bridge.Outcome](t, at(o.core, "bundle", "import", "--dry-run", next, next+".label.txt")...); len(out) != 2 ||
		out[0].State != bridge.Ignored || out[1].State != bridge.Held {
		t.Errorf("foretold %+v", out)
	}
	if len(o.core.status(t).Held) > 0 {
		t.Error("a dry run held a bundle")
	}
	bad := readFile(t, next)
	bad[len(bad)-9] ^= 1
	damaged := writeFile(t, t.TempDir(), filepath.Base(next), bad)
	if r := call(t, at(o.core, "bundle", "import", "--dry-run", damaged)...); r.code != 10 || !strings.Contains(r.stderr, "would be quarantined") {
		t.Errorf("a damaged one: exit code %d: %s", r.code, r.stderr)
	}
	o.carry(t, o.field, o.core, "the gap", func() bool {
		s := o.core.status(t)
		return len(s.Held) == 1 && slices.Equal(s.Missing, []int64{gone.Seq})
	})
	if r := call(t, at(o.core, "link", "status", "--check")...); r.code != 12 || !strings.Contains(r.stderr, "next:") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	o.carry(t, o.core, o.field, "the bundle that was lost, made again", func() bool {
		return slices.ContainsFunc(o.field.status(t).Carry, func(f bridge.Outgoing) bool { return f.File == gone.File })
	})
	o.carry(t, o.field, o.core, "both", func() bool {
		s := o.core.status(t)
		return s.AppliedSeq == gone.Seq+1 && len(s.Missing)+len(s.Held) == 0
	})
}

func (o *operator) resend(t *testing.T) {
	made := must[[]bridge.Exported](t, at(o.field, "bundle", "resend", "core", "1-2")...)
	if len(made) != 2 || made[0].Seq != 1 || !made[1].Again || made[0].Bytes == 0 {
		t.Errorf("%+v", made)
	}
	fails(t, 2, "bundle list", at(o.field, "bundle", "resend", "core", "2", "77")...)
	fails(t, 2, "3-7", at(o.field, "bundle", "resend", "core", "two")...)
	fails(t, 2, "link list", at(o.field, "bundle", "resend", "moon", "1")...)
	if due := must[[]bridge.Exported](t, at(o.field, "bundle", "export", "--dry-run")...); len(due) != 0 {
		t.Errorf("due: %+v", due)
	}
	if text := table(t, at(o.field, "bundle", "export", "core", "--dry-run")...); !strings.Contains(text, "nothing is due") {
		t.Errorf("%s", text)
	}
	fails(t, 2, "moon", at(o.field, "bundle", "export", "moon", "--dry-run")...)
}

func (o *operator) lists(t *testing.T) {
	all := must[[]bridge.Listed](t, at(o.field, "bundle", "list", "--peer", "core", "--direction", "out")...)
	if len(all) < 3 || all[len(all)-1].State != "acknowledged" {
		t.Fatalf("%+v", all)
	}
	r := call(t, at(o.field, "bundle", "list", "--direction", "out", "--limit", "1", "-o", "jsonl")...)
	_, cursor, more := strings.Cut(strings.TrimSpace(r.stderr), "--cursor ")
	if r.code != 0 || !more || strings.Count(r.stdout, "\n") != 1 {
		t.Fatalf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if rest := must[[]bridge.Listed](t, at(o.field, "bundle", "list", "--direction", "out", "--cursor", cursor)...); !slices.Equal(rest, all[1:]) {
		t.Errorf("the next page: %+v", rest)
	}
	if text := table(t, at(o.field, "bundle", "list", "--state", "held")...); !strings.Contains(text, "no bundles") {
		t.Errorf("%s", text)
	}
	fails(t, 2, "use one of", at(o.field, "bundle", "list", "--state", "lost")...)
	fails(t, 2, "out or in", at(o.field, "bundle", "list", "--direction", "up")...)
	fails(t, 2, "without one", at(o.field, "bundle", "list", "--cursor", "abc")...)
}

func (o *operator) prune(t *testing.T) {
	fails(t, 2, "negative", at(o.field, "bundle", "prune", "--older-than=-1h")...)
	paper := must[bridge.Pruned](t, at(o.core, "bundle", "prune", "--dry-run", "--older-than", "0s")...)
	done := must[bridge.Pruned](t, at(o.core, "bundle", "prune", "--older-than", "0s")...)
	if !paper.DryRun || len(paper.Removed) == 0 || done.Bytes == 0 {
		t.Errorf("on paper %+v\ndone %+v", paper, done)
	}
	// The courier writes on meanwhile: more may go than was foretold, and of the
	// same files for another reason, but what was foretold goes.
	for _, foretold := range paper.Removed {
		if !slices.ContainsFunc(done.Removed, func(f bridge.PrunedFile) bool { return f.File == foretold.File }) {
			t.Errorf("%s was to be removed: %+v", foretold.File, done.Removed)
		}
	}
	for _, f := range done.Removed {
		if _, err := os.Stat(filepath.Join(o.core.dir, f.File)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", f.File, err)
		}
	}
	if text := table(t, at(o.field, "bundle", "prune")...); !strings.Contains(text, "7 days") || !strings.Contains(text, "core is not known to have it") {
		t.Errorf("%s", text)
	}
}

func (o *operator) stop(t *testing.T) {
	fails(t, 2, "reason", at(o.core, "link", "stop", "field")...)
	fails(t, 2, "why", at(o.core, "link", "stop", "field", "--reason", " ")...)
	fails(t, 2, "link list", at(o.core, "link", "stop", "moon", "--reason", "none")...)
	fails(t, 16, "stop it first", at(o.core, "link", "remove", "field", "--reason", "none")...)
	for _, said := range []string{"is stopped; go on", "is stopped already"} {
		if r := call(t, at(o.core, "link", "stop", "field", "--reason", "the stick was open")...); r.code != 0 || !strings.Contains(r.stderr, said) {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
	}
	if r := call(t, at(o.core, "link", "status", "--check")...); r.code != 16 || !strings.Contains(r.stdout, "!!! STOPPED") {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
	fails(t, 16, "link status", at(o.core, "bundle", "export", "field")...)
	fails(t, 16, "the stick was open", at(o.core, "bundle", "export", "field", "--dry-run")...)
	fails(t, 16, "the stick was open", at(o.core, "bundle", "resend", "field", "1")...)
	for _, said := range []string{"goes on", "is not stopped"} {
		if r := call(t, at(o.core, "link", "resume", "field", "--reason", "it was ours")...); r.code != 0 || !strings.Contains(r.stderr, said) {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
	}
}

// Two people need two logins, which a test does not have: here the first one
// proposes, and the second comes by the bridge.
func (o *operator) withhold(t *testing.T) {
	fails(t, 2, "from 1", at(o.field, "link", "withhold", "core", "x")...)
	fails(t, 16, "has not refused", at(o.field, "link", "withhold", "core", "1")...)
	o.append(t, domain.SiteStream("moon"), "a site speaks of itself only")
	o.carry(t, o.field, o.core, "core's refusal", func() bool { return o.core.status(t).Stopped != nil })
	o.carry(t, o.core, o.field, "field's stop", func() bool { return o.field.status(t).Stopped != nil })
	if next := o.field.status(t).NextAction; !strings.Contains(next, "withhold core POSITION") {
		t.Errorf("next: %s", next)
	}
	id := must[[]bridge.Reason](t, at(o.core, "quarantine", "list")...)[0].ID
	position := must[bridge.Reason](t, at(o.core, "quarantine", "show", id)...).Position
	args := at(o.field, "link", "withhold", "core", strconv.FormatInt(position, 10))
	if w := must[bridge.Withholding](t, args...); w.ConfirmedBy != "" || w.Event != "site.link_resumed" || w.Position != position {
		t.Errorf("%+v", w)
	}
	fails(t, 16, "two different people", args...)
}

func (o *operator) remove(t *testing.T) {
	fails(t, 16, "--yes", at(o.field, "link", "remove", "core", "--reason", "the end")...)
	if r := call(t, at(o.field, "link", "remove", "core", "--reason", "the end", "--yes")...); r.code != 0 || !strings.Contains(r.stderr, "is removed") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if text := table(t, at(o.field, "link", "status")...); !strings.Contains(text, "no links yet") {
		t.Errorf("%s", text)
	}
}
