package bridge_test

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

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
