package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/eventstore"
)

// Exported is a bundle that was published.
type Exported struct {
	Peer     string `json:"peer"`
	Seq      int64  `json:"seq"`
	ID       string `json:"id"`
	File     string `json:"file"`
	After    int64  `json:"after"`
	Through  int64  `json:"through"`
	Events   int64  `json:"events"`
	Withheld int64  `json:"withheld"`
	Bytes    int64  `json:"bytes"`
}

// ErrStopped is returned for a link that people must look at first.
var ErrStopped = errors.New("the link is stopped")

// Export writes every bundle that is due for a peer into the outbox and
// returns them; none when nothing is due. It first finishes a bundle that an
// earlier run began. operator is who asked for it: `cli:<os user>` or
// `site:<name>`.
func (b *Bridge) Export(ctx context.Context, peer, operator string) ([]Exported, error) {
	var out []Exported
	err := b.locked(ctx, "export/"+peer, func(ctx context.Context) error {
		for {
			l, err := b.link(ctx, b.Pool, peer, false)
			if err != nil {
				return err
			}
			if l.Stopped != "" {
				return fmt.Errorf("%w (%s): %s", ErrStopped, peer, l.Stopped)
			}
			p, err := b.nextPlan(ctx, l, operator)
			if err != nil || p == nil {
				return err
			}
			e, err := b.publish(ctx, l, p)
			if err != nil {
				return fmt.Errorf("export bundle %d for %s: %w; nothing was lost, the next export makes the same bundle", p.Seq, peer, err)
			}
			out = append(out, e)
		}
	})
	return out, err
}

// publish makes the plan's file, gives it its name and records it.
func (b *Bridge) publish(ctx context.Context, l Link, p *plan) (Exported, error) {
	ack, err := b.nextAck(ctx, p.Peer)
	if err != nil {
		return Exported{}, err
	}
	e := Exported{Peer: p.Peer, Seq: p.Seq, After: p.After, Through: p.Through, Events: p.Events, Withheld: p.Withheld}
	payload := fmt.Sprintf("%s/%s-%d.payload", tmpDir, p.Peer, p.Seq)
	content, err := b.writePayload(ctx, l, p, payload)
	defer func() { _ = b.Folders.remove(payload) }() // scratch: a later run overwrites it
	if err != nil {
		return Exported{}, err
	}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return Exported{}, err
	}
	m := content.Manifest()
	m.Head, m.Ack, m.CreatedAt = bundle.Head{Position: head.Pos, Seq: p.Seq}, ack, bundle.FormatTime(time.Now())
	e.ID = m.Core.ID()
	e.File = bundle.NameFor(m.Core, 0, m.Encryption != nil).String()
	if e.Bytes, err = b.writeFile(m, payload, e.File); err != nil {
		return Exported{}, err
	}
	return e, b.record(ctx, p, e)
}

