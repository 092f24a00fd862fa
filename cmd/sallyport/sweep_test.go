package main

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// mostKills bounds a sweep: of more messages than that, some are drawn.
const mostKills = 14

// TestKilledAtEachMessage kills the program at one message to its database
// after the other, in export and import. Whatever the moment, one clean run
// finishes the job: every event once on the far side, each number the bundle
// that it was, nothing left over.
func TestKilledAtEachMessage(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before it is sent": false, "after it is done": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSweep(t)
			exports, imports := newWire(t, s.field.AppURL, after), newWire(t, s.core.AppURL, after)
			s.round(t, 2, exports.killing(0), imports.killing(0))
			e, i := exports.points(t), imports.points(t)
			for n := range max(len(e), len(i)) {
				at, to := e[n%len(e)], i[n%len(i)]
				s.round(t, 2, exports.killing(at), imports.killing(to))
				if t.Failed() {
					t.Fatalf("after kills at message %d of export and %d of import", at, to)
				}
			}
			s.round(t, 2, exports.killing(0), imports.killing(0))
			s.allIsWell(t)
		})
	}
}

// points gives the messages to kill at: from the first that asks for the lock
// to the last of an untouched run, or some of them. Each message before it only
// opens the site; one stands for them all.
func (w *wire) points(t *testing.T) []int {
	t.Helper()
	all, lock := w.counted()
	if all < 10 {
		t.Fatalf("%d messages were counted: this sweeps nothing", all)
	}
	var points []int
	for n := max(lock, 1); n <= all; n++ {
		points = append(points, n)
	}
	seed := rand.Uint64()
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test draws reproducibly
	draw.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	t.Logf("%d messages, the lock is number %d, seed %d", all, lock, seed)
	return append(points[:min(len(points), mostKills)], max(lock, 2)-1)
}

// killing runs the program until its n-th message; at 0 it runs to its end.
func (w *wire) killing(n int) killer {
	return func(t *testing.T, on *station, what string) {
		t.Helper()
		ctx, kill := context.WithCancel(t.Context())
		defer kill()
		cmd := on.command(ctx, "bundle", what)
		cmd.Env = append(cmd.Env, "SALLYPORT_DATABASE_URL="+w.url)
		w.arm(n, kill)
		r := ended(t, cmd)
		if n == 0 && r.code != 0 {
			t.Fatalf("an untouched run: exit code %d\n%s", r.code, r.stderr)
		}
		if w.reached() && r.code != killedCode {
			t.Errorf("the run that was to be killed at message %d ended with %d\n%s", n, r.code, r.stderr)
		}
	}
}

// sweep is a pair of sites whose programs are killed again and again.
type sweep struct {
	field, core *station
	ids         map[string]string // of each bundle that was ever seen, by its name
	carried     map[string]bool
}

// killer runs `bundle export` or `bundle import` until it is killed.
type killer func(t *testing.T, on *station, what string)

// killedCode is the exit code of a process that a signal ended.
const killedCode = -1

func newSweep(t *testing.T) *sweep {
	t.Helper()
	return newSweepIn(t, t.TempDir(), t.TempDir())
}

// newSweepIn makes two sites whose folders lie in these.
func newSweepIn(t *testing.T, fieldDir, coreDir string) *sweep {
	t.Helper()
	field, core := newStationsIn(t, fieldDir, coreDir)
	return &sweep{field: field, core: core, ids: map[string]string{}, carried: map[string]bool{}}
}

