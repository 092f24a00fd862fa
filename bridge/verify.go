package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"

	"filippo.io/age"

	"sallyport/bridge/archive"
	"sallyport/bridge/bundle"
	"sallyport/schema"
)

// Report is what Verify found out about a file.
type Report struct {
	File      string           `json:"file"`
	ID        string           `json:"id"`
	Kind      bundle.Kind      `json:"kind"`
	From      string           `json:"from"`
	To        string           `json:"to"`
	Seq       int64            `json:"seq"`
	Range     bundle.Range     `json:"range"`
	Chain     bundle.ChainEnds `json:"chain"`
	Signature string           `json:"signature"` // ok
	Payload   string           `json:"payload"`   // ok
	// Content is ok when every line was read and checked, unchecked when the
	// payload is encrypted and no identity was given.
	Content  string `json:"content"`
	Events   int64  `json:"events"`
	Withheld int64  `json:"withheld"`
	Bytes    int64  `json:"bytes"`
}

// VerifyConfig says what Verify may believe. It needs no database, so that
// an auditor can verify on any machine.
type VerifyConfig struct {
	Sender Card
	// Keyring is what is known of the sender's keys beside the one on its card;
	// nil: nothing.
	Keyring    *Keyring
	Identities []age.Identity // none: an encrypted payload is not opened
	Schemas    *schema.Events
	Limits     bundle.Limits
	Progress   Progress
}

// Verify reads every byte of a bundle and holds it against the sender's card:
// signature, payload hash and, if it can be opened, each frame, line, schema,
// the chain and the count. Errors are *bundle.Error, or about reading the file.
func Verify(ctx context.Context, path string, c VerifyConfig) (Report, error) {
	defer thrift()()
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("open the bundle: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("open the bundle: %w", err)
	}
	b, err := bundle.Open(meteredAt{f, c.Progress}, info.Size(), c.Limits)
	if err != nil {
		return Report{}, err
	}
	core := b.Manifest().Core
	r := Report{File: path, ID: core.ID(), Kind: core.Kind, From: core.From, To: core.To, Seq: core.Seq, Range: core.Range, Chain: core.Chain, Bytes: info.Size()}
	if err := c.signatures(b); err != nil {
		return r, err
	}
	if core.Epoch != c.Sender.Epoch && core.Kind != bundle.Return && core.Kind != bundle.Archive {
		return r, &bundle.Error{Code: bundle.Untrusted, Msg: "its epoch is not the one of the sender's card"}
	}
	r.Signature = "ok"
	if err := b.VerifyPayload(); err != nil {
		return r, err
	}
	r.Payload, r.Content = "ok", "unchecked"
	if b.Manifest().Encryption != nil && len(c.Identities) == 0 {
		return r, nil
	}
	return r, c.content(ctx, b, &r)
}

func (c VerifyConfig) signatures(b *bundle.File) error {
	ring := Keyring{Card: c.Sender}
	if c.Keyring != nil {
		ring = *c.Keyring
	}
	_, err := ring.VerifySignatures(b)
	return err
}

func (c VerifyConfig) content(ctx context.Context, b *bundle.File, r *Report) error {
	if b.Manifest().Core.Kind == bundle.Archive {
		return c.archived(ctx, b, r)
	}
	check := Checker{From: c.Sender.Name, Role: c.Sender.Role, Schemas: c.Schemas, All: b.Manifest().Core.Kind == bundle.Audit}
	for line, err := range check.all(b.Lines(ctx, c.Identities...)) {
		if err != nil {
			return err
		}
		if line.Withheld != nil {
			r.Withheld += line.Withheld.Count()
			continue
		}
		r.Events++
	}
	r.Content = "ok"
	return nil
}

// archived reads a segment of an archive, which is a part of something longer.
func (c VerifyConfig) archived(ctx context.Context, b *bundle.File, r *Report) error {
	w := archive.After(b.Manifest().Core)
	for l, err := range archive.SegmentLines(ctx, b, w) {
		if err != nil {
			return err
		}
		if l.Entry != nil {
			r.Events++
		}
	}
	for _, l := range w.Logs("") {
		r.Withheld += l.Withheld
	}
	r.Content = "ok"
	return nil
}

// Cat writes the payload's event lines and withheld runs, each ended by LF,
// once all of them were found good.
func Cat(ctx context.Context, path string, c VerifyConfig, write func([]byte) error) error {
	defer thrift()()
	r, err := Verify(ctx, path, c)
	if err != nil {
		return err
	}
	if r.Content != "ok" {
		return errors.New("the payload is encrypted: give the receiver's --identity to read it")
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the bundle: %w", err)
	}
	defer f.Close()
	b, err := bundle.Open(f, r.Bytes, c.Limits)
	if err != nil {
		return err
	}
	if err := errors.Join(c.signatures(b), b.VerifyPayload()); err != nil {
		return err
	}
	for line, err := range b.Lines(ctx, c.Identities...) {
		if err != nil {
			return err
		}
		if err := write(append(line.Raw, '\n')); err != nil {
			return err
		}
	}
	return nil
}
