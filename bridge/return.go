package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/eventstore"
)

// sent is a bundle of a peer that was applied here, as its sender made it.
type sent struct {
	core   bundle.Core
	first  string // the payload's own line
	signed string // the manifest
}

// Return writes bundles that give a peer its own log back from a position on,
// as it is mirrored here: one for each bundle that brought it, always encrypted,
// with the peer's own signature as proof. It is for a peer that was restored and
// lost events; a healthy one refuses them. Nothing is recorded, so that they may
// be made as often as they are wanted.
func (b *Bridge) Return(ctx context.Context, peer string, after int64, operator string) ([]Exported, error) {
	var out []Exported
	err := b.exporting(ctx, peer, operator, func(ctx context.Context, x *exporter) error {
		l, err := x.link(ctx, x.Pool, peer, false)
		if err != nil {
			return err
		}
		all, err := x.sentBy(ctx, l, after)
		if err != nil {
			return err
		}
		for _, s := range all {
			if err := x.giveBack(ctx, l, s); err != nil {
				return fmt.Errorf("give bundle %d back to %s: %w", s.core.Seq, peer, err)
			}
		}
		out = x.out
		return nil
	})
	return out, err
}

// sentBy returns the bundles that brought what follows a position, in order.
func (x *exporter) sentBy(ctx context.Context, l Link, after int64) ([]sent, error) {
	rows, err := x.Pool.Query(ctx, `SELECT manifest, first FROM inbound_bundles
		WHERE peer = $1 AND epoch = $2 AND applied_at IS NOT NULL ORDER BY seq, applied_at`, l.Card.Name, l.In.Epoch)
	if err != nil {
		return nil, fmt.Errorf("look up what %s sent: %w", l.Card.Name, err)
	}
	var wanted []sent
	var s sent
	_, err = pgx.ForEachRow(rows, []any{&s.signed, &s.first}, func() error {
		m, err := bundle.ReadManifest([]byte(s.signed))
		if err != nil {
			return err
		}
		if s.core = m.Core; s.core.Range.Through <= after {
			return nil
		}
		if s.first == "" {
			return fmt.Errorf("bundle %d was applied by a program that did not keep what proves it: from there on nothing can be given back", s.core.Seq)
		}
		wanted = append(wanted, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what %s sent: %w", l.Card.Name, err)
	}
	return wanted, nil
}

func (x *exporter) giveBack(ctx context.Context, l Link, s sent) error {
	e := Exported{Kind: bundle.Return, Peer: x.peer, Seq: s.core.Seq, After: s.core.Range.After, Through: s.core.Range.Through,
		Why: "the peer lost it"}
	payload := fmt.Sprintf("%s/%s-r%d.payload", tmpDir, x.peer, s.core.Seq)
	defer func() { _ = x.Folders.remove(payload) }() // scratch: a later run makes another
	content, err := x.returnPayload(ctx, l, s, payload, &e)
	if err != nil {
		return err
	}
	head, err := x.Log.Head(ctx)
	if err != nil {
		return err
	}
	m := content.Manifest()
	m.Head, m.CreatedAt = bundle.Head{Position: head.Pos, Seq: l.Out.Seq}, bundle.FormatTime(time.Now())
	e.ID, e.File = m.Core.ID(), bundle.NameFor(m.Core, 0, true).String()
	if err := x.Folders.leaving(ctx, head, x.peer, headLink{}); err != nil {
		return err
	}
	sign, err := x.signing(ctx, x.Pool)
	if err != nil {
		return err
	}
	if e.Bytes, err = x.writeFile(sign, m, payload, e.File); err != nil {
		return err
	}
	x.Logger.InfoContext(ctx, "a peer's own log is given back", "peer", x.peer, "seq", e.Seq, "after", e.After, "through", e.Through, "file", e.File)
	x.out = append(x.out, e)
	return nil
}

// returnPayload writes the mirror's lines of the range of a bundle.
func (x *exporter) returnPayload(ctx context.Context, l Link, s sent, name string, e *Exported) (c bundle.Content, err error) {
	f, err := x.Folders.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return c, fmt.Errorf("create %s: %w", x.Folders.abs(name), err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = x.Pool.QueryRow(ctx, `SELECT count(*) FROM events WHERE origin = $1 AND pos > $2 AND pos <= $3`,
		x.peer, max(e.After, l.Start), e.Through).Scan(&e.Events)
	if err != nil {
		return c, fmt.Errorf("count the events: %w", err)
	}
	span := bundle.Span{Format: bundle.Format, Kind: bundle.Return, From: x.Log.Site(), To: x.peer, Epoch: s.core.Epoch, Seq: s.core.Seq,
		Range: s.core.Range, Chain: s.core.Chain}
	w, err := bundle.NewWriter(ctx, f, bundle.Plan{Recipients: []string{l.Card.Recipient}, Limits: x.Limits, First: bundle.First{Span: span,
		Salt: newSalt(), Events: int(e.Events), Operator: x.operator, Proof: bundle.MakeProof([]byte(s.first), []byte(s.signed))}})
	if err != nil {
		return c, err
	}
	defer w.Close()
	if err := x.returnLines(ctx, w, l, e.After, e.Through); err != nil {
		return c, err
	}
	return w.Finish()
}

// returnLines copies a range of the mirror, events and withheld runs as they came.
func (x *exporter) returnLines(ctx context.Context, w *bundle.Writer, l Link, at, through int64) error {
	if at < l.Start { // the run that stands for the earlier epochs
		if err := w.Withheld(bundle.Withheld{After: at, Through: l.Start, Chain: bundle.Start(l.In.Epoch, x.peer)}); err != nil {
			return err
		}
		at = l.Start
	}
	for at < through {
		lines, err := x.Log.ReadLines(ctx, x.peer, at, through, eventstore.MaxPage)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := x.returnRuns(ctx, w, at, line.Pos-1); err != nil {
				return err
			}
			if err := w.Line(line.Bytes); err != nil {
				return err
			}
			at = line.Pos
		}
		if len(lines) == 0 {
			return x.returnRuns(ctx, w, at, through)
		}
	}
	return nil
}

// returnRuns writes the withheld runs that fill a range.
func (x *exporter) returnRuns(ctx context.Context, w *bundle.Writer, at, through int64) error {
	for at < through {
		runs, err := x.Log.ReadWithheld(ctx, x.peer, at, eventstore.MaxPage)
		if err != nil {
			return err
		}
		if len(runs) == 0 || runs[0].After != at {
			return &eventstore.GapError{Want: at + 1, Got: through + 1}
		}
		for _, r := range runs {
			if at >= through {
				break
			}
			if err := w.Withheld(bundle.Withheld{After: r.After, Through: r.Through, Chain: bundle.Hash(r.Chain)}); err != nil {
				return err
			}
			at = r.Through
		}
	}
	return nil
}