// round makes something due and carries it over: with the program killed, and
// once more without.
func (s *sweep) round(t *testing.T, requests int, killExport, killImport killer) {
	t.Helper()
	s.field.submit(t, requests)
	killExport(t, s.field, "export")
	s.remember(t)
	s.field.must(t, "bundle", "export")
	s.remember(t)
	if left := s.field.names(t, "outbox/.tmp"); len(left) > 0 {
		t.Errorf("export left %q behind", left)
	}
	s.carry(t)
	killImport(t, s.core, "import")
	if r := s.core.try(t, "bundle", "import"); r.code != 0 && r.code != 10 { // a damaged file was put aside
		t.Fatalf("exit code %d\n%s", r.code, r.stderr)
	}
	if left := append(s.core.names(t, "staging"), s.core.names(t, "inbox")...); len(left) > 0 {
		t.Errorf("import left %q behind", left)
	}
	s.allAreThere(t)
}

// remember holds that a bundle that somebody may have carried away stays the
// bundle it is.
func (s *sweep) remember(t *testing.T) {
	t.Helper()
	for _, name := range s.field.bundles(t, "outbox") {
		id := idOf(t, readFile(t, filepath.Join(s.field.dir, "outbox", name)))
		if was := s.ids[name]; was != "" && was != id {
			t.Errorf("%s was bundle %s and is %s", name, was, id)
		}
		s.ids[name] = id
	}
}

func idOf(t *testing.T, raw []byte) string {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Manifest().Core.ID()
}

// carry takes over what was not yet taken.
func (s *sweep) carry(t *testing.T) {
	t.Helper()
	for name := range s.ids {
		if !s.carried[name] {
			s.core.drop(t, name, readFile(t, filepath.Join(s.field.dir, "outbox", name)))
			s.carried[name] = true
		}
	}
}

// allAreThere compares the mirror with the log: every request once, with its
// line as it is, and the work that it means once.
func (s *sweep) allAreThere(t *testing.T) {
	t.Helper()
	var sent []eventstore.Line
	for _, l := range s.field.lines(t, "field") {
		if l.Type == "request.submitted" {
			sent = append(sent, l)
		}
	}
	mirrored := s.core.lines(t, "field")
	got := slices.DeleteFunc(mirrored, func(l eventstore.Line) bool { return l.Type != "request.submitted" })
	if !slices.EqualFunc(sent, got, func(x, y eventstore.Line) bool { return x.Pos == y.Pos && bytes.Equal(x.Bytes, y.Bytes) }) {
		t.Errorf("%d requests were submitted, %d are mirrored, or others", len(sent), len(got))
	}
	var jobs, requests int
	if err := s.core.Owner.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT args) FROM river_job`).Scan(&jobs, &requests); err != nil {
		t.Fatal(err)
	}
	if jobs != len(sent) || requests != len(sent) {
		t.Errorf("%d jobs for %d of %d requests", jobs, requests, len(sent))
	}
}

// lines gives what a site has of a log.
func (s *station) lines(t *testing.T, origin string) (all []eventstore.Line) {
	t.Helper()
	for after := int64(0); ; after = all[len(all)-1].Pos {
		page, err := s.Store.ReadLines(t.Context(), origin, after, 1<<40, eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// allIsWell holds that the logs are sound and say of each bundle once that it
// went and came.
func (s *sweep) allIsWell(t *testing.T) {
	t.Helper()
	for _, at := range []*station{s.field, s.core} {
		at.must(t, "audit", "verify")
	}
	for _, c := range []struct {
		at  *station
		typ string
	}{{s.field, "bundle.exported"}, {s.core, "bundle.imported"}} {
		said := map[string]int{}
		for _, l := range c.at.lines(t, c.at.name) {
			if l.Type == c.typ {
				said[l.Stream]++
			}
		}
		for stream, n := range said {
			if n != 1 {
				t.Errorf("%s says %d times %s in %s", c.at.name, n, c.typ, stream)
			}
		}
		if data := len(slices.DeleteFunc(slices.Collect(maps.Keys(s.ids)), isBeacon)); len(said) != data {
			t.Errorf("%s says %s of %d bundles, there were %d", c.at.name, c.typ, len(said), data)
		}
	}
}

func isBeacon(name string) bool {
	n, err := bundle.ParseName(name)
	return err == nil && n.Beacon > 0
}
