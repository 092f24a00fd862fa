package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"sallyport/bridge/bundle"
	"sallyport/bridge/wholefile"
	"sallyport/domain"
	"sallyport/eventstore"
)

// AuditWish is a part of a site's own log that somebody looks into.
type AuditWish struct {
	// From and To are positions of the site's own log, both part of it. 0: where its
	// present epoch begins, and where it ends now.
	From, To int64
	// For is the name of who reads it, for people; empty: auditor.
	For string
	// Recipient is the age public key of the only one who can read it. Empty: everyone
	// can, and what helps to guess a password or a key is withheld.
	Recipient string
	Operator  string // who makes it
}

// ErrAuditRange refuses positions that the log does not have.
var ErrAuditRange = errors.New("this range of the log cannot be exported")

// auditSource is what an export is made of: the log, or an archive of it.
type auditSource struct {
	lines
	head    eventstore.Head
	chainAt func(ctx context.Context, pos int64) (bundle.Hash, error)
	sign    func(ctx context.Context) (signing, error)
	scratch func() (*os.File, error) // a new file without a name
	logger  *slog.Logger
}

// PlanAudit cuts what is wished into parts. It reads no lines but those that a
// chain's value between two parts depends on, and stores nothing: no link, number
// or cursor knows of it.
func (b *Bridge) PlanAudit(ctx context.Context, w AuditWish) ([]*AuditPart, error) {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	s := &auditSource{lines: lines{b.Log, head.Start, b.Limits, b.Progress}, head: head, scratch: b.Folders.scratch, logger: b.Logger,
		chainAt: func(ctx context.Context, pos int64) (bundle.Hash, error) { return b.chainAt(ctx, b.Pool, pos) },
		sign:    func(ctx context.Context) (signing, error) { return b.signing(ctx, b.Pool) }}
	return s.plan(ctx, w)
}

func (s *auditSource) plan(ctx context.Context, w AuditWish) ([]*AuditPart, error) {
	head := s.head
	from, to := cmp.Or(w.From, head.Start+1), cmp.Or(w.To, head.Pos)
	switch {
	case to > head.Pos:
		return nil, fmt.Errorf("%w: it ends at position %d", ErrAuditRange, head.Pos)
	case from < 1 || from > to:
		return nil, fmt.Errorf("%w: %d to %d holds no position", ErrAuditRange, from, to)
	case from <= head.Start:
		return nil, fmt.Errorf("%w: positions up to %d belong to epochs of it that have ended: begin with %d", ErrAuditRange, head.Start, head.Start+1)
	}
	chain, err := s.chainAt(ctx, from-1)
	if err != nil {
		return nil, err
	}
	var parts []*AuditPart
	for at := from - 1; at < to; {
		p := &AuditPart{source: s, plan: plan{Peer: cmp.Or(w.For, "auditor"), Epoch: head.Epoch, After: at, Through: at, ChainAfter: chain, ChainThrough: chain,
			Salt: newSalt(), Operator: w.Operator, Runs: []run{}}}
		if w.Recipient != "" {
			p.recipients = []string{w.Recipient}
		}
		if err := p.measure(ctx, s.from, s.limits, head, to, p.shows); err != nil {
			return nil, err
		}
		parts, at, chain = append(parts, p), p.Through, p.ChainThrough
	}
	return parts, nil
}

// AuditPart is as much of a wish as one file holds.
type AuditPart struct {
	plan
	recipients []string
	source     *auditSource
	size       int64
}

// shows leaves out of a plain file what must not be read by everyone.
func (p *AuditPart) shows(_ context.Context, entries []eventstore.Entry) ([]bool, error) {
	shown := make([]bool, len(entries))
	for i, e := range entries {
		k, known := domain.KindOf(e.Type)
		if shown[i] = known && !k.Secret || len(p.recipients) > 0; shown[i] {
			p.size += e.Size + 1
		}
	}
	return shown, nil
}

// From and To are the part's positions, both part of it.
func (p *AuditPart) From() int64 { return p.After + 1 }

// To is the last one.
func (p *AuditPart) To() int64 { return p.Through }

// Size is about how many bytes of lines the part shows.
func (p *AuditPart) Size() int64 { return p.size }

// Name is what the part's file is called, which is no bundle's name: an inbox
// lets it lie.
//
//	audit_<site>_<epoch8>_<first10>-<last10>.jsonl.zst[.age]
func (p *AuditPart) Name() string {
	ending := ".jsonl.zst"
	if len(p.recipients) > 0 {
		ending += ".age"
	}
	return fmt.Sprintf("audit_%s_%s_%010d-%010d%s", p.source.head.Site, p.Epoch[:8], p.From(), p.To(), ending)
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

// Write makes the part's file under a name in a folder, where it is seen whole or
// not at all: it is synced and read back first.
func (p *AuditPart) Write(ctx context.Context, root *os.Root, name string) (e AuditExported, err error) {
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	err = wholefile.Create(root, name, temporary, func(f *os.File) (err error) {
		e, err = p.fill(ctx, f)
		return err
	})
	e.File = name
	return e, err
}

// Open makes the part's file without a name, open at its beginning: closed, it is
// gone.
func (p *AuditPart) Open(ctx context.Context) (*Fetched, error) {
	f, err := p.source.scratch()
	if err != nil {
		return nil, err
	}
	e, err := p.fill(ctx, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Two makings of one part differ in their salt, so an id names these very bytes.
	return &Fetched{File: f, Name: p.Name(), ID: e.ID, Making: e.ID, Size: e.Bytes, Modified: time.Now()}, nil
}

func (p *AuditPart) fill(ctx context.Context, to *os.File) (AuditExported, error) {
	e := AuditExported{From: p.From(), To: p.To(), Events: p.Events, Withheld: p.Withheld, Encrypted: len(p.recipients) > 0}
	if err := p.seal(ctx, to, &e); err != nil {
		return e, fmt.Errorf("export positions %d to %d: %w; nothing was written", p.From(), p.To(), err)
	}
	p.source.logger.InfoContext(ctx, "audit export made", "from", e.From, "to", e.To, "events", e.Events, "withheld", e.Withheld, "operator", p.Operator)
	return e, nil
}

// seal makes the payload, then manifest and payload as one file.
func (p *AuditPart) seal(ctx context.Context, to *os.File, e *AuditExported) (err error) {
	payload, err := p.source.scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, payload.Close()) }()
	span := p.span(p.source.head.Site)
	span.Kind = bundle.Audit
	content, err := p.write(ctx, payload, p.source.lines, span, p.recipients)
	if err != nil {
		return err
	}
	if _, err := payload.Seek(0, io.SeekStart); err != nil {
		return err
	}
	by, err := p.source.sign(ctx)
	if err != nil {
		return err
	}
	m := content.Manifest()
	m.Head, e.ID = bundle.Head{Position: p.source.head.Pos}, m.Core.ID()
	e.Bytes, err = by.join(to, m, payload, p.source.limits)
	return err
}

// join signs a manifest that is for people, writes it and its payload as one file,
// syncs that and reads it back.
func (s signing) join(to *os.File, m bundle.Manifest, payload io.Reader, limits bundle.Limits) (size int64, err error) {
	signers, err := s.signers()
	if err != nil {
		return 0, err
	}
	m.NextKey, m.CreatedAt = s.next, bundle.FormatTime(time.Now())
	signed, err := m.Sign(signers...)
	if err != nil {
		return 0, err
	}
	if size, err = bundle.WriteFile(to, signed, payload); err != nil {
		return 0, err
	}
	return size, errors.Join(to.Sync(), readBack(to, size, s, limits))
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
