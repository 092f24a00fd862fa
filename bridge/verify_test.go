package bridge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

const hashOfEve = "$argon2id$v=19$m=65536,t=3,p=2$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"

func registered() domain.UserRegistered {
	return domain.UserRegistered{Username: "eve", Email: "eve@example.org", FullName: "Eve", Role: domain.RoleUser, Profile: "staff",
		Credential: domain.Credential{Algorithm: "argon2id", Hash: hashOfEve}}
}

// bundles gives a plain bundle of field's and an encrypted one of core's, with
// what verifies each.
func bundles(t *testing.T) (field, core *end, plain, sealed bridge.Exported) {
	t.Helper()
	field, core = pair(t)
	field.submit(t)
	field.append(t, domain.RequestNameStream("ann", "x"), domain.RequestNameClaimed{Request: "x"})
	field.submit(t)
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	return field, core, field.exportOne(t, "core"), core.exportOne(t, "field")
}

func (e *end) path(out bridge.Exported) string { return filepath.Join(e.dir, "outbox", out.File) }

func TestVerifyReports(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	for _, c := range []struct {
		name    string
		from    *end
		out     bridge.Exported
		with    []age.Identity
		content string
	}{
		{"plain", field, plain, nil, "ok"},
		{"plain, with an identity it does not need", field, plain, []age.Identity{core.Keys.Identity}, "ok"},
		{"encrypted, unopened", core, sealed, nil, "unchecked"},
		{"encrypted, opened by its receiver", core, sealed, []age.Identity{field.Keys.Identity}, "ok"},
	} {
		r, err := bridge.Verify(t.Context(), c.from.path(c.out), bridge.VerifyConfig{Sender: c.from.Card(), Identities: c.with, Schemas: schemas(t)})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if r.Signature != "ok" || r.Payload != "ok" || r.Content != c.content || r.ID != c.out.ID || r.Bytes != c.out.Bytes ||
			r.From != c.from.Card().Name || r.Range != (bundle.Range{After: c.out.After, Through: c.out.Through}) {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.content == "ok" && (r.Events != c.out.Events || r.Withheld != c.out.Withheld) {
			t.Errorf("%s: %d events and %d withheld, exported %d and %d", c.name, r.Events, r.Withheld, c.out.Events, c.out.Withheld)
		}
	}
	if plain.Withheld == 0 {
		t.Error("the test holds no withheld run")
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	founded := field.Card()
	founded.Epoch = epochOf("restored")
	stranger := newPeer(t, "field", domain.RequestSite).card
	liar := newPeer(t, "liar", domain.RequestSite)
	_, lie := forgery{from: liar, events: []bundle.Event{said(domain.UserStream("x"), "username.claimed", `{"user":"x"}`)}}.file(t)
	lying := filepath.Join(t.TempDir(), "lie")
	if err := os.WriteFile(lying, lie, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		path string
		card bridge.Card
		with []age.Identity
		code bundle.Code
	}{
		{"another key of the same name", field.path(plain), stranger, nil, bundle.Untrusted},
		{"another site's card", field.path(plain), core.Card(), nil, bundle.Untrusted},
		{"a card of another epoch", field.path(plain), founded, nil, bundle.Untrusted},
		{"the sender's own identity", core.path(sealed), core.Card(), []age.Identity{core.Keys.Identity}, ""},
		{"what its sender may not say", lying, liar.card, nil, bundle.Refused},
	} {
		r, err := bridge.Verify(t.Context(), c.path, bridge.VerifyConfig{Sender: c.card, Identities: c.with, Schemas: schemas(t)})
		if err == nil || c.code != "" && bundle.CodeOf(err) != c.code || r.Content == "ok" {
			t.Errorf("%s: %+v, %v; want %q", c.name, r, err, c.code)
		}
	}
	if _, err := bridge.Verify(t.Context(), lying+"-missing", bridge.VerifyConfig{}); err == nil || bundle.CodeOf(err) != "" {
		t.Errorf("a missing file: %v", err)
	}
}

// git's own bundle verify answers "okay" for a flipped bit; ours must not, and
// must not need the identity to see it.
func TestVerifySeesEveryFlippedByte(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	all := schemas(t)
	for _, c := range []struct {
		from *end
		out  bridge.Exported
	}{{field, plain}, {core, sealed}} {
		good, err := os.ReadFile(c.from.path(c.out))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), c.out.File)
		for i := 0; i < len(good); i += 7 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := bridge.Verify(t.Context(), path, bridge.VerifyConfig{Sender: c.from.Card(), Schemas: all}); err == nil {
				t.Errorf("byte %d of %s flipped: %+v", i, c.out.File, r)
			}
		}
	}
}

