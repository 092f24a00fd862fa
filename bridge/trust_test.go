package bridge_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// pem is the file of a peer's signing key.
func (p peer) pem(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "signing.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rekeyed is the same site with another signing key.
func (p peer) rekeyed(t *testing.T) peer {
	t.Helper()
	other := newPeer(t, p.card.Name, p.card.Role)
	other.keys.Identity = p.keys.Identity
	other.card.Recipient, other.card.Epoch = p.card.Recipient, p.card.Epoch
	return other
}

// chained gives n bundles of one request each, one after the other, and
// whatever number comes next.
func chained(from peer, n int) []forgery {
	var all []forgery
	var before []bundle.Event
	for i := range n {
		e := ask()
		all = append(all, forgery{from: from, seq: int64(i + 1), before: slices.Clone(before), events: []bundle.Event{e}})
		before = append(before, e)
	}
	return all
}

// showing changes a forged bundle: it shows a next key and is signed by others.
func showing(t *testing.T, data []byte, next string, by ...peer) []byte {
	t.Helper()
	f := manifestOf(t, data)
	f.NextKey = next
	return signAll(t, f, data[int64(len(data))-f.Payload.Bytes:], by...)
}

// A next key counts only under a signature that is trusted already.
func TestAForgedNextKey(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	thief := field.rekeyed(t)
	ack := &bundle.Ack{Epoch: core.Card().Epoch, Incarnation: strings.Repeat("a", 32), No: 1, Chain: bundle.Start(core.Card().Epoch, "core")}
	for name, by := range map[string][]peer{"by the next key alone": {thief}, "by the next key twice over": {thief, thief.rekeyed(t)}} {
		file, data := forgery{from: field, ack: ack, events: []bundle.Event{ask()}}.file(t)
		drop(t, core, file, showing(t, data, thief.card.Key, by...))
		out := core.expect(t, bridge.Quarantined)
		if bundle.CodeOf(out[0].Err) != bundle.Untrusted || core.keysOf(t, "field").NextID != "" {
			t.Errorf("%s: %+v", name, out)
		}
	}
	// Signed by the true key beside it, it is kept; and then it may sign alone.
	fs := chained(field, 2)
	fs[0].ack = ack
	file, data := fs[0].file(t)
	drop(t, core, file, showing(t, data, thief.card.Key, field, thief))
	core.expect(t, bridge.Applied)
	if k := core.keysOf(t, "field"); k.KeyID != id(t, field) || k.NextID != id(t, thief) {
		t.Errorf("core believes %+v", k)
	}
	fs[1].from = thief
	fs[1].deliver(t, core)
	core.expect(t, bridge.Applied)
	if k := core.keysOf(t, "field"); k.KeyID != id(t, thief) || k.NextID != "" || core.link(t, "field").Card != thief.card {
		t.Errorf("core believes %+v", k)
	}
	// A manifest of the retired key brings no next one.
	file, data = forgery{from: field, seq: 3, before: append(fs[1].before, fs[1].events...), events: []bundle.Event{ask()}, ack: ack}.file(t)
	drop(t, core, file, showing(t, data, field.rekeyed(t).card.Key, field))
	out := core.expect(t, bridge.Quarantined)
	if bundle.CodeOf(out[0].Err) != bundle.Untrusted || !strings.Contains(out[0].Reason, "replaced") {
		t.Errorf("the retired key: %+v", out)
	}
}

// An old manifest brings back no next key that the peer gave up since.
func TestAnOldManifestBringsNoKeyBack(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	first, second := field.rekeyed(t), field.rekeyed(t)
	show := func(no int64, next peer) {
		ack := &bundle.Ack{Epoch: core.Card().Epoch, Incarnation: strings.Repeat("a", 32), No: no, Chain: bundle.Start(core.Card().Epoch, "core")}
		file, data := forgery{from: field, kind: bundle.Beacon, ack: ack}.file(t)
		drop(t, core, file, showing(t, data, next.card.Key, field, next))
		core.expect(t, bridge.Applied)
	}
	show(5, first)
	show(9, second)
	show(5, first) // replayed
	if k := core.keysOf(t, "field"); k.NextID != id(t, second) {
		t.Errorf("core believes %+v", k)
	}
}

func id(t *testing.T, p peer) string {
	t.Helper()
	name, key, err := bundle.ParseVerifierKey(p.card.Key)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.KeyID(name, key)
}

func replace(t *testing.T, at *end, card bridge.Card, lastValid int64) {
	t.Helper()
	if err := at.ReplaceCard(t.Context(), card, lastValid, "cli:test"); err != nil {
		t.Fatal(err)
	}
}

// A revoked key is believed up to its last valid number and not one beyond.
func TestARevokedKeyAtItsBoundary(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	renewed := field.rekeyed(t)
	fs := chained(field, 4)
	fs[0].deliver(t, core)
	core.expect(t, bridge.Applied)
	replace(t, core, renewed.card, 2)
	log := core.own(t)
	replace(t, core, renewed.card, 2) // again: nothing
	if got := core.own(t); !slices.Equal(got, log) || !slices.Equal(log[len(log)-2:], []string{"site.peer_key_revoked", "site.peer_added"}) {
		t.Errorf("the log is %q", got)
	}
	k := core.keysOf(t, "field")
	if k.KeyID != id(t, renewed) || len(k.GivenUp) != 1 || k.GivenUp[0].State != "revoked" || k.GivenUp[0].LastValid != 2 || k.Fingerprint != renewed.card.Fingerprint() {
		t.Errorf("core believes %+v", k)
	}
	fs[1].deliver(t, core)
	core.expect(t, bridge.Applied)
	fs[2].deliver(t, core)
	out := core.expect(t, bridge.Quarantined)
	if bundle.CodeOf(out[0].Err) != bundle.Untrusted || !strings.Contains(out[0].Reason, "revoked") || !strings.Contains(out[0].Reason, "number 2") {
		t.Errorf("number 3: %+v", out)
	}
	fs[2].from, fs[3].from = renewed, renewed
	fs[2].deliver(t, core)
	fs[3].deliver(t, core)
	core.expect(t, bridge.Applied, bridge.Applied)
	if l := core.link(t, "field"); l.In.Seq != 4 || l.Stopped != "" {
		t.Errorf("in the end %+v", l.In)
	}
}

func TestARevokedKeyIsBelievedInNothingElse(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	fs := chained(field, 2)
	fs[0].deliver(t, core)
	core.expect(t, bridge.Applied)
	replace(t, core, field.rekeyed(t).card, 5)
	before := core.link(t, "field")
	ack := &bundle.Ack{Epoch: core.Card().Epoch, Incarnation: strings.Repeat("a", 32), No: 1 << 40, Position: 1 << 20, Seq: 7, Chain: bundle.Hash{1}}
	for name, f := range map[string]forgery{
		"a beacon":             {from: field, kind: bundle.Beacon, seq: 2, ack: ack, before: fs[1].before},
		"a number too large":   {from: field, seq: 6, before: fs[1].before, events: []bundle.Event{ask()}},
		"a number used before": {from: field, seq: 1, before: fs[1].before, events: []bundle.Event{ask()}},
		"another epoch":        {from: field, seq: 2, epoch: epochOf("thief"), events: []bundle.Event{ask()}},
	} {
		f.deliver(t, core)
		if out := core.expect(t, bridge.Quarantined); bundle.CodeOf(out[0].Err) != bundle.Untrusted {
			t.Errorf("%s: %+v", name, out)
		}
	}
	// Another history, or what may not be sent, blocks nothing: anybody who has the key can write it.
	forgery{from: field, seq: 2, before: []bundle.Event{ask()}, events: []bundle.Event{ask()}}.deliver(t, core)
	core.expect(t, bridge.Quarantined)
	forgery{from: field, seq: 2, before: fs[1].before, events: []bundle.Event{said(domain.UserStream("x"), "user.registered", `{}`)}}.deliver(t, core)
	core.expect(t, bridge.Quarantined)
	fs[1].ack = ack
	fs[1].deliver(t, core)
	core.expect(t, bridge.Applied)
	after := core.link(t, "field")
	if after.Stopped != "" || after.Heard != before.Heard || after.Out.AckedThrough != before.Out.AckedThrough || after.In.Seq != 2 {
		t.Errorf("the link went from %+v to %+v", before.End, after.End)
	}
}

// Who stole a key may have shown a next one of their own: it goes with the key.
func TestTheNextKeyOfARevokedOne(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	thief := field.rekeyed(t)
	ack := &bundle.Ack{Epoch: core.Card().Epoch, Incarnation: strings.Repeat("a", 32), No: 1, Chain: bundle.Start(core.Card().Epoch, "core")}
	fs := chained(thief, 1)
	file, data := forgery{from: field, kind: bundle.Beacon, ack: ack}.file(t)
	drop(t, core, file, showing(t, data, thief.card.Key, field, thief))
	core.expect(t, bridge.Applied)
	if core.keysOf(t, "field").NextID != id(t, thief) {
		t.Fatal("the next key was not kept")
	}
	replace(t, core, field.rekeyed(t).card, 0)
	fs[0].deliver(t, core)
	if out := core.expect(t, bridge.Quarantined); bundle.CodeOf(out[0].Err) != bundle.Untrusted {
		t.Errorf("the thief's own key: %+v", out)
	}
}

// A thief may have said that there are numbers which nobody ever gave out: with
// the key goes what it said of them.
func TestNumbersThatOnlyARevokedKeySpokeOf(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	forgery{from: field, kind: bundle.Beacon, seq: 900}.deliver(t, core)
	core.expect(t, bridge.Applied)
	if missing := core.status(t).Missing; len(missing) == 0 {
		t.Fatal("nothing is missing")
	}
	replace(t, core, field.rekeyed(t).card, 0)
	if missing := core.status(t).Missing; len(missing) > 0 {
		t.Errorf("%d numbers are missing", len(missing))
	}
}

// Held bundles are looked at again when their key is revoked.
func TestWhatIsHeldWhenItsKeyIsRevoked(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	fs := chained(field, 3)
	fs[1].deliver(t, core)
	fs[2].deliver(t, core)
	core.expect(t, bridge.Held, bridge.Held)
	replace(t, core, field.rekeyed(t).card, 2)
	fs[0].deliver(t, core)
	out := core.expect(t, bridge.Applied, bridge.Applied, bridge.Quarantined)
	if out[2].Seq != 3 || bundle.CodeOf(out[2].Err) != bundle.Untrusted {
		t.Errorf("%+v", out)
	}
}

func TestWhichCardsMayReplace(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	renewed := field.rekeyed(t)
	stranger := newPeer(t, "stranger", domain.RequestSite)
	founded := renewed.card
	founded.Epoch = epochOf("anew")
	role := renewed.card
	role.Role = domain.ResponseSite
	for name, c := range map[string]struct {
		card bridge.Card
		last int64
	}{
		"a site that is not linked": {stranger.card, 0}, "a new epoch": {founded, 0}, "another role": {role, 0},
		"a number below 0": {renewed.card, -1}, "a number of eleven digits": {renewed.card, 10_000_000_000},
	} {
		if err := core.ReplaceCard(t.Context(), c.card, c.last, "cli:test"); err == nil {
			t.Errorf("%s replaced a card", name)
		}
	}
	if err := core.AddLink(t.Context(), renewed.card, "cli:test"); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("a new card without --replace: %v", err)
	}
	if core.link(t, "field").Card != field.card {
		t.Error("the card changed")
	}
	replace(t, core, renewed.card, 0)
	if err := core.ReplaceCard(t.Context(), field.card, 0, "cli:test"); err == nil || !strings.Contains(err.Error(), "old card") {
		t.Errorf("the revoked key came back: %v", err)
	}
	resealed := renewed.card
	resealed.Recipient = newPeer(t, "field", domain.RequestSite).card.Recipient
	replace(t, core, resealed, 0)
	if k := core.keysOf(t, "field"); len(k.GivenUp) != 1 || k.KeyID != id(t, renewed) || core.link(t, "field").Card != resealed {
		t.Errorf("a new encryption key alone gave up a signing key: %+v", k)
	}
}

