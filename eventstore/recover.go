package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Returned is a part of this site's own log that others gave back, proven by
// the one who read it.
type Returned struct {
	Events []domain.Event
	Facts  []domain.Fact
	Lines  [][]byte   // the exported lines, as long as Events
	Lost   []Withheld // runs that nobody holds
	Chain  Hash       // the log's chain where the part ends
}

// errNotLost is returned when a log that lost nothing is to be recovered.
var errNotLost = errors.New("this site is not read-only: nothing is recovered")

// TakeBack appends to a read-only log what it lost, as it was, in one
// transaction. The part must begin where the log ends, run without a hole, and
// lead to its chain; else nothing is stored. Keep it to 1,000 events.
func (s *Store) TakeBack(ctx context.Context, r Returned) error {
	var seq int64
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		head, err := s.lockReadOnly(ctx, tx)
		if err != nil {
			return err
		}
		b := newBatch(s, head, nil)
		if err := b.takeBack(r); err != nil {
			return err
		}
		queueWithheld(b.statements, Mirrored{Origin: head.Site, Withheld: r.Lost})
		if err := b.queue(); err != nil {
			return err
		}
		seq = b.head.Seq
		return Send(ctx, tx.Conn(), b.statements)
	})
	if err != nil {
		return fmt.Errorf("take back what the log lost: %w; nothing of this part was stored", err)
	}
	s.feed.moved(seq)
	return nil
}

func (s *Store) lockReadOnly(ctx context.Context, tx pgx.Tx) (Head, error) {
	head, err := scanHead(tx.QueryRow(ctx, selectHead+` FOR UPDATE`))
	switch {
	case err != nil:
		return Head{}, err
	case head.Epoch != s.site.Epoch:
		return Head{}, ErrRefounded
	case head.ReadOnly == "":
		return Head{}, errNotLost
	}
	return head, nil
}

// takeBack gives the records of a part their seq and follows the chain.
func (b *batch) takeBack(r Returned) error {
	lost := r.Lost
	for i, e := range r.Events {
		for len(lost) > 0 && lost[0].After == b.head.Pos && lost[0].Through < e.Pos {
			b.head.Pos, b.head.Chain, lost = lost[0].Through, lost[0].Chain, lost[1:]
		}
		if e.Pos != b.head.Pos+1 {
			return &GapError{Want: b.head.Pos + 1, Got: e.Pos}
		}
		b.head.Pos++
		b.head.Seq++
		b.head.Chain = b.head.Chain.Next(r.Lines[i])
		b.records = append(b.records, Record{Event: e, Seq: b.head.Seq, Origin: b.head.Site, Fact: r.Facts[i], Line: r.Lines[i]})
	}
	for _, w := range lost {
		if w.After != b.head.Pos {
			return &GapError{Want: b.head.Pos + 1, Got: w.After + 1}
		}
		b.head.Pos, b.head.Chain = w.Through, w.Chain
	}
	if b.head.Chain != r.Chain {
		return fmt.Errorf("the part does not lead to the chain that was proven at position %d", b.head.Pos)
	}
	return nil
}

// Refounding is what begins a log anew after a loss.
type Refounding struct {
	Epoch string // of the new log: 32 random hex digits
	// Above is at least the highest position that can ever have been used: the
	// new log goes on above it.
	Above int64
	Actor string
	// With runs first, in the same transaction. It must not commit or roll back.
	With func(ctx context.Context, tx pgx.Tx) error
}

// Refound ends the epoch of a read-only log and begins the next one with
// `site.refounded`; the log may be written again. Programs that opened it
// before, this one included, are refused with [ErrRefounded].
func (s *Store) Refound(ctx context.Context, r Refounding) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if r.With != nil {
			if err := r.With(context.WithValue(ctx, nestedKey{}, true), tx); err != nil {
				return err
			}
		}
		old, err := s.lockReadOnly(ctx, tx)
		if err != nil {
			return err
		}
		if err := (Epoch{old.Site, old.Epoch, old.Start, old.Pos, old.Chain}).End(ctx, tx); err != nil {
			return err
		}
		start, genesis := max(r.Above, old.Pos), Genesis(r.Epoch, old.Site)
		_, err = tx.Exec(ctx, `UPDATE log_head SET epoch = $1, start = $2, pos = $2, chain = $3, read_only = NULL`, r.Epoch, start, genesis[:])
		if err != nil {
			return err
		}
		anew := newStore(nil, Config{CheckLine: s.check, Inline: s.inline, Now: s.now})
		_, err = anew.AppendTx(ctx, tx, Append{Actor: r.Actor, Writes: []Write{{Stream: domain.SiteStream(old.Site), Expected: Any,
			Facts: []domain.Fact{domain.SiteRefounded{Epoch: r.Epoch, OldEpoch: old.Epoch, Position: old.Pos, Chain: old.Chain.String(), Reason: old.ReadOnly}}}}})
		return err
	})
	if err != nil {
		return fmt.Errorf("found the log anew: %w; nothing was changed", err)
	}
	return nil
}
