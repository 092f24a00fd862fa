package bridge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// refused imports one bad file and holds all that must be true after it: it is
// in quarantine as it came, the reason is complete, the log says so, nothing of
// it was applied, and the link is stopped only if a peer signed it.
func refused(t *testing.T, at *end, from string, data []byte, code bundle.Code, stops bool) bridge.Reason {
	t.Helper()
	before := at.own(t)
	out := at.expect(t, bridge.Quarantined)
	if got := bundle.CodeOf(out[0].Err); got != code {
		t.Errorf("refused as %q, want %q: %v", got, code, out[0].Err)
	}
	reasons := at.reasons(t)
	r := reasons[len(reasons)-1] // ids grow
	sum := sha256.Sum256(data)
	if r.Code != code || r.Message == "" || r.NextStep == "" || r.At == "" || r.File != out[0].File || r.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the reason is not complete: %+v", r)
	}
	if !bytes.Equal(read(t, at, "quarantine/"+r.ID+"/"+r.File), data) {
		t.Error("the file in quarantine is not the one that came")
	}
	noted := append(before, "bundle.quarantined")
	if stops {
		noted = append(noted, "site.link_stopped")
	}
	if got := at.own(t); !slices.Equal(got, noted) {
		t.Errorf("the log went from %q to %q", before, got)
	}
	if left := append(at.names(t, "staging"), at.names(t, "inbox")...); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	l := at.link(t, from)
	if (l.Stopped != "") != stops {
		t.Errorf("the link is stopped: %q, want %v", l.Stopped, stops)
	}
	if l.In.Through != 0 || l.In.Seq != 0 || len(at.mirrored(t, l.Card.Name)) != 0 {
		t.Errorf("something was applied: %+v", l.In)
	}
	return r
}

// Every part of a real bundle is hit: the frame's head, the manifest, its
// signature, the payload's two ends; and it is cut at as many places.
func TestDamageIsRefusedAndTheGoodCopyApplies(t *testing.T) {
	t.Parallel()
	field, core := pair(t)
	field.submit(t)
	out := field.exportOne(t, "core")
	good := read(t, field, "outbox/"+out.File)
	signed := bytes.LastIndex(good, []byte("\n— field "))
	payload := bytes.Index(good[signed:], []byte{0x28, 0xb5, 0x2f, 0xfd}) + signed // a zstd frame's magic
	at := []int{0, 3, 4, 7, 8, 9, signed - 1, signed, signed + 1, signed + 5, signed + 20, payload - 2, payload - 1,
		payload, payload + 1, payload + 4, payload + 9, len(good) - 5, len(good) - 2, len(good) - 1}
	for i := range 20 {
		at = append(at, 10+i*(len(good)-20)/20)
	}
	for _, i := range at {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1 << (i % 8)
		badCopy(t, core, out.File, flipped, fmt.Sprintf("byte %d of %d flipped", i, len(good)))
	}
	for _, n := range []int{0, 1, 7, 8, 100, signed, payload - 1, payload, payload + 1, len(good) - 1} {
		badCopy(t, core, out.File, good[:n], fmt.Sprintf("cut off at %d of %d", n, len(good)))
	}
	badCopy(t, core, out.File, append(bytes.Clone(good), 0), "a byte at the end")
	if l := core.link(t, "field"); l.Stopped != "" || l.In.Through != 0 {
		t.Fatalf("damage on the way stopped the link or was applied: %+v", l)
	}
	drop(t, core, out.File, good)
	core.expect(t, bridge.Applied)
}

func badCopy(t *testing.T, at *end, file string, data []byte, what string) {
	t.Helper()
	drop(t, at, file, data)
	out := at.receive(t)
	if len(out) != 1 || out[0].State != bridge.Quarantined {
		t.Fatalf("%s: %+v", what, out)
	}
	switch code := bundle.CodeOf(out[0].Err); code {
	case bundle.Damaged, bundle.Incomplete, bundle.Untrusted:
	default:
		t.Errorf("%s: refused as %q: %v", what, code, out[0].Err)
	}
	if n := len(at.mirrored(t, "field")); n != 0 {
		t.Fatalf("%s: %d events were applied", what, n)
	}
}

