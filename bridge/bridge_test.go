package bridge_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
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
	folders, err := bridge.OpenFolders(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folders.Close() })
	keys, err := bridge.EnsureKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := schema.LoadEvents()
	if err != nil {
		t.Fatal(err)
	}
	b, err := bridge.New(bridge.Config{Log: site.Store, Pool: site.Pool, Folders: folders, Keys: keys, Schemas: schemas,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return &end{Bridge: b, site: site, dir: dir}
}

// epochOf gives each test site an epoch of its own.
func epochOf(name string) string {
	return eventstore.Genesis("test", name).String()[:32]
}

// pair returns two linked sites.
func pair(t *testing.T) (field, core *end) {
	t.Helper()
	field, core = newEnd(t, "field", domain.RequestSite), newEnd(t, "core", domain.ResponseSite)
	for _, l := range []struct{ at, to *end }{{field, core}, {core, field}} {
		if err := l.at.AddLink(t.Context(), l.to.Card(), "cli:test"); err != nil {
			t.Fatal(err)
		}
	}
	return field, core
}

func (e *end) submit(t *testing.T) string {
	t.Helper()
	id := uuid.NewString()
	e.append(t, domain.RequestStream(id), domain.RequestSubmitted{Type: "airport", TypeVersion: 1,
		Params: []byte(`{"iata":"AMS"}`), Priority: 5, User: uuid.NewString()})
	return id
}

func (e *end) append(t *testing.T, stream string, f domain.Fact) {
	t.Helper()
	_, err := e.site.Store.Append(t.Context(), eventstore.Append{Actor: "cli:test", Writes: []eventstore.Write{{
		Stream: stream, Expected: eventstore.Any, Facts: []domain.Fact{f}}}})
	if err != nil {
		t.Fatal(err)
	}
}

func (e *end) export(t *testing.T, peer string) []bridge.Exported {
	t.Helper()
	out, err := e.Export(t.Context(), peer, "cli:test")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (e *end) receive(t *testing.T) []bridge.Outcome {
	t.Helper()
	out, err := e.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// carry copies a file from one outbox to the other inbox.
func carry(t *testing.T, from, to *end, file string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(from.dir, "outbox", file))
	if err != nil {
		t.Fatal(err)
	}
	drop(t, to, file, data)
}

func drop(t *testing.T, to *end, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(to.dir, "inbox", file), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRequestAndAnswerCross(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	id := field.submit(t)
	out := field.export(t, "core")
	if len(out) != 1 || out[0].Events == 0 {
		t.Fatalf("exported %+v", out)
	}
	if again := field.export(t, "core"); len(again) != 0 {
		t.Fatalf("withheld events alone made a bundle due: %+v", again)
	}
	carry(t, field, core, out[0].File)
	if got := core.receive(t); len(got) != 1 || got[0].State != bridge.Applied {
		t.Fatalf("imported %+v", got)
	}
	core.append(t, domain.ResponseStream(id), domain.ResponseFailed{Code: "timeout", Error: "it took too long", Attempts: 1})
	back := core.export(t, "field")
	if len(back) != 1 {
		t.Fatalf("exported %+v", back)
	}
	carry(t, core, field, back[0].File)
	if got := field.receive(t); len(got) != 1 || got[0].State != bridge.Applied {
		t.Fatalf("imported %+v", got)
	}
	records, err := field.site.Store.ReadStream(t.Context(), domain.ResponseStream(id))
	if err != nil || len(records) != 1 || records[0].Origin != "core" {
		t.Fatalf("mirrored %+v, %v", records, err)
	}
	carry(t, core, field, back[0].File)
	if got := field.receive(t); len(got) != 1 || got[0].State != bridge.Duplicate {
		t.Fatalf("imported again %+v", got)
	}
	status, err := field.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status[0].AckedThrough != out[0].Through {
		t.Errorf("acked through %d, want %d: %+v", status[0].AckedThrough, out[0].Through, status[0])
	}
}
