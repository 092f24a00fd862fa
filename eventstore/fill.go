package eventstore

import (
	"context"
	"fmt"
)

// As in selectLines, only the lengths are looked at.
const selectFill = `
	SELECT coalesce(max(seq), $1) FROM (
		SELECT seq, row_number() OVER (ORDER BY seq) AS n, sum(octet_length(line)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS through_here
		FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3) AS page
	WHERE through_here <= $4 OR n = 1`

// Fill returns the last seq of as many events after another as fit into a number
// of events and of bytes of their lines, but one at least; after itself if there
// is none up to through.
func (s *Store) Fill(ctx context.Context, after, through int64, events int, bytes int64) (last int64, err error) {
	if err := s.pool.QueryRow(ctx, selectFill, after, through, events, bytes).Scan(&last); err != nil {
		return 0, fmt.Errorf("measure the log from seq %d on: %w", after, err)
	}
	return last, nil
}