func TestWhatNobodyTrustedSignedIsRefusedAndBlocksNothing(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	for _, c := range []struct {
		name string
		make func(t *testing.T) []byte
		code bundle.Code
	}{
		{"unsigned", func(t *testing.T) []byte {
			_, data := forgery{from: field, events: []bundle.Event{ask()}}.file(t)
			return rewrite(t, data, func(signed string) string { return signed[:strings.LastIndex(signed, "— ")] })
		}, bundle.Damaged},
		{"signed with a key of the same name that nobody knows", func(t *testing.T) []byte {
			_, data := forgery{from: newPeer(t, "field", domain.RequestSite), events: []bundle.Event{ask()}}.file(t)
			return data
		}, bundle.Untrusted},
		{"for someone else", func(t *testing.T) []byte {
			_, data := forgery{from: field, to: "other", events: []bundle.Event{ask()}}.file(t)
			return data
		}, bundle.Untrusted},
		{"of a sender without a card", func(t *testing.T) []byte {
			_, data := forgery{from: newPeer(t, "stranger", domain.RequestSite), events: []bundle.Event{ask()}}.file(t)
			return data
		}, bundle.Untrusted},
		{"our own, returned", func(t *testing.T) []byte {
			core.append(t, domain.ProfileStream("staff"), domain.ProfileDefined{Name: "staff", Priority: 5, MaxResults: 10,
				Allowed: []string{}, Blocked: []string{}, TypeLimits: map[string]domain.TypeLimit{}})
			return read(t, core, "outbox/"+core.exportOne(t, "field").File)
		}, bundle.Untrusted},
		{"of another epoch", func(t *testing.T) []byte {
			_, data := forgery{from: field, epoch: epochOf("restored"), events: []bundle.Event{ask()}}.file(t)
			return data
		}, bundle.Untrusted},
		{"no bundle at all", func(*testing.T) []byte { return []byte("hello\n") }, bundle.Damaged},
		{"empty", func(*testing.T) []byte { return nil }, bundle.Incomplete},
		{"of a newer format, by a stranger", func(t *testing.T) []byte {
			return newer(t, newPeer(t, "stranger", domain.RequestSite))
		}, bundle.Untrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := c.make(t)
			drop(t, core, nameOf("field", 1), data)
			refused(t, core, "field", data, c.code, false)
		})
	}
	forgery{from: field, events: []bundle.Event{ask()}}.deliver(t, core)
	core.expect(t, bridge.Applied)
}

func nameOf(from string, seq int64) string {
	span := bundle.Span{From: from, To: "core", Epoch: epochOf(from), Seq: seq}
	return bundle.NameFor(bundle.Core{Span: span}, 0, false).String()
}

// rewrite changes the signed manifest of a bundle, whatever the rules say.
func rewrite(t *testing.T, data []byte, change func(string) string) []byte {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	signed := string(f.Signed())
	var out bytes.Buffer
	if _, err := bundle.WriteFile(&out, []byte(change(signed)), bytes.NewReader(data[8+len(signed):])); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// newer is a bundle in a format that does not exist yet.
func newer(t *testing.T, from peer) []byte {
	t.Helper()
	_, data := forgery{from: from, events: []bundle.Event{ask()}}.file(t)
	return rewrite(t, data, func(signed string) string {
		text, _, _ := strings.Cut(signed, "\n\n")
		signer, err := bundle.NewSigner(from.card.Name, from.keys.Signing)
		if err != nil {
			t.Fatal(err)
		}
		again, err := note.Sign(&note.Note{Text: strings.Replace(text, bundle.Format, "sallyport-bundle/2", 1) + "\n"}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(again)
	})
}

func TestWhatAPeerMayNotSayIsRefusedAndStopsTheLink(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	core := newEnd(t, "core", domain.ResponseSite)
	user := `{"username":"eve","email":"eve@example.org","full_name":"Eve","role":"admin","profile":"staff","credential":{"algorithm":"argon2id","hash":"x"}}`
	for i, c := range []struct {
		name string
		bad  bundle.Event
		says string
	}{
		{"a user", said(domain.UserStream(id), "user.registered", user), "may not come from the request site"},
		{"a username", said(domain.UsernameStream("eve"), "username.claimed", `{"user":"eve"}`), "may not come"},
		{"an answer", said(domain.ResponseStream(id), "response.failed", `{"code":"x","error":"x","attempts":1}`), "may not come"},
		{"what stays at home", said(domain.RequestNameStream("a", "b"), "requestname.claimed", `{"request":"x"}`), "may not come"},
		{"about another site", said(domain.SiteStream("core"), "site.founded", `{"site":"core","role":"response","epoch":"`+epochOf("core")+`"}`), "may not come"},
		{"a request in a user's stream", said(domain.UserStream(id), "request.submitted", asked), "may not come"},
		{"a request that breaks its schema", said(domain.RequestStream(id), "request.submitted", `{"type":"airport"}`), "schema"},
		{"a request with a field too many", said(domain.RequestStream(id), "request.submitted", strings.Replace(asked, "{", `{"admin":true,`, 1)), "schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := newPeer(t, fmt.Sprintf("field-%d", i), domain.RequestSite)
			core.addLink(t, from.card)
			f := forgery{from: from, events: []bundle.Event{ask(), c.bad, ask()}}
			r := refused(t, core, from.card.Name, f.deliver(t, core), bundle.Refused, true)
			if r.Line != 3 || r.Position != 2 || r.Peer != from.card.Name || r.Seq != 1 || !strings.Contains(r.Message, c.says) {
				t.Errorf("the reason does not name line 3, position 2 and %q: %+v", c.says, r)
			}
			if _, err := core.Export(t.Context(), from.card.Name, "cli:test"); !errors.Is(err, bridge.ErrStopped) {
				t.Errorf("a stopped link exports: %v", err)
			}
		})
	}
	// Nothing of a stopped link is applied; it waits until people look.
	from := newPeer(t, "field", domain.RequestSite)
	core.addLink(t, from.card)
	forgery{from: from, events: []bundle.Event{said(domain.UserStream(id), "user.registered", user)}}.deliver(t, core)
	core.expect(t, bridge.Quarantined)
	forgery{from: from, events: []bundle.Event{ask()}}.deliver(t, core)
	if out := core.expect(t, bridge.Held); !strings.Contains(out[0].Reason, "the link is stopped") {
		t.Errorf("held because %s", out[0].Reason)
	}
}

func TestAnAnswerNobodyAskedForIsRefused(t *testing.T) {
	t.Parallel()
	field, core := newEnd(t, "field", domain.RequestSite), newPeer(t, "core", domain.ResponseSite)
	field.addLink(t, core.card)
	f := forgery{from: core, to: "field", events: []bundle.Event{
		said(domain.ResponseStream(uuid.NewString()), "response.failed", `{"code":"timeout","error":"late","attempts":1}`)}}
	if r := refused(t, field, "core", f.deliver(t, field), bundle.Refused, true); r.Position != 1 || !strings.Contains(r.Message, "never asked") {
		t.Errorf("the reason is %+v", r)
	}
}

func TestAnotherSitesRequestIsRefused(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	other := newPeer(t, "other", domain.RequestSite)
	core.addLink(t, other.card)
	theirs := ask()
	forgery{from: field, events: []bundle.Event{theirs}}.deliver(t, core)
	core.expect(t, bridge.Applied)
	theirs.ID, theirs.Ver = uuid.NewString(), 2
	forgery{from: other, events: []bundle.Event{theirs}}.deliver(t, core)
	out := core.expect(t, bridge.Quarantined)
	if !strings.Contains(out[0].Reason, "belongs to field, not to other") {
		t.Errorf("refused because %s", out[0].Reason)
	}
	if core.link(t, "other").Stopped == "" || core.link(t, "field").Stopped != "" {
		t.Error("not exactly the link of the one who did it is stopped")
	}
}

// A peer that uses an id or a version twice must not make every import fail for
// ever.
func TestDoubledEventsAreRefused(t *testing.T) {
	t.Parallel()
	for name, double := range map[string]func(first, second *bundle.Event){
		"id":      func(first, second *bundle.Event) { second.ID = first.ID },
		"version": func(first, second *bundle.Event) { second.Stream = first.Stream },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, field := coreAnd(t)
			first, second := ask(), ask()
			double(&first, &second)
			f := forgery{from: field, events: []bundle.Event{first, second}}
			refused(t, core, "field", f.deliver(t, core), bundle.Refused, true)
		})
	}
}

