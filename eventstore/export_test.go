package eventstore

import (
	"context"
	"time"
)

// SetPatience sets how long the fate of a commit is inquired after.
func (s *Store) SetPatience(d time.Duration) { s.writer.patience = d }

// SetPolling sets how soon a change is noticed that nobody was notified of.
func (s *Store) SetPolling(d time.Duration) { s.feed.every = d }

// End ends a process of the database that was there at a moment.
func (s *Store) End(ctx context.Context, pid uint32, busy time.Time) error {
	return s.end(ctx, server{pid, busy})
}
