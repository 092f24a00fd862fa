package bridge_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/schema/schematest"
)

// peer is a site of which only the keys exist: what it sends is forged with
// the real format and its real key.
type peer struct {
	keys bridge.Keys
	card bridge.Card
	dir  string // of the keys
}

func newPeer(t *testing.T, name string, role domain.Role) peer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	keys := keysIn(t, dir)
	card, err := keys.Card(name, role, epochOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return peer{keys: keys, card: card, dir: dir}
}

// forgery is a bundle whose content the test decides. Unset fields are what an
// honest sender would put there.
type forgery struct {
	from   peer
	kind   bundle.Kind // data
	to     string
	epoch  string
	seq    int64
	before []bundle.Event // of the log, before what is sent
	events []bundle.Event
	ack    *bundle.Ack
	seal   *age.HybridIdentity // encrypt to it
	made   time.Time           // now
}

// said is an event as it stands in a peer's log; the forgery gives it a place.
func said(stream, typ, data string) bundle.Event {
	return bundle.Event{ID: uuid.NewString(), Stream: stream, Ver: 1, Type: typ, Schema: int64(schematest.Present(typ)),
		At: time.Date(2026, 11, 22, 9, 26, 2, 0, time.UTC), Actor: "cli:test", Corr: "corr", Data: []byte(data)}
}

const asked = `{"type":"airport","type_version":1,"params":{"iata":"AMS"},"priority":5,"user":"ann"}`

func ask() bundle.Event {
	return said(domain.RequestStream(uuid.NewString()), "request.submitted", asked)
}

// log gives the lines of events from a position on, and the chain after them.
func logLines(after int64, chain bundle.Hash, events []bundle.Event) ([][]byte, bundle.Hash) {
	var lines [][]byte
	for i, e := range events {
		e.Pos = after + int64(i) + 1
		lines = append(lines, bundle.AppendEvent(nil, e))
		chain = chain.Next(lines[i])
	}
	return lines, chain
}

// file makes the bundle and the name it should carry.
func (f forgery) file(t *testing.T) (name string, data []byte) {
	t.Helper()
	if f.to == "" {
		f.to = "core"
	}
	if f.epoch == "" {
		f.epoch = f.from.card.Epoch
	}
	if f.kind == "" {
		f.kind = bundle.Data
	}
	after, origin, beacon := int64(len(f.before)), f.from.card.Name, 0
	switch f.kind {
	case bundle.Return:
		origin = f.to
	case bundle.Beacon:
		beacon = 1
	}
	_, start := logLines(0, bundle.Start(f.epoch, origin), f.before)
	lines, end := logLines(after, start, f.events)
	span := bundle.Span{Format: bundle.Format, Kind: f.kind, From: f.from.card.Name, To: f.to, Epoch: f.epoch, Seq: max(f.seq, 1),
		Range: bundle.Range{After: after, Through: after + int64(len(lines))}, Chain: bundle.ChainEnds{After: start, Through: end}}
	plan := bundle.Plan{First: bundle.First{Span: span, Salt: strings.Repeat("0", 32), Events: len(lines), Operator: "cli:test"}}
	if f.seal != nil {
		plan.Recipients = []string{f.seal.Recipient().String()}
	}
	var payload bytes.Buffer
	w, err := bundle.NewWriter(t.Context(), &payload, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, line := range lines {
		if err := w.Line(line); err != nil {
			t.Fatal(err)
		}
	}
	content, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m := content.Manifest()
	if f.made.IsZero() {
		f.made = time.Now()
	}
	m.Head, m.Ack, m.CreatedAt = bundle.Head{Position: span.Range.Through, Seq: span.Seq}, f.ack, bundle.FormatTime(f.made)
	return bundle.NameFor(m.Core, beacon, m.Encryption != nil).String(), sign(t, m, f.from, payload.Bytes())
}

// sign joins a manifest, signed by a peer, and a payload.
func sign(t *testing.T, m bundle.Manifest, by peer, payload []byte) []byte {
	t.Helper()
	return signAll(t, m, payload, by)
}

func signAll(t *testing.T, m bundle.Manifest, payload []byte, by ...peer) []byte {
	t.Helper()
	var signers []*bundle.Signer
	for _, p := range by {
		signer, err := bundle.NewSigner(p.card.Name, p.keys.Signing)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, signer)
	}
	signed, err := m.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := bundle.WriteFile(&out, signed, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// deliver drops a forgery into an inbox and returns its bytes.
func (f forgery) deliver(t *testing.T, to *end) []byte {
	t.Helper()
	f.to = to.Card().Name
	name, data := f.file(t)
	drop(t, to, name, data)
	return data
}

// manifestOf reads what a bundle says about itself.
func manifestOf(t *testing.T, data []byte) bundle.Manifest {
	t.Helper()
	f, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Manifest()
}

// coreAnd gives a response site that is linked to one forging request site.
func coreAnd(t *testing.T) (*end, peer) {
	t.Helper()
	core, field := newEnd(t, "core", domain.ResponseSite), newPeer(t, "field", domain.RequestSite)
	core.addLink(t, field.card)
	return core, field
}
