package bridge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/eventstore/eventstoretest"
	"sallyport/schema"
)

// end is one site with its bridge, as a test drives it.
type end struct {
	*bridge.Bridge
	site *eventstoretest.Site
	dir  string
}

func newEnd(t *testing.T, name string, role domain.Role) *end {
	t.Helper()
	site := eventstoretest.New(t, eventstoretest.Setup{Site: name, Role: role, Epoch: epochOf(name),
		CheckLine: func(line []byte) error { return bundle.CheckLine(line, bundle.Limits{}) }})
	dir := t.TempDir()
	return &end{Bridge: newBridge(t, site, site.Store, dir), site: site, dir: dir}
}

// newBridge gives a bridge of its own on a site's database and folders.
func newBridge(t *testing.T, site *eventstoretest.Site, log *eventstore.Store, dir string) *bridge.Bridge {
	t.Helper()
	folders, err := bridge.OpenFolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folders.Close() })
	b, err := bridge.New(bridge.Config{Log: log, Pool: site.Pool, Folders: folders, Keys: keysIn(t, filepath.Join(dir, "keys")),
		Schemas: schemas(t), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keysIn(t *testing.T, dir string) bridge.Keys {
	t.Helper()
	keys, err := bridge.EnsureKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

var loadSchemas = sync.OnceValues(schema.LoadEvents)

func schemas(t *testing.T) *schema.Events {
	t.Helper()
	s, err := loadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// epochOf gives each test site an epoch of its own.
func epochOf(name string) string {
	return eventstore.Genesis("test", name).String()[:32]
}

func (e *end) addLink(t *testing.T, card bridge.Card) {
	t.Helper()
	if err := e.AddLink(t.Context(), card, "cli:test"); err != nil {
		t.Fatal(err)
	}
}

// pair returns two linked sites.
func pair(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = newEnd(t, "field", domain.RequestSite), newEnd(t, "core", domain.ResponseSite)
	field.addLink(t, core.Card())
	core.addLink(t, field.Card())
	return field, core
}

func requested() domain.RequestSubmitted {
	return domain.RequestSubmitted{Type: "airport", TypeVersion: 1, Params: []byte(`{"iata":"AMS"}`), Priority: 5, User: uuid.NewString()}
}

func (e *end) submit(t *testing.T) string {
	t.Helper()
	id := uuid.NewString()
	e.append(t, domain.RequestStream(id), requested())
	return id
}

// submitMany appends n requests, each followed by an event that stays at home
// if withheld says so.
func (e *end) submitMany(t *testing.T, n int, withheld bool) {
	t.Helper()
	for n > 0 {
		var writes []eventstore.Write
		for range min(n, 250) {
			id := uuid.NewString()
			writes = append(writes, eventstore.Write{Stream: domain.RequestStream(id), Facts: []domain.Fact{requested()}})
			if withheld {
				writes = append(writes, eventstore.Write{Stream: domain.RequestNameStream("ann", id),
					Facts: []domain.Fact{domain.RequestNameClaimed{Request: id}}})
			}
		}
		n -= min(n, 250)
		if _, err := e.site.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}
}

func (e *end) append(t *testing.T, stream string, f domain.Fact) {
	t.Helper()
	_, err := e.site.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{
		Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{f}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// export makes what is due and returns the bundles; a beacon is made too, and
// left out.
func (e *end) export(t *testing.T, peer string) []bridge.Exported {
	t.Helper()
	return slices.DeleteFunc(e.exportAll(t, peer), func(x bridge.Exported) bool { return x.Kind == bundle.Beacon })
}

func (e *end) exportAll(t *testing.T, peer string) []bridge.Exported {
	t.Helper()
	out, err := e.Export(t.Context(), peer, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exportBeacon makes the one beacon that is due, and nothing else.
func (e *end) exportBeacon(t *testing.T, peer string) bridge.Exported {
	t.Helper()
	out := e.exportAll(t, peer)
	if len(out) != 1 || out[0].Kind != bundle.Beacon {
		t.Fatalf("made %+v, want a beacon", out)
	}
	return out[0]
}

// exportOne makes the one bundle that is due.
func (e *end) exportOne(t *testing.T, peer string) bridge.Exported {
	t.Helper()
	out := e.export(t, peer)
	if len(out) != 1 {
		t.Fatalf("%d bundles were made, want 1: %+v", len(out), out)
	}
	return out[0]
}

func (e *end) receive(t *testing.T) []bridge.Outcome {
	t.Helper()
	out, err := e.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// expect imports and compares the states of what was found.
func (e *end) expect(t *testing.T, want ...string) []bridge.Outcome {
	t.Helper()
	out := e.receive(t)
	var got []string
	for _, o := range out {
		got = append(got, o.State)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("imported %q, want %q: %+v", got, want, out)
	}
	return out
}

func (e *end) link(t *testing.T, peer string) bridge.Link {
	t.Helper()
	links, err := e.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(links, func(l bridge.Link) bool { return l.Card.Name == peer })
	if i < 0 {
		t.Fatalf("no link to %s", peer)
	}
	return links[i]
}

func (e *end) status(t *testing.T) bridge.Status {
	t.Helper()
	all, err := e.Status(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("status %+v, %v", all, err)
	}
	return all[0]
}

// mirrored gives what this site stored of another's log.
func (e *end) mirrored(t *testing.T, origin string) (all []eventstore.Line) {
	t.Helper()
	for after := int64(0); ; {
		lines, err := e.site.Store.ReadLines(t.Context(), origin, after, 1<<40, eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) == 0 {
			return all
		}
		all = append(all, lines...)
		after = all[len(all)-1].Pos
	}
}

// own gives the types of this site's own events.
func (e *end) own(t *testing.T) (types []string) {
	t.Helper()
	for _, l := range e.mirrored(t, e.Card().Name) {
		types = append(types, l.Type)
	}
	return types
}

func (e *end) names(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(e.dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		names = append(names, f.Name())
	}
	return names
}

// archived gives the names of the files in the archive.
func (e *end) archived(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(e.dir, "archive", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// reasons reads every reason.json of the quarantine.
func (e *end) reasons(t *testing.T) (all []bridge.Reason) {
	t.Helper()
	for _, id := range e.names(t, "quarantine") {
		var r bridge.Reason
		dec := json.NewDecoder(bytes.NewReader(read(t, e, "quarantine/"+id+"/reason.json")))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.ID != id {
			t.Errorf("reason.json in %s names %s", id, r.ID)
		}
		all = append(all, r)
	}
	return all
}

func read(t *testing.T, e *end, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// carry copies a file from one outbox to the other inbox.
func carry(t *testing.T, from, to *end, file string) {
	t.Helper()
	drop(t, to, file, read(t, from, "outbox/"+file))
}

// drop puts a file into an inbox as a careful courier does: whole, or not at all.
func drop(t *testing.T, to *end, file string, data []byte) {
	t.Helper()
	part := filepath.Join(to.dir, "part")
	if err := os.WriteFile(part, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(to.dir, "inbox", file)); err != nil {
		t.Fatal(err)
	}
}