// A card without an encryption key makes no link: what crosses holds secrets.
func TestACardWithoutAnEncryptionKey(t *testing.T) {
	t.Parallel()
	core, card := newEnd(t, "core", domain.ResponseSite), newPeer(t, "field", domain.RequestSite).card
	card.Recipient = ""
	if err := core.AddLink(t.Context(), card, "cli:test"); err == nil || !strings.Contains(err.Error(), "no encryption key") {
		t.Errorf("added: %v", err)
	}
	if _, err := bridge.ParseCard(card.Encode()); err == nil || !strings.Contains(err.Error(), "no encryption key") || !strings.Contains(err.Error(), "site-card.json") {
		t.Errorf("read: %v", err)
	}
}

// when-needed encrypts what a response site sends, always both.
func TestWhatIsEncrypted(t *testing.T) {
	t.Parallel()
	for _, always := range []bool{false, true} {
		field, core := pair(t)
		field.EncryptAlways, core.EncryptAlways = always, always
		field.submit(t)
		core.append(t, domain.UserStream("eve"), registered())
		for _, way := range []struct {
			from, to *end
			sealed   bool
		}{{field, core, always}, {core, field, true}} {
			out := way.from.exportOne(t, way.to.Card().Name)
			data := read(t, way.from, "outbox/"+out.File)
			if sealed := manifestOf(t, data).Encryption != nil; sealed != way.sealed || strings.HasSuffix(out.File, ".age") != way.sealed {
				t.Errorf("always %v: %s is encrypted: %v", always, out.File, sealed)
			}
			carry(t, way.from, way.to, out.File)
			way.to.expect(t, bridge.Applied)
		}
	}
}

func TestFingerprintsForPeople(t *testing.T) {
	t.Parallel()
	card, err := bridge.ReadCard("testdata/card.json")
	if err != nil {
		t.Fatal(err)
	}
	const words = "enroll coconut deal reopen oxygen matrix gap floor atom avocado gold clarify"
	if got := card.Words(); got != words {
		t.Errorf("the words are %q: two people would read different ones to each other", got)
	}
	for said, want := range map[string]bool{
		card.Fingerprint(): true, "4b259ce0db39e51257d2cb0e41fd9114": true, "4B25-9CE0-DB39-E512-57D2-CB0E-41FD-9114": true,
		words: true, "  " + strings.ToUpper(strings.ReplaceAll(words, " ", "\n ")): true,
		"": false, "4b25": false, words + " abandon": false, strings.Replace(words, " ", "", 1): false,
		"4b25 9ce0 db39 e512 57d2 cb0e 41fd 9115": false, strings.Join(strings.Fields(words)[:11], " "): false,
	} {
		if card.HasFingerprint(said) != want {
			t.Errorf("%q is taken for the fingerprint: %v", said, !want)
		}
	}
}
