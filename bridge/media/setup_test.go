package media_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/bridge/bundle"
	"sallyport/bridge/media"
)

const epoch = "0123456789abcdef0123456789abcdef"

var (
	key    = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	toCore = media.Pool{From: "field", To: "core"}
)

// trust believes the one key of these tests, whichever site's name it is under.
func trust(string) (ed25519.PublicKey, bool) { return key.Public().(ed25519.PublicKey), true }

// site is a site's outbox and inbox and a medium, all folders of their own.
type site struct{ outbox, inbox, medium string }

func newSite(t *testing.T) site {
	t.Helper()
	s := site{outbox: t.TempDir(), inbox: t.TempDir(), medium: t.TempDir()}
	return s
}

// made gives a good bundle of one event with some bytes that do not compress.
func made(t *testing.T, from, to string, seq int64, noise int) (name string, raw []byte) {
	t.Helper()
	junk := make([]byte, noise)
	rand.Read(junk)
	line := bundle.AppendEvent(nil, bundle.Event{Pos: seq, ID: "019aa0f3-1b5e-7c2a-9d11-0123456789ab",
		Stream: "request-019aa0f3-1b5e-7c2a-9d11-000000000001", Ver: 1, Type: "request.submitted", Schema: 1,
		At: time.Date(2026, 11, 22, 9, 26, 2, 0, time.UTC), Actor: "site:field", Corr: "019aa0f3-1b5e-7c2a-9d11-000000000001",
		Data: fmt.Appendf(nil, `{"type":"airport","noise":%q}`, hex.EncodeToString(junk))})
	start := bundle.Start(epoch, from)
	var payload, file bytes.Buffer
	w, err := bundle.NewWriter(t.Context(), &payload, bundle.Plan{First: bundle.First{Salt: "00112233445566778899aabbccddeeff", Events: 1,
		Span: bundle.Span{Kind: bundle.Data, From: from, To: to, Epoch: epoch, Seq: seq, Prev: previous(seq),
			Range: bundle.Range{After: seq - 1, Through: seq}, Chain: bundle.ChainEnds{After: start, Through: start.Next(line)}}}})
	check(t, err)
	defer w.Close()
	check(t, w.Line(line))
	content, err := w.Finish()
	check(t, err)
	m := content.Manifest()
	m.Head, m.CreatedAt = bundle.Head{Position: seq, Seq: seq}, "2026-11-22T09:30:00.000000Z"
	signer, err := bundle.NewSigner(from, key)
	check(t, err)
	signed, err := m.Sign(signer)
	check(t, err)
	_, err = bundle.WriteFile(&file, signed, &payload)
	check(t, err)
	return bundle.NameFor(content.Core, 0, false).String(), file.Bytes()
}

func previous(seq int64) string {
	if seq == 1 {
		return ""
	}
	return hex.EncodeToString(make([]byte, 32))
}

// exported puts bundles 1 to n for core into the outbox, with their labels.
func (s site) exported(t *testing.T, n int) (names []string) {
	t.Helper()
	for seq := range int64(n) {
		name, raw := made(t, "field", "core", seq+1, 1000)
		put(t, s.outbox, name, raw)
		put(t, s.outbox, name+".label.txt", []byte("for people\n"))
		names = append(names, name)
	}
	return names
}

func (s site) config(files ...string) media.WriteConfig {
	return media.WriteConfig{Outbox: s.outbox, Dir: s.medium, Pool: toCore, Files: files, Operator: "cli:test", Trust: trust}
}

func (s site) write(t *testing.T, files ...string) media.Written {
	t.Helper()
	w, err := media.Write(t.Context(), s.config(files...))
	check(t, err)
	return w
}

func (s site) read(t *testing.T) media.Taken {
	t.Helper()
	r, err := media.Read(t.Context(), s.reading())
	check(t, err)
	return r
}

func (s site) reading() media.ReadConfig {
	return media.ReadConfig{Dir: s.medium, Inbox: s.inbox, Site: "core"}
}

// found gives what became of one file on a medium.
func found(t *testing.T, r media.Taken, name string) media.Found {
	t.Helper()
	i := slices.IndexFunc(r.Files, func(f media.Found) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("%s is not listed: %+v", name, r.Files)
	}
	return r.Files[i]
}

func states(w media.Written) (all []string) {
	for _, f := range w.Files {
		all = append(all, f.State)
	}
	return all
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
}

func get(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	check(t, err)
	return data
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
