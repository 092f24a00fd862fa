package eventstore

import (
	"context"
	"fmt"
)

// ReadOnlyError says that nothing is appended to this log, whoever asks: it
// lost events, and what is written now would take the places of those that
// others still hold. Reading goes on.
type ReadOnlyError struct {
	Reason string
}

func (e *ReadOnlyError) Error() string {
	return fmt.Sprintf("this site is read-only: %s; nothing was stored: `sallyport link status` says what to do", e.Reason)
}

// MakeReadOnly refuses every append from now on, in all programs on this
// database, those included that wait already. It reports false if the log was
// read-only before, and then keeps the first reason.
func (s *Store) MakeReadOnly(ctx context.Context, reason string) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE log_head SET read_only = $1 WHERE read_only IS NULL`, reason)
	if err != nil {
		return false, fmt.Errorf("make the log read-only: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// Writable returns a [*ReadOnlyError] if appends are refused now. It is for
// those who would do more than append, and want to know before they begin.
func (s *Store) Writable(ctx context.Context) error {
	seen := s.Seen() // before the head, which others may move meanwhile
	h, err := s.Head(ctx)
	if err != nil {
		return err
	}
	return s.mayAppend(h, seen)
}

// Seen returns how far this program has seen the log committed: the largest seq
// that it stored, or was notified of. It asks nobody.
func (s *Store) Seen() int64 {
	if s.feed == nil { // the log is just being founded
		return 0
	}
	seq, _ := s.feed.now()
	return seq
}

// mayAppend tells whether a log with this head may grow. A head behind what this
// program had seen committed before it read the head means that the database was
// exchanged under it.
func (s *Store) mayAppend(h Head, seen int64) error {
	if h.ReadOnly != "" {
		return &ReadOnlyError{Reason: h.ReadOnly}
	}
	if s.feed == nil {
		return nil
	}
	if h.Epoch != s.site.Epoch {
		return ErrRefounded
	}
	if h.Seq < seen {
		return &ReadOnlyError{Reason: fmt.Sprintf("its database was replaced by an older one while the program ran: the log ends at seq %d and ended at %d before", h.Seq, seen)}
	}
	return nil
}
