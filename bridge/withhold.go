package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/domain"
)

// Withholding is a decision of two people that an event which a peer refused is
// withheld from it.
type Withholding struct {
	Peer       string `json:"peer"`
	Position   int64  `json:"position"` // of this site's log
	Seq        int64  `json:"seq"`      // the bundle that holds it
	Event      string `json:"event"`    // its type
	ProposedBy string `json:"proposed_by"`
	// ConfirmedBy is the second person; empty: one is still wanted.
	ConfirmedBy string `json:"confirmed_by"`
}

// ErrWithhold is returned for an event that cannot be withheld, or not by that
// person. Nothing was changed then.
var ErrWithhold = errors.New("the position is not withheld")

// Withhold lets a person decide that an event which the peer refused is withheld
// from it. The first one proposes; a second, different one who decides the same
// confirms. Then the link goes on, and the next export makes the bundle again
// under its number, its range and its chain, without that event and so with
// another id. It fails with [ErrNoLink] or [ErrWithhold].
func (b *Bridge) Withhold(ctx context.Context, peer string, position int64, actor string) (w Withholding, err error) {
	// Not while the number is being made: what is written must be what is planned.
	err = b.exporting(ctx, peer, actor, func(ctx context.Context, x *exporter) error {
		return pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
			w, err = x.withhold(ctx, tx, position)
			return err
		})
	})
	if err != nil {
		return w, fmt.Errorf("withhold position %d from %s: %w", position, peer, err)
	}
	if w.ConfirmedBy != "" {
		b.Logger.WarnContext(ctx, "two people decided to withhold an event", "peer", peer, "position", position, "bundle", w.Seq)
	}
	return w, nil
}

func (x *exporter) withhold(ctx context.Context, tx pgx.Tx, position int64) (w Withholding, err error) {
	var resumed bool
	_, err = x.changeLink(ctx, tx, x.peer, func(l *Link) error {
		p, err := x.refusedPlan(ctx, tx, *l, position)
		if err != nil {
			return err
		}
		w = Withholding{Peer: x.peer, Position: position, Seq: p.Seq}
		if w.Event, err = x.typeAt(ctx, position); err != nil {
			return err
		}
		if err := w.decide(ctx, tx, p.Epoch, x.operator); err != nil || w.ConfirmedBy == "" {
			return err
		}
		p.leaveOut(position)
		resumed = l.Stopped != ""
		l.Stopped = ""
		l.Self.No++ // what the peer has refused until now was made before this
		return x.replan(ctx, tx, p, l.Self.No)
	})
	if err != nil || w.ConfirmedBy == "" {
		return w, err
	}
	note := domain.PositionWithheld{Peer: x.peer, Position: position, By: []string{w.ProposedBy, w.ConfirmedBy}}
	if err := x.note(ctx, tx, x.operator, note); err != nil || !resumed {
		return w, err
	}
	return w, x.note(ctx, tx, x.operator, domain.LinkResumed{Peer: x.peer, Reason: fmt.Sprintf("position %d is withheld from it", position)})
}

// refusedPlan returns the plan of the bundle that holds a position, if the peer
// refused that bundle for good.
func (b *Bridge) refusedPlan(ctx context.Context, tx pgx.Tx, l Link, position int64) (*plan, error) {
	var seq int64
	err := tx.QueryRow(ctx, `SELECT seq FROM outbound_bundles
		WHERE peer = $1 AND epoch = $2 AND "after" < $3 AND through >= $3 AND published_at IS NOT NULL`, l.Card.Name, l.Out.Epoch, position).Scan(&seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%w: no bundle for %s holds it; nothing was changed", ErrWithhold, l.Card.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the bundle: %w", err)
	}
	p, err := b.madePlan(ctx, l.Card.Name, seq)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(p.Runs, func(r run) bool { return r.After < position && position <= r.Through }) {
		return nil, fmt.Errorf("%w: it is already, in bundle %d, so it cannot be what %s refused; nothing was changed", ErrWithhold, seq, l.Card.Name)
	}
	makings, err := b.makings(ctx, l, []int64{seq})
	if err != nil {
		return nil, err
	}
	l.Out.Rejected = slices.DeleteFunc(slices.Clone(l.Out.Rejected), func(r bundle.Rejection) bool { return r.Seq != seq })
	if _, refused := l.Refused(makings); !refused {
		return nil, fmt.Errorf("%w: %s has not refused bundle %d, which holds it; nothing was changed", ErrWithhold, l.Card.Name, seq)
	}
	return p, nil
}

