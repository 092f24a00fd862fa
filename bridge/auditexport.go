package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
	"sallyport/domain"
	"sallyport/eventstore"
)

// AuditWish is a part of this site's own log that somebody looks into.
type AuditWish struct {
	// From and To are positions of this site's own log, both part of it. 0: where its
	// present epoch begins, and where it ends now.
	From, To int64
	// For is the name of who reads it, for people; empty: auditor.
	For string
	// Recipient is the age public key of the only one who can read it. Empty: everyone
	// can, and what helps to guess a password or a key is withheld.
	Recipient string
	Operator  string // who makes it
}

// AuditPart is as much of a wish as one file holds.
type AuditPart struct {
	plan
	recipients []string
	last       eventstore.Head
	// Size is about how many bytes of lines it shows.
	Size int64
}

// AuditExported is an audit export that was made.
type AuditExported struct {
	File      string `json:"file"`
	ID        string `json:"id"`
	From      int64  `json:"from"` // positions of the site's own log, both part of it
	To        int64  `json:"to"`
	Events    int64  `json:"events"`
	Withheld  int64  `json:"withheld"`
	Bytes     int64  `json:"bytes"`
	Encrypted bool   `json:"encrypted"`
}

// ErrAuditRange refuses positions that this site's log does not have.
var ErrAuditRange = errors.New("this range of the log cannot be exported")

// PlanAudit cuts what is wished into parts. It reads no lines but those that a
// chain's value between two parts depends on, and stores nothing: no link, number
// or cursor knows of it.
func (b *Bridge) PlanAudit(ctx context.Context, w AuditWish) ([]*AuditPart, error) {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	from, to := cmp.Or(w.From, head.Start+1), cmp.Or(w.To, head.Pos)
	switch {
	case to > head.Pos:
		return nil, fmt.Errorf("%w: it ends at position %d", ErrAuditRange, head.Pos)
	case from < 1 || from > to:
		return nil, fmt.Errorf("%w: %d to %d holds no position", ErrAuditRange, from, to)
	case from <= head.Start:
		return nil, fmt.Errorf("%w: positions up to %d belong to epochs of it that have ended: begin with %d", ErrAuditRange, head.Start, head.Start+1)
	}
	chain, err := b.chainAt(ctx, b.Pool, from-1)
	if err != nil {
		return nil, err
	}
	var parts []*AuditPart
	for at := from - 1; at < to; {
		p := &AuditPart{last: head, plan: plan{Peer: cmp.Or(w.For, "auditor"), Epoch: head.Epoch, After: at, Through: at, ChainAfter: chain, ChainThrough: chain,
			Salt: newSalt(), Operator: w.Operator, Runs: []run{}}}
		if w.Recipient != "" {
			p.recipients = []string{w.Recipient}
		}
		if err := b.measure(ctx, &p.plan, head, to, p.shows); err != nil {
			return nil, err
		}
		parts, at, chain = append(parts, p), p.Through, p.ChainThrough
	}
	return parts, nil
}

// shows leaves out of a plain file what must not be read by everyone.
func (p *AuditPart) shows(_ context.Context, entries []eventstore.Entry) ([]bool, error) {
	shown := make([]bool, len(entries))
	for i, e := range entries {
		k, known := domain.KindOf(e.Type)
		if shown[i] = known && !k.Secret || len(p.recipients) > 0; shown[i] {
			p.Size += e.Size + 1
		}
	}
	return shown, nil
}

// Name is what the part's file is called, which is no bundle's name: an inbox
// lets it lie.
//
//	audit_<site>_<epoch8>_<first10>-<last10>.jsonl.zst[.age]
func (p *AuditPart) Name() string {
	ending := ".jsonl.zst"
	if len(p.recipients) > 0 {
		ending += ".age"
	}
	return fmt.Sprintf("audit_%s_%s_%010d-%010d%s", p.last.Site, p.Epoch[:8], p.After+1, p.Through, ending)
}

// From and To are the part's positions, both part of it.
func (p *AuditPart) From() int64 { return p.After + 1 }

// To is the last one.
func (p *AuditPart) To() int64 { return p.Through }

// WriteAudit makes a part's file under a name in a folder, where it is seen whole
// or not at all: it is synced and read back first.
func (b *Bridge) WriteAudit(ctx context.Context, p *AuditPart, root *os.Root, name string) (e AuditExported, err error) {
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	err = wholefile.Create(root, name, temporary, func(f *os.File) (err error) {
		e, err = b.fillAudit(ctx, p, f)
		return err
	})
	e.File = name
	return e, err
}

// AuditFile makes a part's file without a name, open at its beginning: closed, it
// is gone.
func (b *Bridge) AuditFile(ctx context.Context, p *AuditPart) (*Fetched, error) {
	f, err := b.Folders.scratch()
	if err != nil {
		return nil, err
	}
	e, err := b.fillAudit(ctx, p, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Two makings of one part differ in their salt, so an id names these very bytes.
	return &Fetched{File: f, Name: p.Name(), ID: e.ID, Making: e.ID, Size: e.Bytes, Modified: time.Now()}, nil
}

func (b *Bridge) fillAudit(ctx context.Context, p *AuditPart, to *os.File) (AuditExported, error) {
	e := AuditExported{From: p.From(), To: p.To(), Events: p.Events, Withheld: p.Withheld, Encrypted: len(p.recipients) > 0}
	err := b.sealAudit(ctx, p, to, &e)
	if err != nil {
		return e, fmt.Errorf("export positions %d to %d: %w; nothing was written", p.From(), p.To(), err)
	}
	b.Logger.InfoContext(ctx, "audit export made", "from", e.From, "to", e.To, "events", e.Events, "withheld", e.Withheld, "operator", p.Operator)
	return e, nil
}

// sealAudit makes the payload, then manifest and payload as one file, and reads
// that back.
func (b *Bridge) sealAudit(ctx context.Context, p *AuditPart, to *os.File, e *AuditExported) (err error) {
	payload, err := b.Folders.scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, payload.Close()) }()
	span := p.span(p.last.Site)
	span.Kind = bundle.Audit
	content, err := b.payload(ctx, payload, &p.plan, span, p.recipients)
	if err != nil {
		return err
	}
	if _, err := payload.Seek(0, io.SeekStart); err != nil {
		return err
	}
	m := content.Manifest()
	m.Head, e.ID = bundle.Head{Position: p.last.Pos}, m.Core.ID()
	e.Bytes, err = b.join(ctx, to, m, payload)
	return err
}

// join signs a manifest that is for people, writes it and its payload as one file,
// syncs that and reads it back.
func (b *Bridge) join(ctx context.Context, to *os.File, m bundle.Manifest, payload io.Reader) (size int64, err error) {
	by, err := b.signing(ctx, b.Pool)
	if err != nil {
		return 0, err
	}
	signers, err := by.signers()
	if err != nil {
		return 0, err
	}
	m.NextKey, m.CreatedAt = by.next, bundle.FormatTime(time.Now())
	signed, err := m.Sign(signers...)
	if err != nil {
		return 0, err
	}
	if size, err = bundle.WriteFile(to, signed, payload); err != nil {
		return 0, err
	}
	return size, errors.Join(to.Sync(), b.readBack(to, size, by))
}

// scratch opens a new file that has no name any more: whatever becomes of this
// program, it leaves nothing.
func (f *Folders) scratch() (*os.File, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	name := tmpDir + "/audit-" + id.String()
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", f.abs(name), err)
	}
	if err := f.remove(name); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
