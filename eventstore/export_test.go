package eventstore

import "time"

// Queued tells how many appends wait for the writer.
func (s *Store) Queued() int { return len(s.writer.queue) }

// MaxQueued is how many appends may wait.
const MaxQueued, MaxGroup = maxQueued, maxGroupAppends

// SetPatience sets how long the fate of a commit is inquired after.
func (s *Store) SetPatience(d time.Duration) { s.writer.patience = d }