func (b *Bridge) typeAt(ctx context.Context, position int64) (string, error) {
	lines, err := b.Log.ReadLines(ctx, b.Log.Site(), position-1, position, 1)
	if err != nil {
		return "", err
	}
	if len(lines) != 1 {
		return "", fmt.Errorf("%w: the log has no such position", ErrWithhold)
	}
	return lines[0].Type, nil
}

// decide notes what a person wants, and who both are once there are two.
func (w *Withholding) decide(ctx context.Context, tx pgx.Tx, epoch, actor string) error {
	tag, err := tx.Exec(ctx, `INSERT INTO withholdings (peer, epoch, position, proposed_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		w.Peer, epoch, w.Position, actor)
	if err != nil || tag.RowsAffected() == 1 {
		w.ProposedBy = actor
		return err
	}
	err = tx.QueryRow(ctx, `SELECT proposed_by FROM withholdings WHERE peer = $1 AND epoch = $2 AND position = $3 FOR UPDATE`,
		w.Peer, epoch, w.Position).Scan(&w.ProposedBy)
	switch {
	case err != nil:
		return err
	case w.ProposedBy == actor:
		return fmt.Errorf("%w: %s has proposed it already, and two different people must decide: let another one, logged in as themselves, run the same command", ErrWithhold, actor)
	}
	w.ConfirmedBy = actor
	_, err = tx.Exec(ctx, `UPDATE withholdings SET confirmed_by = $4, confirmed_at = clock_timestamp() WHERE peer = $1 AND epoch = $2 AND position = $3`,
		w.Peer, epoch, w.Position, actor)
	return err
}

// leaveOut takes one event out of a plan and into its withheld runs. What it
// covers and its chain stay.
func (p *plan) leaveOut(position int64) {
	runs := append(slices.Clone(p.Runs), run{After: position - 1, Through: position})
	slices.SortFunc(runs, func(a, b run) int { return int(a.After - b.After) })
	p.Runs = runs[:1]
	for _, r := range runs[1:] {
		if last := &p.Runs[len(p.Runs)-1]; last.Through == r.After {
			last.Through = r.Through
			continue
		}
		p.Runs = append(p.Runs, r)
	}
	p.Events, p.Withheld = p.Events-1, p.Withheld+1
}

// replan changes what a number that was made leaves out. It counts as made with
// the manifest no, though nothing was written yet: made_at is empty until then.
func (b *Bridge) replan(ctx context.Context, tx pgx.Tx, p *plan, no int64) error {
	runs, err := json.Marshal(p.Runs)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE outbound_bundles SET withheld = $4, events = $5, withheld_events = $6, made_no = $7, made_at = NULL
		WHERE peer = $1 AND epoch = $2 AND seq = $3`, p.Peer, p.Epoch, p.Seq, string(runs), p.Events, p.Withheld, no)
	if err != nil {
		return fmt.Errorf("store what bundle %d withholds: %w", p.Seq, err)
	}
	return nil
}

// replanned returns the numbers whose content people changed since they were
// last made.
func (b *Bridge) replanned(ctx context.Context, l Link) ([]int64, error) {
	rows, err := b.Pool.Query(ctx, `SELECT seq FROM outbound_bundles
		WHERE peer = $1 AND epoch = $2 AND published_at IS NOT NULL AND made_at IS NULL ORDER BY seq`, l.Card.Name, l.Out.Epoch)
	if err != nil {
		return nil, fmt.Errorf("look for bundles that are made otherwise: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for bundles that are made otherwise: %w", err)
	}
	return numbers, nil
}
