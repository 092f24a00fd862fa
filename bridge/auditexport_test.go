package bridge_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// exportAudit makes the files of a wish in a folder of its own.
func (e *end) exportAudit(t *testing.T, w bridge.AuditWish) (dir string, made []bridge.AuditExported) {
	t.Helper()
	w.Operator = "cli:test"
	parts, err := e.PlanAudit(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, p := range parts {
		x, err := p.Write(t.Context(), root, p.Name())
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, x)
	}
	if entries, err := os.ReadDir(filepath.Join(e.dir, "outbox", ".tmp")); err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
	return dir, made
}

// lines are what is read of a file with the site's card alone.
func (e *end) lines(t *testing.T, path string, with ...age.Identity) (bridge.Report, string) {
	t.Helper()
	c := bridge.VerifyConfig{Sender: e.Card(), Schemas: schemas(t), Identities: with}
	r, err := bridge.Verify(t.Context(), path, c)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if r.Content == "ok" {
		err = bridge.Cat(t.Context(), path, c, func(line []byte) error { text.Write(line); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

// What an auditor takes away shows all that the site wrote, but for secrets,
// unless only the reader can read it. No link learns of it.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	_, core := pair(t)
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	core.append(t, domain.EmailStream("e"), domain.EmailClaimed{User: "x"}) // which never crosses
	core.append(t, domain.SettingStream("a.b"), domain.SettingChanged{Value: []byte(`1`)})
	before := core.link(t, "field")
	dir, made := core.exportAudit(t, bridge.AuditWish{})
	if len(made) != 1 || made[0].From != 1 || made[0].Events != 4 || made[0].Withheld != 1 {
		t.Fatalf("made %+v", made)
	}
	r, text := core.lines(t, filepath.Join(dir, made[0].File))
	if r.Kind != bundle.Audit || r.Content != "ok" || r.Events != 4 || r.Withheld != 1 || r.Seq != 0 || r.To != "auditor" {
		t.Errorf("reported %+v", r)
	}
	if strings.Contains(text, hashOfEve) || !strings.Contains(text, `"email.claimed"`) || !strings.Contains(text, `"site.peer_added"`) || !strings.Contains(text, `"withheld":1`) {
		t.Errorf("shown\n%s", text)
	}
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for recipient, id := range map[string]age.Identity{reader.Recipient().String(): reader, core.Card().Recipient: core.Keys.Identity} {
		dir, made := core.exportAudit(t, bridge.AuditWish{From: 2, To: 4, For: "core", Recipient: recipient})
		if len(made) != 1 || !made[0].Encrypted || made[0].Events != 3 || made[0].Withheld != 0 {
			t.Fatalf("made %+v", made)
		}
		path := filepath.Join(dir, made[0].File)
		if r, _ := core.lines(t, path); r.Content != "unchecked" {
			t.Errorf("without an identity: %+v", r)
		}
		if _, text := core.lines(t, path, id); !strings.Contains(text, hashOfEve) {
			t.Errorf("shown\n%s", text)
		}
	}
	if after := core.link(t, "field"); !reflect.DeepEqual(after, before) {
		t.Errorf("the link was %+v, and is %+v", before, after)
	}
	for _, w := range []bridge.AuditWish{{From: 5, To: 4}, {To: 6}, {From: 6}, {From: -1}} {
		if _, err := core.PlanAudit(t.Context(), w); !errors.Is(err, bridge.ErrAuditRange) {
			t.Errorf("%d to %d: %v", w.From, w.To, err)
		}
	}
}

// An export that is carried to a peer is refused whoever it names and whatever it
// is called, and stops no link.
func TestNoSiteTakesAnAuditExportIn(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	dir, made := field.exportAudit(t, bridge.AuditWish{For: "core", Recipient: core.Card().Recipient})
	data, err := os.ReadFile(filepath.Join(dir, made[0].File))
	if err != nil {
		t.Fatal(err)
	}
	drop(t, core, made[0].File, data)
	if out := core.expect(t, bridge.Ignored); !strings.Contains(out[0].Reason, "not the name of a bundle") {
		t.Errorf("%+v", out)
	}
	drop(t, core, "sp1_field-core_"+epochOf("field")[:8]+"_0000000001.jsonl.zst.age", data)
	out := core.expect(t, bridge.Ignored, bridge.Quarantined)
	if bundle.CodeOf(out[1].Err) != bundle.Refused || !strings.Contains(out[1].Reason, "audit export of the log of field") {
		t.Errorf("%+v", out)
	}
	if l := core.link(t, "field"); l.Stopped != "" || l.In.Seq != 0 {
		t.Errorf("the link is %+v", l)
	}
	carry(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Ignored, bridge.Applied)
}

// What is too large for one file becomes several that go on from each other.
func TestAuditExportInParts(t *testing.T) {
	t.Parallel()
	field := newEnd(t, "field", domain.RequestSite)
	field.submitMany(t, 30, true)
	field.Limits.Lines = 25
	dir, made := field.exportAudit(t, bridge.AuditWish{From: 3})
	if len(made) != 3 {
		t.Fatalf("made %+v", made)
	}
	at, chain := int64(2), bundle.Hash{}
	for i, m := range made {
		r, _ := field.lines(t, filepath.Join(dir, m.File))
		if r.Range.After != at || i > 0 && r.Chain.After != chain {
			t.Errorf("part %d is %+v", i, r)
		}
		at, chain = r.Range.Through, r.Chain.Through
	}
	if head, err := field.Log.Head(t.Context()); err != nil || at != head.Pos || chain != bundle.Hash(head.Chain) {
		t.Errorf("they end at %d, the log at %+v (%v)", at, head, err)
	}
}
