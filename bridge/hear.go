package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/bridge/bundle"
	"sallyport/bridge/link"
	"sallyport/domain"
	"sallyport/eventstore"
)

// hear takes over what a verified manifest says of our log and of the peer's
// own end and keys, and returns the link as it is then. A peer that proves that
// our log lost events stops it. The manifest was verified under the given card. A
// site that is read-only as a whole notes nothing in its log, and needs no such
// proof any more.
func (b *Bridge) hear(ctx context.Context, under Card, m bundle.Manifest) (l Link, err error) {
	head, err := b.Log.Head(ctx)
	if err != nil {
		return l, err
	}
	var alarm *link.Alarm
	var learned bool // what the peer reads
	peer := under.Name
	err = pgx.BeginFunc(ctx, b.Pool, func(tx pgx.Tx) error {
		var notes []domain.Fact
		var acked *domain.BundleAcknowledged
		l, err = b.changeLink(ctx, tx, peer, func(l *Link) error {
			if l.Card != under {
				return errNewCard
			}
			ours, err := b.ours(ctx, tx, l, m.Ack)
			if err != nil {
				return err
			}
			before, restored, heard := l.Out.AckedThrough, l.Self.Incarnation, l.Heard
			if alarm = l.Hear(m, ours); head.ReadOnly != "" {
				alarm = nil
			}
			if alarm != nil && b.halt(l, alarm.Error()) {
				notes = append(notes, domain.LinkStopped{Peer: peer, Reason: alarm.Error()})
			}
			b.tellOfRestores(ctx, l, m, restored)
			if l.Out.AckedThrough > before {
				acked = &domain.BundleAcknowledged{Peer: peer, Seq: l.Out.AckedSeq, Position: l.Out.AckedThrough}
			}
			if m.Ack != nil && l.Heard.No == m.Ack.No {
				learned = !slices.Equal(l.PeerUnderstands, m.Ack.Understands)
				l.PeerUnderstands = m.Ack.Understands
			}
			now := time.Now()
			l.LastContact = &now
			return b.learn(ctx, tx, l, m, l.Heard != heard)
		})
		if err != nil || head.ReadOnly != "" {
			return err
		}
		for _, n := range notes {
			if err := b.note(ctx, tx, b.actor(), n); err != nil {
				return err
			}
		}
		return b.noteAck(ctx, tx, acked)
	})
	if err == nil && learned {
		err = b.AgreeVersions(ctx)
	}
	if err == nil && alarm != nil {
		b.Logger.ErrorContext(ctx, "link stopped", "peer", peer, "reason", alarm.Error())
	}
	return l, err
}

// tellOfRestores warns if what was heard shows that one of the two sites was
// restored; was is this end's incarnation before.
func (b *Bridge) tellOfRestores(ctx context.Context, l *Link, m bundle.Manifest, was string) {
	if m.Ack != nil && l.Heard.No == m.Ack.No && m.Head.Position < l.In.Through {
		b.Logger.WarnContext(ctx, "the peer's log is shorter than what this site holds of it: it was restored; `sallyport link return` gives it back what it lost",
			"peer", l.Card.Name, "ends_at", m.Head.Position, "held_through", l.In.Through)
	}
	if l.Self.Incarnation != was {
		b.Logger.WarnContext(ctx, "the peer has seen later words of this site than it remembers: it was restored, and asks again for what it lost", "peer", l.Card.Name)
	}
}

// errNewCard is what an import finds whose peer got another card meanwhile.
var errNewCard = errors.New("the card of the peer was changed while the file was read")

// noteAck records what a peer has applied of our log.
func (b *Bridge) noteAck(ctx context.Context, tx pgx.Tx, a *domain.BundleAcknowledged) error {
	if a == nil {
		return nil
	}
	_, err := b.Log.AppendTx(ctx, tx, eventstore.Append{Actor: b.actor(), Writes: []eventstore.Write{{
		Stream: domain.BundleOutStream(a.Peer, b.Log.Epoch(), a.Seq), Expected: eventstore.Any, Facts: []domain.Fact{*a}}}})
	return err
}

