package eventstore

import "time"

// SetPatience sets how long the fate of a commit is inquired after.
func (s *Store) SetPatience(d time.Duration) { s.writer.patience = d }

// SetPolling sets how soon a change is noticed that nobody was notified of.
func (s *Store) SetPolling(d time.Duration) { s.feed.every = d }