func TestCatGivesTheLinesOfTheLog(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	cat := func(path string, c bridge.VerifyConfig) (text string, err error) {
		c.Schemas = schemas(t)
		err = bridge.Cat(t.Context(), path, c, func(line []byte) error { text += string(line); return nil })
		return text, err
	}
	text, err := cat(field.path(plain), bridge.VerifyConfig{Sender: field.Card()})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	var stored []string
	for _, l := range field.mirrored(t, "field")[:plain.Through] {
		stored = append(stored, string(l.Bytes)+"\n")
	}
	run := `{"after":3,"through":4,"withheld":1,"chain":"`
	if len(lines) != 6 || !slices.Equal(lines[:3], stored[:3]) || !strings.HasPrefix(lines[3], run) || lines[4] != stored[4] || lines[5] != "" {
		t.Errorf("cat gives\n%s", text)
	}
	if text, err := cat(core.path(sealed), bridge.VerifyConfig{Sender: core.Card()}); err == nil || text != "" || !strings.Contains(err.Error(), "--identity") {
		t.Errorf("encrypted, without an identity: %q, %v", text, err)
	}
	text, err = cat(core.path(sealed), bridge.VerifyConfig{Sender: core.Card(), Identities: []age.Identity{field.Keys.Identity}})
	if err != nil || !strings.Contains(text, hashOfEve) {
		t.Errorf("the receiver cannot read what it was sent: %v\n%s", err, text)
	}
}

// A password's hash leaves only for the one whose key it is encrypted to.
func TestWhatCarriesHashesIsEncryptedToItsReceiver(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	if !strings.HasSuffix(sealed.File, ".zst.age") || !strings.HasSuffix(plain.File, ".zst") {
		t.Errorf("the files are called %s and %s", sealed.File, plain.File)
	}
	m := manifestOf(t, read(t, core, "outbox/"+sealed.File))
	if m.Encryption == nil || !slices.Equal(m.Encryption.Recipients, []string{field.Card().Recipient}) || len(m.Frames) != 0 {
		t.Errorf("encrypted to %+v", m.Encryption)
	}
	if label := read(t, core, "outbox/"+sealed.File+".label.txt"); bytes.Contains(label, []byte("argon2id")) {
		t.Error("the label shows the hash")
	}
	other := keysIn(t, filepath.Join(t.TempDir(), "keys"))
	_, err := bridge.Verify(t.Context(), core.path(sealed), bridge.VerifyConfig{Sender: core.Card(), Identities: []age.Identity{other.Identity}, Schemas: schemas(t)})
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("another identity opened it: %v", err)
	}
	drop(t, field, sealed.File, read(t, core, "outbox/"+sealed.File))
	field.expect(t, bridge.Applied)
	if got := field.mirrored(t, "core"); !bytes.Contains(got[len(got)-1].Bytes, []byte(hashOfEve)) {
		t.Error("the hash did not arrive")
	}
}

// A trusted peer signed what cannot be opened here: one of the two holds a wrong
// card, and more of the same would come. The link stops until people look.
func TestSealedForAnotherKeyIsQuarantined(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
	field.addLink(t, core.card)
	other := keysIn(t, filepath.Join(t.TempDir(), "keys"))
	f := forgery{from: core, events: []bundle.Event{said(domain.UsernameStream("eve"), "username.claimed", `{"user":"x"}`)}, seal: other.Identity}
	f.deliver(t, field)
	out := field.expect(t, bridge.Quarantined)
	if n := len(field.mirrored(t, "core")); n != 0 || bundle.CodeOf(out[0].Err) != bundle.Refused || field.link(t, "core").Stopped == "" {
		t.Errorf("%d events applied, %+v, the link is stopped: %q", n, out, field.link(t, "core").Stopped)
	}
}

