package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ClosedWithin returns the sessions that were closed in the last while, by
// the clock of the database, which all processes of a site share.
func (s *Store) ClosedWithin(ctx context.Context, last time.Duration) ([]string, error) {
	rows, err := s.pool.Query(ctx, `SELECT id::text FROM sessions WHERE closed_at > clock_timestamp() - $1::interval`, last)
	if err != nil {
		return nil, fmt.Errorf("look which sessions were closed: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look which sessions were closed: %w", err)
	}
	return ids, nil
}

const (
	// freshFor is how old a process's knowledge of closed sessions may grow.
	freshFor = time.Second
	// staleFor is how old it may grow while the database does not answer.
	staleFor = time.Minute
	// overlap is read again each time: a session that was closed a moment ago
	// may not have been committed when it was last looked.
	overlap = time.Minute
	// lookTimeout bounds one look, which calls wait for.
	lookTimeout = 2 * time.Second
)

// Watch tells a process which sessions were closed, by whichever process and
// before whichever restart. It looks when it is asked, once a second or when it
// heard that there is something to see, so it needs no goroutine; whoever asks
// meanwhile waits for the same look.
type Watch struct {
	store  *Store
	ends   *Ends
	window time.Duration
	closed func(session string)

	mu     sync.Mutex
	looked time.Time // when the last look that succeeded began; zero: never
	tried  time.Time // when the last look began, or failed
	err    error     // of the last look
	heard  bool      // of closed sessions, since the last look began
	done   chan struct{}
}

// NewWatch returns a watch that tells closed of each session that was closed
// within the window; some are told again and again. What ends has seen in this
// process is told at the next call.
func NewWatch(store *Store, ends *Ends, window time.Duration, closed func(session string)) *Watch {
	return &Watch{store: store, ends: ends, window: window, closed: closed}
}

// Heard has the next call look, however fresh what is known may be.
func (w *Watch) Heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = true
}

// Fresh returns when all that was closed until a second ago has been told, and
// all that was heard of or that this process ended with a user. While the database does not answer,
// what was known a minute ago is enough; after that, and before the first look
// has succeeded, its error is returned.
func (w *Watch) Fresh(ctx context.Context) error {
	w.mu.Lock()
	now := w.store.now()
	lately := w.heard || w.ends.lately()
	if done := w.done; done != nil {
		w.mu.Unlock()
		if err := w.wait(ctx, done, now); err != nil || !lately {
			return err
		}
		w.mu.Lock() // that look may have begun too early
	}
	if w.done == nil && within(now, w.tried, freshFor) && !lately {
		defer w.mu.Unlock()
		return w.verdict(now)
	}
	if done := w.done; done != nil { // this one began late enough
		w.mu.Unlock()
		return w.wait(ctx, done, now)
	}
	w.done, w.tried, w.heard = make(chan struct{}), now, false
	last := w.since(now)
	w.mu.Unlock()
	w.look(ctx, now, last)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict(now)
}

// wait waits for the look of another call.
func (w *Watch) wait(ctx context.Context, done <-chan struct{}, now time.Time) error {
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict(now)
}

func within(now, then time.Time, d time.Duration) bool {
	age := now.Sub(then)
	return age >= 0 && age < d
}

// since says how far back to look.
func (w *Watch) since(now time.Time) time.Duration {
	if w.looked.IsZero() {
		return w.window + overlap
	}
	return min(w.window, max(0, now.Sub(w.looked))) + overlap
}

func (w *Watch) verdict(now time.Time) error {
	if w.err == nil || within(now, w.looked, staleFor) {
		return nil
	}
	return w.err
}

// look asks the database. Others wait for what it finds, so it goes on when
// the call that began it is given up.
func (w *Watch) look(ctx context.Context, began time.Time, last time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	ids, err := w.store.ClosedWithin(ctx, last)
	for _, id := range ids {
		w.closed(id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err == nil {
		w.looked = began
	} else {
		w.tried = w.store.now() // a database that hangs is not waited for at every call
	}
	close(w.done)
	w.done = nil
}
