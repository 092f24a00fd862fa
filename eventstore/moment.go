package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sallyport/domain"
)

// Moment is a place in the log that people name by a position or by a time.
// The zero value is the log's end.
type Moment struct {
	Seq int64
	At  time.Time
}

// ParseMoment reads a position, from 1, or a time of RFC 3339.
func ParseMoment(text string) (Moment, error) {
	if seq, err := strconv.ParseInt(text, 10, 64); err == nil && seq > 0 {
		return Moment{Seq: seq}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Moment{}, fmt.Errorf("%q is neither a position nor a time such as 2026-01-31T12:00:00Z", text)
	}
	return Moment{At: at}, nil
}

// Resolve returns the moment's seq.
func (s *Store) Resolve(ctx context.Context, m Moment) (int64, error) {
	switch {
	case !m.At.IsZero():
		return s.SeqAt(ctx, m.At)
	case m.Seq > 0:
		return m.Seq, nil
	}
	head, err := s.Head(ctx)
	return head.Seq, err
}

// Before returns the last seq before the moment.
func (s *Store) Before(ctx context.Context, m Moment) (int64, error) {
	if m.At.IsZero() {
		return m.Seq - 1, nil
	}
	return s.SeqAt(ctx, m.At.Add(-time.Microsecond))
}

// Halving finds it with a few look-ups and without an index: seq is the order
// of storing. A clock that was set back can only move what it itself blurred.
const selectSeqAt = `
	WITH RECURSIVE halving(low, high) AS (
		SELECT 0::bigint, seq FROM log_head
		UNION ALL
		SELECT CASE WHEN stored_at <= $1 THEN middle ELSE low END, CASE WHEN stored_at <= $1 THEN high ELSE middle - 1 END
		FROM halving, LATERAL (SELECT (low + high + 1) / 2 AS middle) AS m,
		     LATERAL (SELECT stored_at FROM events WHERE seq = middle) AS e
		WHERE low < high)
	SELECT max(low) FROM halving WHERE low >= high`

// SeqAt returns the largest seq that was stored by a time; 0: none was.
func (s *Store) SeqAt(ctx context.Context, at time.Time) (int64, error) {
	var seq *int64
	if err := s.pool.QueryRow(ctx, selectSeqAt, at).Scan(&seq); err != nil {
		return 0, fmt.Errorf("find what was stored by %s: %w", at.UTC().Format(domain.TimeLayout), err)
	}
	if seq == nil {
		return 0, errors.New("find what was stored by a time: the log has a hole; run `sallyport audit verify`")
	}
	return *seq, nil
}
