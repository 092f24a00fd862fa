package bridge_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

func (e *end) rotate(t *testing.T) {
	t.Helper()
	if err := e.RotateKey(t.Context(), "cli:test"); err != nil {
		t.Fatal(err)
	}
}

func ownKeys(t *testing.T, b *bridge.Bridge) bridge.OwnKeys {
	t.Helper()
	k, err := b.OwnKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (e *end) keysOf(t *testing.T, peer string) bridge.PeerKeys {
	t.Helper()
	all, err := e.PeerKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k bridge.PeerKeys) bool { return k.Peer == peer })
	if i < 0 {
		t.Fatalf("no link to %s", peer)
	}
	return all[i]
}

// send exports for a peer and carries all that was made; it returns how each
// file was signed, and what became of it.
func send(t *testing.T, from, to *end) (signed []bundle.Manifest, states []string) {
	t.Helper()
	for _, out := range from.exportAll(t, to.Card().Name) {
		data := lose(t, from, out.File)
		signed = append(signed, manifestOf(t, data))
		drop(t, to, out.File, data)
	}
	for _, o := range to.receive(t) {
		states = append(states, o.State)
	}
	return signed, states
}

// settle carries both ways until neither has anything to say.
func settle(t *testing.T, one, other *end) {
	t.Helper()
	for range 8 {
		there, _ := send(t, one, other)
		back, _ := send(t, other, one)
		if len(there)+len(back) == 0 {
			return
		}
	}
	t.Fatal("the two sites never come to an end")
}

// signedBy fails unless a manifest is signed by exactly these keys and shows next.
func signedBy(t *testing.T, m bundle.Manifest, next string, ids ...string) {
	t.Helper()
	if !slices.Equal(m.Signers, ids) || m.NextKey != next {
		t.Errorf("signed by %q and shows %q, want %q and %q", m.Signers, m.NextKey, ids, next)
	}
}

func TestARotationFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	before := ownKeys(t, field.Bridge)
	field.submit(t)
	late := field.exportOne(t, "core") // signed by the old key alone, and still on its way
	lateFile := read(t, field, "outbox/"+late.File)
	field.rotate(t)
	during := ownKeys(t, field.Bridge)
	if during.KeyID != before.KeyID || during.Rotation == nil || !slices.Equal(during.Rotation.Peers, []bridge.ToldPeer{{Peer: "core"}}) {
		t.Fatalf("the keys are %+v", during)
	}
	next := during.Rotation.NextID
	both := field.exportBeacon(t, "core").File
	bothFile := read(t, field, "outbox/"+both)
	signedBy(t, manifestOf(t, bothFile), during.Rotation.Next, before.KeyID, next)
	move(t, field, core, both)
	core.expect(t, bridge.Applied)
	if k := core.keysOf(t, "field"); k.KeyID != before.KeyID || k.NextID != next {
		t.Errorf("core believes %+v", k)
	}
	if out := field.exportAll(t, "core"); field.keysOf(t, "core").OurNext != "told" || ownKeys(t, field.Bridge).Rotation == nil {
		t.Errorf("before core answered: %+v", out)
	}
	if m, _ := send(t, core, field); len(m) != 1 || m[0].Core.Kind != bundle.Beacon {
		t.Fatalf("core answers %+v", m)
	}
	m, states := send(t, field, core) // what is late is made again; and the event that tells of the rotation
	if len(m) != 2 || m[0].Core.Seq != late.Seq || !slices.Equal(states, []string{bridge.Applied, bridge.Applied}) {
		t.Fatalf("after the answer: %+v, %q", m, states)
	}
	signedBy(t, m[0], "", next)
	signedBy(t, m[1], "", next)
	after := ownKeys(t, field.Bridge)
	if after.KeyID != next || after.Rotation != nil || len(after.Old) != 1 || after.Old[0].ID != before.KeyID {
		t.Errorf("after it the keys are %+v", after)
	}
	rotated(t, field, before, after)
	if k := core.keysOf(t, "field"); k.KeyID != next || k.NextID != "" || k.Fingerprint != after.Fingerprint || len(k.GivenUp) != 1 || k.GivenUp[0].State != "retired" {
		t.Errorf("core believes %+v", k)
	}

	// What the old key signed alone is too late; what both signed is not.
	drop(t, core, late.File, lateFile)
	drop(t, core, both, bothFile)
	if out := core.expect(t, bridge.Applied, bridge.Quarantined); out[0].File != both || bundle.CodeOf(out[1].Err) != bundle.Untrusted {
		t.Errorf("late files: %+v", out)
	}
	settle(t, field, core)
	sameChain(t, field, core)
	if l := core.link(t, "field"); l.Card != field.Card() || l.Stopped != "" {
		t.Errorf("in the end core knows %+v", l.Card)
	}
}

// rotated holds what a finished rotation leaves: the event, the card, the files.
func rotated(t *testing.T, at *end, before, after bridge.OwnKeys) {
	t.Helper()
	lines := at.mirrored(t, at.Card().Name)
	i := slices.IndexFunc(lines, func(l eventstore.Line) bool { return l.Type == "site.key_rotated" })
	if i < 0 || strings.Count(strings.Join(at.own(t), " "), "site.key_rotated") != 1 {
		t.Fatalf("the log holds %q", at.own(t))
	}
	var line struct{ Data domain.KeyRotated }
	if err := json.Unmarshal(lines[i].Bytes, &line); err != nil {
		t.Fatal(err)
	}
	if line.Data.Old != (domain.SiteKey{ID: before.KeyID, Key: before.Key}) || line.Data.New != (domain.SiteKey{ID: after.KeyID, Key: after.Key}) {
		t.Errorf("the log says %+v", line.Data)
	}
	settledFiles(t, at, before, after)
}

