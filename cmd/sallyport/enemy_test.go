package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"sallyport/bridge"
	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/schema/schematest"
)

// enemy is a peer that everybody trusts and that means ill: only its keys exist.
type enemy struct {
	name string
	keys bridge.Keys
	card bridge.Card
}

func newEnemy(t *testing.T, name string, role domain.Role) enemy {
	t.Helper()
	keys, err := bridge.EnsureKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	card, err := keys.Card(name, role, eventstore.Genesis("test", name).String()[:32])
	if err != nil {
		t.Fatal(err)
	}
	return enemy{name, keys, card}
}

// content gives a bundle's lines one by one, the same at each call.
type content func(event func(bundle.Event), run func(through int64))

// noLimits lets an enemy's writer write what no reader takes.
var noLimits = bundle.Limits{Lines: 1 << 30, Plain: 1 << 40, Line: 1 << 30, RecordedLine: 1 << 30, File: 1 << 40, Depth: 1 << 20}

// write makes a bundle with the real writer.
func (e enemy) write(t *testing.T, to string, lines content, change func(*bundle.Manifest)) []byte {
	t.Helper()
	start := bundle.Start(e.card.Epoch, e.name)
	pos, chain, events := int64(0), start, 0
	lines(func(ev bundle.Event) {
		pos, events = pos+1, events+1
		ev.Pos = pos
		chain = chain.Next(bundle.AppendEvent(nil, ev))
	}, func(through int64) { pos = through })
	var payload bytes.Buffer
	w, err := bundle.NewWriter(t.Context(), &payload, bundle.Plan{Limits: noLimits, First: bundle.First{Span: e.span(to, pos, chain),
		Salt: strings.Repeat("0", 32), Events: events, Operator: "cli:test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	pos, chain = 0, start
	put := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	lines(func(ev bundle.Event) {
		pos++
		ev.Pos = pos
		line := bundle.AppendEvent(nil, ev)
		chain = chain.Next(line)
		put(w.Line(line))
	}, func(through int64) {
		put(w.Withheld(bundle.Withheld{After: pos, Through: through, Chain: chain}))
		pos = through
	})
	made, err := w.Finish()
	put(err)
	return e.signed(t, made.Manifest(), change, payload.Bytes())
}

func (e enemy) span(to string, through int64, chain bundle.Hash) bundle.Span {
	return bundle.Span{Format: bundle.Format, Kind: bundle.Data, From: e.name, To: to, Epoch: e.card.Epoch, Seq: 1,
		Range: bundle.Range{Through: through}, Chain: bundle.ChainEnds{After: bundle.Start(e.card.Epoch, e.name), Through: chain}}
}

// claim makes a bundle of any bytes, under a manifest that claims plain bytes.
func (e enemy) claim(t *testing.T, to string, plain int64, frames ...[]byte) []byte {
	t.Helper()
	payload := bytes.Join(frames, nil)
	m := bundle.Manifest{Core: bundle.Core{Span: e.span(to, 1, bundle.Hash{1}), PlainBytes: plain}}
	m.Payload = bundle.Payload{Bytes: int64(len(payload)), SHA256: sha256.Sum256(payload)}
	at, share := int64(0), plain/int64(len(frames))
	for i, f := range frames {
		entry := bundle.Frame{Offset: at, Bytes: int64(len(f)), PlainBytes: share, First: 1, SHA256: sha256.Sum256(f)}
		if i == len(frames)-1 {
			entry.PlainBytes = plain - share*int64(i)
		}
		at += entry.Bytes
		m.Frames = append(m.Frames, entry)
	}
	return e.signed(t, m, func(*bundle.Manifest) {}, payload)
}

func (e enemy) signed(t *testing.T, m bundle.Manifest, change func(*bundle.Manifest), payload []byte) []byte {
	t.Helper()
	m.Head, m.CreatedAt = bundle.Head{Position: m.Core.Range.Through, Seq: 1}, bundle.FormatTime(time.Now())
	if change != nil {
		change(&m)
	}
	signer, err := bundle.NewSigner(e.name, e.keys.Signing)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := m.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return joined(t, signed, payload)
}

func (e enemy) fileName(to string) string {
	return bundle.NameFor(bundle.Core{Span: e.span(to, 0, bundle.Hash{})}, 0, false).String()
}

// says is an event of an enemy's log; it gets its place when it is written.
func says(stream, typ, data string) bundle.Event {
	return bundle.Event{ID: uuid.NewString(), Stream: stream, Ver: 1, Type: typ, Schema: int64(schematest.Present(typ)),
		At: time.Date(2026, 11, 22, 9, 26, 2, 0, time.UTC), Actor: "cli:test", Corr: "corr", Data: []byte(data)}
}

// asks is a request of n bytes of parameters.
func asks(n int) bundle.Event {
	return says(domain.RequestStream(uuid.NewString()), "request.submitted",
		fmt.Sprintf(`{"type":"airport","type_version":1,"params":{"x":%q},"priority":5,"user":"ann"}`, strings.Repeat("a", n)))
}

// bombs are n zstd frames of size equal bytes each.
func bombs(n, size int, of byte) [][]byte {
	e, err := zstd.NewWriter(nil, zstd.WithSingleSegment(size <= 8<<20), zstd.WithWindowSize(8<<20))
	if err != nil {
		panic(err) // the options are constant
	}
	return slices.Repeat([][]byte{e.EncodeAll(bytes.Repeat([]byte{of}, size), nil)}, n)
}
