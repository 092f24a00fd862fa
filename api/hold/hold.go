// Package hold wakes calls that wait for a request to change: one look at the
// log's new events, for all who wait together, and none while nobody does.
//
//	Join ─▶ a waiter of one request
//	          ▲ C: its events were stored, or the link went past its position
//	log ──▶ one goroutine a process, while there are waiters
//	link ─▶
//
// # Promised
//
//   - A change that is stored after Join wakes the waiter, by whichever process
//     it was stored; a waiter that reads the request after Join misses nothing.
//   - There are at most MaxWaiters in a process, and MaxOfUser of one user.
//
// # Not promised
//
// That something has changed when a waiter wakes: it looks for itself. While
// the database does not answer nobody is woken; who waits must have a time of
// its own.
package hold

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Bounds of a process: what waits costs memory and a connection of its client.
const (
	MaxWaiters = 1000
	MaxOfUser  = 20
)

const (
	// linkEvery is how often the link's cursors are looked at, in memory. It is
	// longer than [eventstore.Store.Wait] takes to notice other processes.
	linkEvery = 400 * time.Millisecond
	// leastPause lets what is stored in many small parts be looked at together.
	leastPause = 20 * time.Millisecond
	errorPause = time.Second
)

// Link is how far the requests of a site have got. It is asked often and must
// answer from memory.
type Link func(context.Context) (exportedThrough, ackedThrough int64)

// Room is where calls wait. Make one by New.
type Room struct {
	log  *eventstore.Store
	pool *pgxpool.Pool
	link Link

	mu      sync.Mutex
	waiters map[string]map[*Waiter]struct{} // by request
	ofUser  map[string]int
	count   int
	stop    context.CancelFunc // of the goroutine; nil: there is none
}

// New returns a room in which nobody waits.
func New(log *eventstore.Store, pool *pgxpool.Pool, link Link) *Room {
	return &Room{log: log, pool: pool, link: link, waiters: map[string]map[*Waiter]struct{}{}, ofUser: map[string]int{}}
}

// Waiter is one call that waits.
type Waiter struct {
	// C holds one element after something happened.
	C <-chan struct{}

	c             chan struct{}
	room          *Room
	user, request string
	pos           int64 // guarded by the room; 0: not said yet, then every step of the link counts
	left          bool
}

// Join lets a call of a user wait for a request; false when there is no room
// left. Leave must follow.
func (r *Room) Join(ctx context.Context, user, request string) (*Waiter, bool) {
	// What this process knows of the log's end is not newer than what a read
	// after this sees: nothing can happen between the two unnoticed.
	seen, err := r.log.Wait(ctx, 0)
	if err != nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count >= MaxWaiters || r.ofUser[user] >= MaxOfUser {
		return nil, false
	}
	c := make(chan struct{}, 1)
	w := &Waiter{C: c, c: c, room: r, user: user, request: request}
	if r.waiters[request] == nil {
		r.waiters[request] = map[*Waiter]struct{}{}
	}
	r.waiters[request][w] = struct{}{}
	r.ofUser[user]++
	if r.count++; r.stop == nil {
		// It lives as long as anybody waits, whoever came first.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r.stop = cancel
		exported, acked := r.link(ctx)
		go r.follow(ctx, seen, cursors{exported, acked})
	}
	return w, true
}

// At says at which position the request waits to cross, so that the link's
// going past it wakes the waiter.
func (w *Waiter) At(pos int64) {
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	w.pos = pos
}

// Leave ends the waiting. It may be called twice.
func (w *Waiter) Leave() {
	r := w.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.left {
		return
	}
	w.left = true
	if delete(r.waiters[w.request], w); len(r.waiters[w.request]) == 0 {
		delete(r.waiters, w.request)
	}
	if r.ofUser[w.user]--; r.ofUser[w.user] == 0 {
		delete(r.ofUser, w.user)
	}
	if r.count--; r.count == 0 {
		r.stop()
		r.stop = nil
	}
}

func (w *Waiter) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

type cursors struct{ exported, acked int64 }

// follow wakes until ctx ends.
func (r *Room) follow(ctx context.Context, seen int64, at cursors) {
	for ctx.Err() == nil {
		exported, acked := r.link(ctx)
		now := cursors{exported, acked}
		r.crossed(at, now)
		at = now
		next, err := r.look(ctx, seen)
		seen = next
		pause := leastPause
		if err != nil {
			pause = errorPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// look waits a moment for the log to grow and wakes those whom that concerns.
// It returns how far it has looked.
func (r *Room) look(ctx context.Context, seen int64) (int64, error) {
	moment, cancel := context.WithTimeout(ctx, linkEvery)
	defer cancel()
	head, err := r.log.Wait(moment, seen)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return seen, nil
	}
	if err != nil {
		return seen, err
	}
	streams, err := r.changed(ctx, seen, head)
	if err != nil {
		return seen, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range streams {
		id, _ := domain.RequestOf(s)
		for w := range r.waiters[id] {
			w.wake()
		}
	}
	return head, nil
}

// changes are the events that change what a request's owner sees of it.
var changes = []string{"request.cancelled", "request.retried", "response.started", "response.recorded", "response.failed",
	"response.withdrawn", "response.retried"}

func (r *Room) changed(ctx context.Context, after, through int64) ([]string, error) {
	rows, err := r.pool.Query(ctx, `SELECT DISTINCT stream FROM events WHERE seq > $1 AND seq <= $2 AND type = ANY ($3)`, after, through, changes)
	if err != nil {
		return nil, fmt.Errorf("look which requests changed: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// crossed wakes those whose position the link went past.
func (r *Room) crossed(before, now cursors) {
	if before == now {
		return
	}
	past := func(pos, from, to int64) bool { return pos > from && pos <= to }
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, waiters := range r.waiters {
		for w := range waiters {
			if w.pos == 0 || past(w.pos, before.exported, now.exported) || past(w.pos, before.acked, now.acked) {
				w.wake()
			}
		}
	}
}
