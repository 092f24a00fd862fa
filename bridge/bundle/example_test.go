package bundle_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"sallyport/bridge/bundle"
)

// One event goes from field to core and is read there.
func Example() {
	const epoch = "0123456789abcdef0123456789abcdef"
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	signer, err := bundle.NewSigner("field", key)
	if err != nil {
		fmt.Println(err)
		return
	}
	line := bundle.AppendEvent(nil, bundle.Event{
		Pos: 1, ID: "019aa0f3-1b5e-7c2a-9d11-0123456789ab", Stream: "request-019aa0f3-1b5e-7c2a-9d11-000000000001", Ver: 1,
		Type: "request.submitted", Schema: 1, At: time.Date(2026, 11, 22, 9, 26, 2, 0, time.UTC),
		Actor: "site:field", Corr: "019aa0f3-1b5e-7c2a-9d11-000000000001", Data: []byte(`{"type":"airport"}`),
	})

	start := bundle.Start(epoch, "field")
	var payload bytes.Buffer
	w, err := bundle.NewWriter(context.Background(), &payload, bundle.Plan{First: bundle.First{
		Span: bundle.Span{
			Kind: bundle.Data, From: "field", To: "core", Epoch: epoch, Seq: 1,
			Range: bundle.Range{After: 0, Through: 1},
			Chain: bundle.ChainEnds{After: start, Through: start.Next(line)},
		},
		Salt: "00112233445566778899aabbccddeeff", Events: 1,
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	if err := w.Line(line); err != nil {
		fmt.Println(err)
		return
	}
	content, err := w.Finish()
	if err != nil {
		fmt.Println(err)
		return
	}
	manifest := content.Manifest()
	manifest.Head = bundle.Head{Position: 1, Seq: 1}
	manifest.CreatedAt = "2026-11-22T09:30:00.000000Z"
	signed, err := manifest.Sign(signer)
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	if _, err := bundle.WriteFile(&file, signed, &payload); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bundle.NameFor(content.Core, 0, false))

	trust := func(id string) (ed25519.PublicKey, bool) {
		return key.Public().(ed25519.PublicKey), id == signer.KeyID()
	}
	if err := show(file.Bytes(), trust); err != nil {
		fmt.Println(err)
	}
	err = show(file.Bytes()[:file.Len()-1], trust)
	fmt.Println(err)
	fmt.Println(bundle.CodeOf(err))
	// Output:
	// sp1_field-core_01234567_0000000001.jsonl.zst
	// 1 request.submitted {"type":"airport"}
	// bundle incomplete: file ends 1 bytes early
	// incomplete
}

// show reads a bundle in the one order there is.
func show(raw []byte, trust bundle.Trust) error {
	f, err := bundle.Open(bytes.NewReader(raw), int64(len(raw)), bundle.Limits{})
	if err != nil {
		return err
	}
	if err := f.VerifySignatures(trust); err != nil {
		return err
	}
	if err := f.VerifyPayload(); err != nil {
		return err
	}
	for line, err := range f.Lines(context.Background()) {
		if err != nil {
			return err
		}
		fmt.Println(line.Event.Pos, line.Event.Type, string(line.Event.Data))
	}
	return nil
}