func settledFiles(t *testing.T, at *end, before, after bridge.OwnKeys) {
	t.Helper()
	card, err := bridge.ReadCard(filepath.Join(at.dir, "site-card.json"))
	if err != nil || card != at.Card() || card.Key != after.Key {
		t.Errorf("the card on the disk is %+v, %v", card, err)
	}
	_, part, _ := strings.Cut(before.KeyID, "+")
	want := []string{"identity.age", "signing-old-" + part + ".pem", "signing.pem"}
	if got := at.names(t, "keys"); !slices.Equal(got, want) {
		t.Errorf("the keys' folder holds %q, want %q", got, want)
	}
	for _, name := range want {
		info, err := os.Stat(filepath.Join(at.dir, "keys", name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	present, err := bridge.EnsureKeys(filepath.Join(at.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if card, err := present.Card(card.Name, card.Role, card.Epoch); err != nil || card.Key != after.Key {
		t.Errorf("signing.pem is another key: %v", err)
	}
}

// Announcements and answers are lost, and bundles overtake each other.
func TestARotationWhoseManifestsAreLost(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	field.rotate(t)
	next := ownKeys(t, field.Bridge).Rotation.NextID
	lose(t, field, field.exportBeacon(t, "core").File)
	field.submit(t)
	early := field.exportOne(t, "core")
	field.submit(t)
	move(t, field, core, field.exportOne(t, "core").File)
	core.expect(t, bridge.Held)
	if k := core.keysOf(t, "field"); k.NextID != next {
		t.Fatalf("a held bundle does not show the key: %+v", k)
	}
	for _, out := range core.exportAll(t, "field") { // the answer
		lose(t, core, out.File)
	}
	if out := field.exportBeacon(t, "core"); !strings.Contains(out.Why, "key") {
		t.Errorf("a beacon because %s", out.Why)
	} else {
		carry(t, field, core, out.File)
	}
	core.expect(t, bridge.Applied, bridge.Held)
	if k := core.keysOf(t, "field"); k.KeyID == next || k.NextID != next {
		t.Errorf("what both keys signed made the next one the peer's: %+v", k)
	}
	// The old answer is lost for good: since field still rotates, it is given again.
	if m, _ := send(t, core, field); len(m) == 0 {
		t.Fatal("core does not answer again")
	}
	field.submit(t)
	last := field.exportAll(t, "core")
	if k := ownKeys(t, field.Bridge); k.KeyID != next || k.Rotation != nil {
		t.Fatalf("the rotation did not end: %+v", k)
	}
	for _, out := range last { // signed by the new key alone, before an older one that both signed
		carry(t, field, core, out.File)
	}
	core.receive(t)
	if k := core.keysOf(t, "field"); k.KeyID != next {
		t.Errorf("core believes %+v", k)
	}
	carry(t, field, core, early.File)
	for _, o := range core.receive(t) {
		if o.State != bridge.Applied && o.State != bridge.Duplicate {
			t.Errorf("%+v", o)
		}
	}
	settle(t, field, core)
	sameChain(t, field, core)
}

// holdKeys holds the lock of the keys as another program does.
func holdKeys(t *testing.T, at *end) (release func()) {
	t.Helper()
	tx, err := at.site.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('sallyport/keys', 0))`); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestAnotherProgramOfTheSiteSeesTheRotation(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	settle(t, field, core)
	serve := field.second(t)
	before := ownKeys(t, serve)
	field.rotate(t) // by a command, while the other runs
	next := ownKeys(t, field.Bridge).Rotation
	out, err := serve.Export(t.Context(), "core", "site:field")
	if err != nil || len(out) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	signedBy(t, manifestOf(t, read(t, field, "outbox/"+out[0].File)), next.Next, before.KeyID, next.NextID)
	carry(t, field, core, out[0].File)
	core.expect(t, bridge.Applied)
	send(t, core, field)
	if out, err = serve.Export(t.Context(), "core", "site:field"); err != nil || len(out) != 1 { // finishes it
		t.Fatalf("%+v, %v", out, err)
	}
	signedBy(t, manifestOf(t, read(t, field, "outbox/"+out[0].File)), "", next.NextID)
	field.submit(t)
	signedBy(t, manifestOf(t, read(t, field, "outbox/"+field.exportOne(t, "core").File)), "", next.NextID)
	if field.Card() != serve.Card() || field.Card().Key != next.Next {
		t.Error("the two programs do not agree which key signs")
	}
	settledFiles(t, field, before, ownKeys(t, field.Bridge))
}

// Keys are nowhere but in their folder.
func TestARotationShowsNoSecret(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	var log strings.Builder
	field.Logger = textLogger(&log)
	settle(t, field, core)
	old := string(read(t, field, "keys/signing.pem"))
	field.rotate(t)
	settle(t, field, core)
	secrets := []string{field.Keys.Identity.String()}
	for _, pem := range []string{old, string(read(t, field, "keys/signing.pem"))} {
		secrets = append(secrets, strings.Split(pem, "\n")[1])
	}
	shown, err := json.Marshal([]any{ownKeys(t, field.Bridge), core.keysOf(t, "field")})
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"the log": log.String(), "keys show": string(shown)}
	err = fs.WalkDir(os.DirFS(field.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasPrefix(path, "keys/") {
			places[path] = string(read(t, field, path))
		}
		return err
	})
	if err != nil || len(places) < 6 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	for place, text := range places {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s holds a secret", place)
			}
		}
	}
}
