package eventstore

import (
	"context"
	"sync"
	"time"
)

// feed wakes those who wait for the log to grow.
type feed struct {
	mu   sync.Mutex
	seq  int64
	grew chan struct{} // closed and replaced at each growth
}

func newFeed(seq int64) *feed { return &feed{seq: seq, grew: make(chan struct{})} }

func (f *feed) moved(seq int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.seq {
		f.seq = seq
		close(f.grew)
		f.grew = make(chan struct{})
	}
}

func (f *feed) now() (int64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq, f.grew
}

// pollEvery is how soon a change by another process is noticed.
const pollEvery = 250 * time.Millisecond

// Wait returns the log's newest seq as soon as it is greater than after. A
// growth by this process wakes it at once, one by another within a quarter of
// a second. It returns the context's error when that ends first.
func (s *Store) Wait(ctx context.Context, after int64) (int64, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		seq, grew := s.feed.now()
		if seq > after {
			return seq, nil
		}
		select {
		case <-grew:
		case <-tick.C:
			head, err := s.Head(ctx)
			if err != nil {
				return 0, err
			}
			s.feed.moved(head.Seq)
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