// writePayload makes the payload in a scratch file.
func (b *Bridge) writePayload(ctx context.Context, l Link, p *plan, name string) (c bundle.Content, err error) {
	f, err := b.Folders.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return c, fmt.Errorf("create %s: %w", b.Folders.abs(name), err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	first := bundle.First{Span: p.span(b.Log.Site()), Salt: p.Salt, Events: int(p.Events), Operator: p.Operator}
	w, err := bundle.NewWriter(ctx, f, bundle.Plan{First: first, Recipients: b.recipients(l), Limits: b.Limits})
	if err != nil {
		return c, err
	}
	defer w.Close()
	if err := b.writeLines(ctx, w, p, len(b.recipients(l)) > 0); err != nil {
		return c, err
	}
	return w.Finish()
}

// recipients decides about encryption: what comes from a response site may
// carry password hashes and is always encrypted.
func (b *Bridge) recipients(l Link) []string {
	if b.EncryptAlways || b.Log.Role() == domain.ResponseSite {
		return []string{l.Card.Recipient}
	}
	return nil
}

var errPlainSecret = errors.New("a secret must not leave in a plain bundle; no bundle is made")

func secret(eventType string) bool {
	k, _ := domain.KindOf(eventType)
	return k.Secret
}

// writeLines copies the plan's range from the log to the payload.
func (b *Bridge) writeLines(ctx context.Context, w *bundle.Writer, p *plan, encrypted bool) error {
	chain, runs := p.ChainAfter, p.Runs
	for at := p.After; at < p.Through; {
		lines, err := b.Log.ReadLines(ctx, b.Log.Site(), at, p.Through, planPage)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return &eventstore.GapError{Want: at + 1, Got: p.Through}
		}
		for _, line := range lines {
			at = line.Pos
			chain = chain.Next(line.Bytes)
			switch {
			case len(runs) > 0 && at == runs[0].Through:
				err = w.Withheld(bundle.Withheld{After: runs[0].After, Through: runs[0].Through, Chain: chain})
				runs = runs[1:]
			case len(runs) > 0 && at > runs[0].After:
				// inside a withheld run
			case !encrypted && secret(line.Type):
				err = errPlainSecret
			default:
				err = w.Line(line.Bytes)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile joins signed manifest and payload under a temporary name, reads
// all of it back, and only then gives it its own name.
func (b *Bridge) writeFile(m bundle.Manifest, payload, name string) (size int64, err error) {
	signer, err := bundle.NewSigner(b.Log.Site(), b.Keys.Signing)
	if err != nil {
		return 0, err
	}
	signed, err := m.Sign(signer)
	if err != nil {
		return 0, err
	}
	src, err := b.Folders.root.Open(payload)
	if err != nil {
		return 0, fmt.Errorf("open the payload: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	err = b.Folders.create(outboxDir+"/"+name, tmpDir+"/"+name, func(f *os.File) error {
		if size, err = bundle.WriteFile(f, signed, src); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		return b.readBack(f, size)
	})
	if err != nil {
		return 0, err
	}
	return size, b.writeLabel(m, name, size)
}

// readBack proves that what is on the disk is what was meant.
func (b *Bridge) readBack(f *os.File, size int64) error {
	back, err := bundle.Open(f, size, b.Limits)
	if err == nil {
		err = back.VerifySignatures(b.card.Trust())
	}
	if err == nil {
		err = back.VerifyPayload()
	}
	if err != nil {
		return fmt.Errorf("the file reads back differently from what was written: %w", err)
	}
	return nil
}

// labelSuffix ends the names of the files for people beside bundles.
const labelSuffix = ".label.txt"

// writeLabel writes what a person needs who carries the file; no program reads it.
func (b *Bridge) writeLabel(m bundle.Manifest, name string, size int64) error {
	f, err := openRegular(b.Folders.root, outboxDir+"/"+name)
	if err != nil {
		return fmt.Errorf("read back %s: %w", name, err)
	}
	sum, err := hashFile(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read back %s: %w", name, err)
	}
	label := name + labelSuffix
	return b.Folders.create(outboxDir+"/"+label, tmpDir+"/"+label, func(f *os.File) error {
		_, err := io.WriteString(f, labelText(m, name, size, sum))
		return err
	})
}

func labelText(m bundle.Manifest, name string, size int64, sum string) string {
	c := m.Core
	return fmt.Sprintf(`sallyport bundle %d

from       %s
to         %s
file       %s
positions  %d to %d of the log of %s
size       %d bytes
SHA-256    %s
made       %s

handed over by  ____________________   on  ____________________
received by     ____________________   on  ____________________
`, c.Seq, c.From, c.To, name, c.Range.After+1, c.Range.Through, c.From, size, sum, m.CreatedAt)
}

// record moves the link's cursor and notes the export in the log.
func (b *Bridge) record(ctx context.Context, p *plan, e Exported) error {
	err := pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE outbound_bundles SET id = $4, file = $5, bytes = $6, published_at = clock_timestamp()
			WHERE peer = $1 AND epoch = $2 AND seq = $3`, p.Peer, p.Epoch, p.Seq, e.ID, e.File, e.Bytes)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE links SET exported_seq = $2, exported_through = $3, exported_chain = $4
			WHERE peer = $1 AND exported_seq = $2 - 1`, p.Peer, p.Seq, p.Through, p.ChainThrough[:])
		if err != nil {
			return err
		}
		_, err = b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: p.Operator, Writes: []eventstore.Write{{
			Stream: domain.BundleOutStream(p.Peer, p.Epoch, p.Seq), Expected: eventstore.NoStream,
			Facts: []domain.Fact{domain.BundleExported(e)}}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("record the bundle: %w", err)
	}
	b.Logger.InfoContext(ctx, "bundle exported", "peer", e.Peer, "seq", e.Seq, "events", e.Events, "bytes", e.Bytes, "file", e.File)
	return nil
}
