package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pending is an append on its way through the writer.
type pending struct {
	append  Append
	drafts  []draft
	records []Record
	err     error
	done    chan struct{} // closed when records and err are final
	state   atomic.Int32  // waiting, taken or withdrawn
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

// named names the append in an error that its whole group shares.
func (p *pending) named(err error) error {
	var unknown *UnknownError
	if errors.As(err, &unknown) {
		return &UnknownError{ID: p.drafts[0].event.ID, Cause: unknown.Cause}
	}
	return err
}

func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// writer merges concurrent appends into one transaction at a time: the log
// has one lock, so what shares a commit pays for it once. It never waits for
// more: while one group commits, the next one gathers by itself. It only lets
// those go first who are about to submit, which costs nothing when nobody is.
type writer struct {
	store    *Store
	queue    chan *pending
	patience time.Duration // how long the fate of a commit is inquired after

	mu     sync.RWMutex // guards closing queue against submit
	closed bool
	idle   chan struct{} // closed when the last group is done

	// These are of the goroutine that runs.
	foresight foresight
}

// Bounds of one group. An append is never split; the last one may exceed.
const (
	maxQueued       = 4096
	maxGroupAppends = 512
	maxGroupBytes   = 8 << 20
	// Whoever waits for an append is to hear within a second that the database is
	// away: a longer patience would tell more of them what became of theirs.
	resolveTimeout = 700 * time.Millisecond
)

func newWriter(s *Store, queued int) *writer {
	return &writer{store: s, queue: make(chan *pending, cmp.Or(queued, maxQueued)), patience: resolveTimeout, idle: make(chan struct{})}
}

func (w *writer) submit(ctx context.Context, p *pending) ([]Record, error) {
	if err := w.enqueue(p); err != nil {
		return nil, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if p.state.CompareAndSwap(waiting, withdrawn) {
			return nil, context.Cause(ctx)
		}
		<-p.done
	}
	return p.records, p.err
}

func (w *writer) enqueue(p *pending) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- p:
		return nil
	default:
		return ErrOverloaded
	}
}

// close lets what is queued finish, refuses the rest, and waits.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.idle
}

func (w *writer) run(ctx context.Context) {
	defer close(w.idle)
	for first := range w.queue {
		runtime.Gosched()
		if group := w.gather(first); len(group) > 0 {
			w.commit(ctx, group)
		}
	}
}

// gather takes what is waiting right now.
func (w *writer) gather(first *pending) []*pending {
	var group []*pending
	size := 0
	for p := first; ; {
		if p.state.CompareAndSwap(waiting, taken) {
			group = append(group, p)
			for _, d := range p.drafts {
				size += len(d.tail)
			}
		}
		if len(group) >= maxGroupAppends || size >= maxGroupBytes {
			return group
		}
		var ok bool
		select {
		case p, ok = <-w.queue:
			if !ok {
				return group
			}
		default:
			return group
		}
	}
}

// refusedError says that the database, or a read model, refused what a group
// wrote: one of its appends may be at fault.
type refusedError struct{ cause error }

func (e *refusedError) Error() string {
	return fmt.Sprintf("append: %v; nothing was stored", e.cause)
}

func (e *refusedError) Unwrap() error { return e.cause }

// severityError is PostgreSQL's word for a statement that it refused.
const severityError = "ERROR"

// commit stores a group and tells each append its own outcome. Appends that
// are rejected leave the group; when one of them had run statements of its
// own, the group begins anew without it. They hear of it when the others are
// stored, because that may be what they were rejected for. What is refused is
// tried again one by one, so that nobody pays for a neighbour's fault.
func (w *writer) commit(ctx context.Context, group []*pending) {
	var rejected []*pending
	for len(group) > 0 {
		left, out, err := w.try(ctx, group)
		rejected = append(rejected, out...)
		var refused *refusedError
		switch {
		case err == nil:
			group = left
		case errors.As(err, &refused) && len(left)+len(rejected) > 1:
			for _, p := range append(left, rejected...) {
				w.commit(ctx, []*pending{p})
			}
			return
		default:
			for _, p := range append(left, rejected...) {
				p.records = nil
				p.finish(p.named(err))
			}
			return
		}
	}
	for _, p := range rejected {
		p.finish(p.err)
	}
}

// try runs one transaction. It returns the appends that still have no
// outcome (those to try again if err is nil, those that failed with err) and
// those that were rejected, each with its own err.
func (w *writer) try(ctx context.Context, group []*pending) (left, rejected []*pending, err error) {
	conn, err := w.store.pool.Acquire(ctx)
	if err != nil {
		return group, nil, fmt.Errorf("append: reach the database: %w; nothing was stored", err)
	}
	defer conn.Release()
	t := &attempt{store: w.store, conn: conn, begun: time.Now(), foreseen: w.foresight.of(group, w.store.Seen())}
	defer t.rollback(ctx)
	left, err = w.settle(ctx, t, group)
	if errors.Is(err, errUnforeseen) {
		w.foresight.surprised()
		return group, nil, nil
	}
	return left, t.rejected, err
}

// settle does the work of try.
func (w *writer) settle(ctx context.Context, t *attempt, group []*pending) ([]*pending, error) {
	group, err := t.begin(ctx, group)
	if err != nil || len(group) == 0 {
		return group, err
	}
	if t.foreseen == nil {
		w.foresight.asked(t.head)
	}
	left, retry, err := t.fold(group)
	if err != nil || retry || len(left) == 0 {
		return left, err
	}
	if err := t.commit(ctx); errors.Is(err, errUnforeseen) {
		return left, err
	} else if err != nil {
		if err := w.store.resolve(ctx, left[0].records[0].ID, t.lost(), err); err != nil {
			return left, err
		}
	}
	w.foresight.left(t.head)
	w.tell(t, left)
	return nil, nil
}

// tell gives a stored group its outcome.
func (w *writer) tell(t *attempt, group []*pending) {
	for _, p := range group {
		p.finish(nil)
	}
	if w.store.committed != nil {
		w.store.committed(len(group), len(t.batch.records))
	}
	w.store.feed.moved(t.head.Seq)
}
