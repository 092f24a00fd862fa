package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// writePayload makes the payload in a scratch file.
func (b *Bridge) writePayload(ctx context.Context, l Link, p *plan, name string) (c bundle.Content, err error) {
	f, err := b.Folders.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return c, fmt.Errorf("create %s: %w", b.Folders.abs(name), err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return p.write(ctx, f, lines{b.Log, b.Log.Start(), b.Limits, b.Progress}, p.span(b.Log.Site()), b.recipients(l))
}

// lines are where a payload's come from.
type lines struct {
	from     ownLog
	start    int64 // the last position of earlier epochs
	limits   bundle.Limits
	progress Progress
}

// write writes what the plan says, as the content of a span.
func (p *plan) write(ctx context.Context, to io.Writer, l lines, span bundle.Span, recipients []string) (c bundle.Content, err error) {
	first := bundle.First{Span: span, Salt: p.Salt, Events: int(p.Events), Operator: p.Operator}
	w, err := bundle.NewWriter(ctx, to, bundle.Plan{First: first, Recipients: recipients, Limits: l.limits})
	if err != nil {
		return c, err
	}
	defer w.Close()
	if err := l.write(ctx, w, p, len(recipients) > 0); err != nil {
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

// write copies the plan's range from the log to the payload: the database
// finds the next lines while these are checked, and an encoder of the writer's
// own compresses the ones before.
func (l lines) write(ctx context.Context, w *bundle.Writer, p *plan, encrypted bool) error {
	runs, after := p.Runs, p.After
	var chain bundle.Hash                  // in a withheld run
	if start := l.start; p.After < start { // what belongs to earlier epochs is one run
		if after, chain = start, p.ChainAfter; len(runs) > 0 && runs[0].Through == start {
			if err := w.Withheld(bundle.Withheld{After: p.After, Through: start, Chain: chain}); err != nil {
				return err
			}
			runs = runs[1:]
		}
	}
	for line, err := range l.from.Lines(ctx, after, p.Through) {
		if err != nil {
			return err
		}
		inRun := len(runs) > 0 && line.Pos > runs[0].After
		if inRun && line.Pos == runs[0].After+1 {
			chain = w.Chain()
		}
		if inRun {
			chain = chain.Next(line.Bytes)
		}
		switch {
		case inRun && line.Pos == runs[0].Through:
			err = w.Withheld(bundle.Withheld{After: runs[0].After, Through: runs[0].Through, Chain: chain})
			runs = runs[1:]
		case inRun:
		case !encrypted && secret(line.Type):
			err = errPlainSecret
		default:
			err = w.Stored(line.Pos, line.Bytes)
			l.progress.add(len(line.Bytes) + 1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeFile joins signed manifest and payload under a temporary name, reads
// all of it back, and only then gives it its own name.
func (b *Bridge) writeFile(by signing, m bundle.Manifest, payload, name string) (size int64, err error) {
	signers, err := by.signers()
	if err != nil {
		return 0, err
	}
	m.NextKey = by.next
	signed, err := m.Sign(signers...)
	if err != nil {
		return 0, err
	}
	src, err := b.Folders.root.Open(payload)
	if err != nil {
		return 0, fmt.Errorf("open the payload: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	var sum string
	err = b.Folders.create(outboxDir+"/"+name, tmpDir+"/"+name, func(f *os.File) error {
		if size, err = bundle.WriteFile(f, signed, src); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		var both errgroup.Group // each reads all of the file by itself
		both.Go(func() error { return readBack(f, size, by, b.Limits) })
		both.Go(func() (err error) {
			sum, err = hashFile(io.NewSectionReader(f, 0, size))
			return err
		})
		return both.Wait()
	})
	if err != nil {
		return 0, err
	}
	return size, b.writeLabel(m, name, size, sum)
}

// readBack proves that what is on the disk is what was meant.
func readBack(f *os.File, size int64, by signing, limits bundle.Limits) error {
	back, err := bundle.Open(f, size, limits)
	if err == nil {
		err = back.VerifySignatures(by.trust())
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
func (b *Bridge) writeLabel(m bundle.Manifest, name string, size int64, sum string) error {
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
`, c.Seq, c.From, c.To, name, c.Range.After+1, c.Range.Through, c.Origin(), size, sum, m.CreatedAt)
}