func TestLabelHelpsTheCarrier(t *testing.T) {
	t.Parallel()
	field, _, plain, _ := bundles(t)
	data := read(t, field, "outbox/"+plain.File)
	sum := sha256.Sum256(data)
	label := string(read(t, field, "outbox/"+plain.File+".label.txt"))
	for _, want := range []string{"bundle 1", plain.File, fmt.Sprintf("%d bytes", len(data)), hex.EncodeToString(sum[:]),
		fmt.Sprintf("%d to %d of the log of field", plain.After+1, plain.Through), "handed over by", "received by"} {
		if !strings.Contains(label, want) {
			t.Errorf("the label does not say %q:\n%s", want, label)
		}
	}
	if int64(len(data)) != plain.Bytes {
		t.Errorf("the export says %d bytes, the file has %d", plain.Bytes, len(data))
	}
}

func TestMirrorsProveTheSendersLog(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	carry(t, field, core, plain.File)
	carry(t, core, field, sealed.File)
	core.expect(t, bridge.Applied)
	field.expect(t, bridge.Applied)
	sameChain(t, field, core)
	sameChain(t, core, field)
	for _, e := range []*end{field, core} {
		logs, err := e.VerifyLogs(t.Context(), nil)
		if err != nil || len(logs) != 2 || !logs[0].OK || !logs[1].OK || logs[1].Withheld == 0 && e == core {
			t.Errorf("%s: %+v, %v", e.Card().Name, logs, err)
		}
	}
}

// Whoever rewrites a log together with its head is found out by what the peer
// has signed of it.
func TestThePeerWitnessesTheLog(t *testing.T) {
	t.Parallel()
	field, core, plain, sealed := bundles(t)
	carry(t, field, core, plain.File)
	core.expect(t, bridge.Applied)
	core.append(t, domain.UserStream(uuid.NewString()), registered())
	carry(t, core, field, sealed.File)
	carry(t, core, field, core.exportOne(t, "field").File)
	field.expect(t, bridge.Applied, bridge.Applied)
	if logs, err := field.VerifyLogs(t.Context(), nil); err != nil || !logs[0].OK || logs[0].Witnessed != 1 {
		t.Fatalf("%+v, %v", logs, err)
	}
	head, err := field.Log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := field.site.Owner.Exec(t.Context(), `ALTER TABLE events DISABLE TRIGGER ALL;
		UPDATE events SET line = replace(line, '"priority":5', '"priority":6') WHERE origin = 'field'`); err != nil {
		t.Fatal(err)
	}
	lines, err := field.Log.ReadLines(t.Context(), "field", 0, head.Pos, 100)
	if err != nil {
		t.Fatal(err)
	}
	chain := eventstore.Genesis(head.Epoch, "field")
	for _, l := range lines {
		chain = chain.Next(l.Bytes)
	}
	if _, err := field.site.Owner.Exec(t.Context(), `UPDATE log_head SET chain = $1`, chain[:]); err != nil || chain == head.Chain {
		t.Fatal(err)
	}
	logs, err := field.VerifyLogs(t.Context(), nil)
	if err != nil || logs[0].OK || !strings.Contains(logs[0].Problem, "what core has signed in its bundle 2") {
		t.Errorf("%+v, %v", logs, err)
	}
}

// Run alone brings what is due to the outbox and what lies in the inbox to the
// log, and ends when it is told to.
func TestRunExportsAndImports(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.ExportEvery, core.ExportEvery, core.ScanEvery = 1e6, 3600e9, 1e6
	arrived := make(chan int, 1)
	core.Enqueue = func(_ context.Context, _ pgx.Tx, events []domain.Event, _ []domain.Fact) error {
		arrived <- len(events)
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- field.Run(ctx) }()
	go func() { ended <- core.Run(ctx) }()
	for seq := int64(0); !slices.Contains(field.own(t), "bundle.exported"); {
		var err error
		if seq, err = field.site.Store.Wait(ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, field, core, nameOf("field", 1))
	if n := <-arrived; n == 0 {
		t.Error("nothing arrived")
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	}
}