func TestWhatIsTooNewIsHeld(t *testing.T) {
	t.Parallel()
	later := ask()
	later.Schema++
	for _, c := range []struct {
		name string
		make func(*testing.T, peer) []byte
	}{
		{"an unknown event type", func(t *testing.T, field peer) []byte {
			_, data := forgery{from: field, events: []bundle.Event{ask(), said("request-x", "request.withdrawn", `{}`)}}.file(t)
			return data
		}},
		{"an unknown version of a known type", func(t *testing.T, field peer) []byte {
			_, data := forgery{from: field, events: []bundle.Event{ask(), later}}.file(t)
			return data
		}},
		{"a newer format", newer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			core, field := coreAnd(t)
			before := core.own(t)
			drop(t, core, nameOf("field", 1), c.make(t, field))
			for range 2 {
				out := core.expect(t, bridge.Held)
				if !strings.Contains(out[0].Reason, "upgrade this site first") {
					t.Errorf("held because %s", out[0].Reason)
				}
			}
			if n := len(core.mirrored(t, "field")); n != 0 || len(core.names(t, "staging")) != 1 {
				t.Errorf("%d events applied, staged %q", n, core.names(t, "staging"))
			}
			if held := core.status(t).Held; c.name != "a newer format" && !slices.Equal(held, []int64{1}) {
				t.Errorf("the status shows %v as held", held)
			}
			if core.link(t, "field").Stopped != "" || !slices.Equal(core.own(t), before) {
				t.Error("an older program is nobody's fault: the link must run and the log stay as it is")
			}
		})
	}
}

// What was stored before the fault could be seen is said to be applied.
func TestAFaultAfterTheFirstTransactionSaysWhatWasApplied(t *testing.T) {
	t.Parallel()
	core, field := coreAnd(t)
	var events []bundle.Event
	for range 1001 {
		events = append(events, ask())
	}
	events[1000].ID = events[0].ID
	forgery{from: field, events: events}.deliver(t, core)
	core.expect(t, bridge.Quarantined)
	r := core.reasons(t)[0]
	if !strings.Contains(r.NextStep, "applied, through position 1000") || strings.Contains(r.NextStep, "Nothing was applied") {
		t.Errorf("next: %s", r.NextStep)
	}
	if got := len(core.mirrored(t, "field")); got != 1000 {
		t.Errorf("%d events are stored", got)
	}
}
