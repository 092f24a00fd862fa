package eventstore

import "time"

// SetPatience sets how long the fate of a commit is inquired after.
func (s *Store) SetPatience(d time.Duration) { s.writer.patience = d }