// ours is what an ack is held against.
func (b *Bridge) ours(ctx context.Context, tx pgx.Tx, l *Link, a *bundle.Ack) (link.Ours, error) {
	ours := link.Ours{Fresh: newIncarnation()}
	head, err := b.Log.Head(ctx)
	if err != nil {
		return ours, err
	}
	ours.Head = head.Pos
	err = tx.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM outbound_bundles WHERE peer = $1 AND epoch = $2`, l.Card.Name, l.Out.Epoch).Scan(&ours.Seq)
	if err != nil {
		return ours, fmt.Errorf("look up the last number for %s: %w", l.Card.Name, err)
	}
	ours.Seq = max(ours.Seq, l.Out.Seq)
	if a != nil && a.Epoch == l.Out.Epoch && a.Position <= head.Pos {
		ours.Chain, err = b.chainAt(ctx, tx, a.Position)
	}
	return ours, err
}

// chainAt returns our own chain at a position. Acks mostly stand at a bundle's
// end, where it is known, as it is after a run that was lost; from the nearest one
// on it is computed.
func (b *Bridge) chainAt(ctx context.Context, q querier, pos int64) (bundle.Hash, error) {
	return b.chainIn(ctx, q, b.Log.Epoch(), b.Log.Start(), pos)
}

// chainIn is the same of any epoch of our log, given what comes before it.
func (b *Bridge) chainIn(ctx context.Context, q querier, epoch string, start, pos int64) (bundle.Hash, error) {
	at, chain := start, bundle.Start(epoch, b.Log.Site())
	var known []byte
	err := q.QueryRow(ctx, `
		(SELECT through, chain_through FROM outbound_bundles WHERE epoch = $1 AND through <= $2 ORDER BY through DESC LIMIT 1)
		UNION ALL
		(SELECT through, chain FROM withheld WHERE origin = $3 AND through <= $2 AND "after" >= $4 ORDER BY "after" DESC LIMIT 1)
		ORDER BY through DESC LIMIT 1`, epoch, pos, b.Log.Site(), start).Scan(&at, &known)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return chain, fmt.Errorf("look up the chain at position %d: %w", pos, err)
	}
	if known != nil {
		chain = bundle.Hash(known)
	}
	return chainOver(ctx, b.Log, chain, at, pos)
}

// telling is what a manifest written now would tell the peer of its bundles.
func (b *Bridge) telling(ctx context.Context, from eventstore.Queries, l Link) (link.Telling, error) {
	t := link.Telling{Position: l.In.Through, Rejected: []bundle.Rejection{}}
	held, err := heldNumbers(ctx, from, l)
	if err != nil {
		return t, err
	}
	rows, err := from.Query(ctx, `
		SELECT DISTINCT ON (seq) seq, code FROM (
			SELECT seq, code, at FROM quarantined_files
			WHERE signed AND peer = $1 AND epoch = $2 AND seq > $3 AND decided <> 'released' AND seq <> ALL ($4)
			UNION ALL
			SELECT seq, code, received_at FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND seq > $3 AND state = 'held' AND code <> ''
		) AS rejected ORDER BY seq, at DESC LIMIT $5`, l.Card.Name, l.In.Epoch, l.In.Seq, held, link.MaxMissing)
	if err == nil {
		t.Rejected, err = pgx.AppendRows(t.Rejected, rows, pgx.RowToStructByPos[bundle.Rejection])
	}
	if err != nil {
		return t, fmt.Errorf("look for refused bundles of %s: %w", l.Card.Name, err)
	}
	here := held
	for _, r := range t.Rejected {
		here = append(here, r.Seq)
	}
	atHand, err := b.atHand(l)
	t.Missing = slices.DeleteFunc(l.In.Missing(here...), func(n int64) bool { return slices.Contains(atHand, n) })
	return t, err
}

// atHand returns the numbers of a peer whose files are being taken in: nobody is
// to bring or to make them again meanwhile. By their names, which only their
// manifests prove; a file that lied is out of there as soon as it was read.
func (b *Bridge) atHand(l Link) ([]int64, error) {
	files, err := b.staged()
	var numbers []int64
	for _, f := range files {
		n, err := bundle.ParseName(originalName(f))
		if err == nil && n.Beacon == 0 && n.Between(l.Card.Name, b.Log.Site()) && strings.HasPrefix(l.In.Epoch, n.Epoch8) {
			numbers = append(numbers, n.Seq)
		}
	}
	return numbers, err
}

// heldNumbers returns the numbers of a peer that are here and must wait.
func heldNumbers(ctx context.Context, from eventstore.Queries, l Link) ([]int64, error) {
	rows, err := from.Query(ctx, `SELECT DISTINCT seq FROM inbound_bundles WHERE peer = $1 AND epoch = $2 AND state = 'held' AND seq > $3 ORDER BY seq`,
		l.Card.Name, l.In.Epoch, l.In.Seq)
	if err != nil {
		return nil, fmt.Errorf("look for held bundles of %s: %w", l.Card.Name, err)
	}
	held, err := pgx.AppendRows([]int64{}, rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("look for held bundles of %s: %w", l.Card.Name, err)
	}
	return held, nil
}
