package eventstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// feed wakes those who wait for the log to grow.
type feed struct {
	mu   sync.Mutex
	seq  int64
	grew chan struct{} // closed and replaced at each growth
	// heard are those who are called, by topic, see [Store.Hear].
	heard map[string][]func()

	every     time.Duration // [pollEvery]
	listen    sync.Once
	listening sync.WaitGroup
}

func newFeed(seq int64) *feed {
	return &feed{seq: seq, grew: make(chan struct{}), heard: map[string][]func(){}, every: pollEvery}
}

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

const (
	// channel is where every commit of the log says how far it reaches, see
	// updateHead, and some what they are about, see [Tell].
	channel = "sallyport_log"
	// pollEvery is how soon a change is noticed that nobody was notified of.
	pollEvery = 250 * time.Millisecond
	// listenAgain is the pause after a listener lost its connection: polling
	// backs it up meanwhile.
	listenAgain = time.Second
)

// Wait returns the log's newest seq as soon as it is greater than after. Who
// waits is woken by the commit, in whichever process that is; should the
// notification be lost, by a look at the log within a quarter of a second. It
// returns the context's error when that ends first.
func (s *Store) Wait(ctx context.Context, after int64) (int64, error) {
	s.listen()
	tick := time.NewTicker(s.feed.every)
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

// listen begins to listen, once.
func (s *Store) listen() {
	s.feed.listen.Do(func() { s.feed.listening.Go(func() { s.listenWhileOpen(s.open) }) })
}

// listenWhileOpen has the feed moved by what other processes commit.
func (s *Store) listenWhileOpen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.listenOnce(ctx) // what it misses is polled for
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// listenOnce listens on a connection of its own until that fails: one of the
// pool's would be missing there.
func (s *Store) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it ends either way
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	s.feed.missed()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if seq, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			s.feed.moved(seq)
		} else {
			s.feed.told(n.Payload)
		}
	}
}
