package bridge_test

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Damage at each byte before the payload, and at many of the rest, on its way
// through the real importer. (bridge/bundle does it with every bit.)
func TestDamageAnywhereAppliesNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	_, good := forgery{from: field, events: []bundle.Event{ask(), ask()}}.file(t)
	seed := rand.Uint64()
	draw := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test draws reproducibly
	t.Logf("seed %d", seed)
	payload := len(good) - int(manifestOf(t, good).Payload.Bytes)
	var bad [][]byte
	flip := func(at int) {
		data := bytes.Clone(good)
		data[at] ^= 1 << draw.IntN(8)
		bad = append(bad, data)
	}
	for at := range payload {
		flip(at)
	}
	for range 150 {
		flip(payload + draw.IntN(len(good)-payload))
		bad = append(bad, good[:draw.IntN(len(good))])
	}
	for i, data := range bad {
		drop(t, core, nameOf("field", int64(i+1)), data)
	}
	outcomes := core.receive(t)
	if len(outcomes) != len(bad) {
		t.Fatalf("%d outcomes for %d files", len(outcomes), len(bad))
	}
	for i, o := range outcomes { // in the order of their names
		refusedAsDamaged(t, o, bad[i], good, payload)
	}
	if l := core.link(t, "field"); l.Stopped != "" || l.In.Through != 0 || len(core.mirrored(t, "field")) != 0 {
		t.Fatalf("damage on the way stopped the link or was applied: %+v", l)
	}
	if n := len(core.reasons(t)); n != len(bad) {
		t.Errorf("%d reasons for %d files", n, len(bad))
	}
	drop(t, core, nameOf("field", 1), good)
	core.expect(t, bridge.Applied)
}

func refusedAsDamaged(t *testing.T, o bridge.Outcome, data, good []byte, payload int) {
	t.Helper()
	code := bundle.CodeOf(o.Err)
	if o.State != bridge.Quarantined || (code != bundle.Damaged && code != bundle.Incomplete && code != bundle.Untrusted) {
		t.Errorf("%s: %s, %q: %v", o.File, o.State, code, o.Err)
	}
	if len(data) < len(good) {
		if code != bundle.Incomplete {
			t.Errorf("cut off at %d of %d: %v", len(data), len(good), o.Err)
		}
		return
	}
	if bytes.Equal(data[:payload], good[:payload]) && (code != bundle.Damaged || !strings.Contains(o.Reason, "frame 1")) {
		t.Errorf("damage in the payload does not name its frame: %v", o.Err)
	}
}

// What was honestly signed is taken apart and put together anew by somebody who
// has no key, or only a key of his own.
func TestWhatIsPutTogetherAnewIsRefused(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	other := newPeer(t, "other", domain.RequestSite)
	core.addLink(t, other.card)
	removed := newPeer(t, "removed", domain.RequestSite)
	core.addLink(t, removed.card)
	if err := core.Remove(t.Context(), "removed", "its key was lost", "cli:test"); err != nil {
		t.Fatal(err)
	}
	first := forgery{from: field, events: []bundle.Event{ask()}}
	second := forgery{from: field, seq: 2, before: first.events, events: []bundle.Event{ask(), ask()}} // longer than the first
	sealed := forgery{from: field, events: []bundle.Event{ask()}, seal: core.Keys.Identity}
	_, one := first.file(t)
	_, two := second.file(t)
	_, aged := sealed.file(t)
	without := func(line string) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			return rewrite(t, aged, func(signed string) string { return cutObject(t, signed, line) })
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T) []byte
		code bundle.Code
	}{
		{"the payload of one under the manifest of another", func(t *testing.T) []byte {
			return join(t, []byte(signedOf(t, one)), payloadOf(t, two))
		}, bundle.Damaged},
		{"a sealed payload under a manifest of the plain one", func(t *testing.T) []byte {
			return join(t, []byte(signedOf(t, one)), payloadOf(t, aged))
		}, bundle.Damaged},
		{"another's payload, signed anew", func(t *testing.T) []byte { return signedAnew(t, one, other) }, bundle.Untrusted},
		{"another's sealed payload, signed anew", func(t *testing.T) []byte { return signedAnew(t, aged, other) }, bundle.Untrusted},
		{"without its encryption", without(`"encryption": {`), bundle.Damaged},
		{"an older format, as signed for the newer", func(t *testing.T) []byte {
			return rewrite(t, one, func(signed string) string {
				return strings.Replace(signed, bundle.Format, "sallyport-bundle/0", 1)
			})
		}, bundle.Damaged},
		{"of two signatures one was taken", func(t *testing.T) []byte { return stripped(t, one, field) }, bundle.Untrusted},
		{"of a peer whose link was removed", func(t *testing.T) []byte {
			_, data := forgery{from: removed, events: []bundle.Event{ask()}}.file(t)
			return data
		}, bundle.Untrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.make(t)
			drop(t, core, nameOf("field", 1), data)
			refused(t, core, "field", data, c.code, false)
			if l := core.link(t, "other"); l.Stopped != "" || l.In.Through != 0 {
				t.Errorf("the link of the one who signed it: %+v", l)
			}
		})
	}
	drop(t, core, nameOf("field", 1), one)
	drop(t, core, nameOf("field", 2), two)
	core.expect(t, bridge.Applied, bridge.Applied)
}

func signedOf(t *testing.T, data []byte) string {
	t.Helper()
	var signed string
	rewrite(t, data, func(s string) string { signed = s; return s })
	return signed
}

func payloadOf(t *testing.T, data []byte) []byte {
	t.Helper()
	return data[8+len(signedOf(t, data)):]
}

func join(t *testing.T, signed, payload []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := bundle.WriteFile(&out, signed, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// signedAnew puts a payload under a manifest that names its thief as the sender.
func signedAnew(t *testing.T, data []byte, thief peer) []byte {
	t.Helper()
	m := manifestOf(t, data)
	m.Core.From, m.Core.Epoch = thief.card.Name, thief.card.Epoch
	m.Core.Chain.After = bundle.Start(m.Core.Epoch, m.Core.From)
	return sign(t, m, thief, payloadOf(t, data))
}

// stripped takes the second of two signatures, which the text still lists.
func stripped(t *testing.T, data []byte, by peer) []byte {
	t.Helper()
	m := manifestOf(t, data)
	next := newPeer(t, by.card.Name, by.card.Role)
	var signers []*bundle.Signer
	for _, p := range []peer{by, next} {
		s, err := bundle.NewSigner(p.card.Name, p.keys.Signing)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	var err error
	if m.NextKey, err = bundle.VerifierKey(next.card.Name, next.keys.Signing.Public().(ed25519.PublicKey)); err != nil { //nolint:forcetypeassert // of an ed25519.PrivateKey
		t.Fatal(err)
	}
	signed, err := m.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	both := string(signed)
	return join(t, []byte(both[:strings.LastIndex(both, "— ")]), payloadOf(t, data))
}

// cutObject takes a member, an object in its lines, out of a manifest's text.
func cutObject(t *testing.T, signed, opening string) string {
	t.Helper()
	lines := strings.SplitAfter(signed, "\n")
	from := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == opening })
	if from < 0 {
		t.Fatalf("no %s in the manifest", opening)
	}
	to := from + slices.IndexFunc(lines[from:], func(l string) bool { return strings.HasPrefix(l, "  },") })
	return strings.Join(slices.Delete(lines, from, to+1), "")
}
