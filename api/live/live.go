// Package live tells those who look at a site what changes in its log: one look
// at the new events for all who listen, and none while nobody does.
//
//	Seen ─▶ how far a page that is made now sees the log
//	Join ─▶ a listener of one user, from there on
//	          ▲ C: the kinds of streams that something was stored in
//	log ──▶ one goroutine a process, while there are listeners
//
// # Promised
//
//   - What is stored after Join, by whichever process, is told within a moment; and
//     so is what was stored since a place in the log that who joins has seen.
//   - A listener hears kinds, such as `request`, and nothing of what is in them. Of
//     requests and their answers, one who may see only their own hears only those.
//   - There are at most MaxListeners in a process, and MaxOfUser of one user.
//   - Nobody holds up anybody: who is slow hears of several changes at once.
//
// # Not promised
//
// That a listener can see what has changed: it looks for itself. While the
// database does not answer nobody hears anything, and nothing is lost by that.
package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/eventstore"
)

// Bounds of a process: who listens costs memory and a connection.
const (
	MaxListeners = 500
	MaxOfUser    = 10
)

const (
	// pause lets what is stored in many small parts be told together, and
	// bounds how often those who listen look.
	pause      = 500 * time.Millisecond
	errorPause = 2 * time.Second
	lookFor    = 5 * time.Second
	// many is how many new events are looked at one by one. More come from an
	// import or a load, which concern everybody.
	many = 20_000
)

// Everything is the kind that stands for all of them: too much happened.
const Everything = "everything"

// Feed tells listeners. Make one by New.
type Feed struct {
	log  *eventstore.Store
	pool *pgxpool.Pool

	mu        sync.Mutex
	listeners map[*Listener]struct{}
	ofUser    map[string]int
	stop      context.CancelFunc // of the goroutine; nil: there is none
}

// New returns a feed to which nobody listens.
func New(log *eventstore.Store, pool *pgxpool.Pool) *Feed {
	return &Feed{log: log, pool: pool, listeners: map[*Listener]struct{}{}, ofUser: map[string]int{}}
}

// Listener is one who wants to know.
type Listener struct {
	// C holds one element while Take has something to give.
	C <-chan struct{}

	c       chan struct{}
	feed    *Feed
	user    string
	ownOnly bool

	changed map[string]struct{} // guarded by the feed
	left    bool
}

// Seen is a place in the log: what is read from now on has all up to it in it,
// and may have more. It is 0 when there is no log to be seen.
func (f *Feed) Seen(ctx context.Context) int64 {
	seen, err := f.log.Wait(ctx, 0)
	if err != nil {
		return 0
	}
	return seen
}

// Join lets a user listen who has seen the log up to a place, see [Feed.Seen]; 0:
// up to now. It is false when there is no room left, or no log to be seen. Who
// hears of their own requests only says so. Leave must follow.
func (f *Feed) Join(ctx context.Context, user string, ownOnly bool, since int64) (*Listener, bool) {
	l, ok := f.register(ctx, user, ownOnly)
	if ok && since != 0 {
		f.catchUp(ctx, l, since)
	}
	return l, ok
}

func (f *Feed) register(ctx context.Context, user string, ownOnly bool) (*Listener, bool) {
	seen := f.Seen(ctx)
	if seen == 0 {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) >= MaxListeners || f.ofUser[user] >= MaxOfUser {
		return nil, false
	}
	c := make(chan struct{}, 1)
	l := &Listener{C: c, c: c, feed: f, user: user, ownOnly: ownOnly, changed: map[string]struct{}{}}
	f.listeners[l] = struct{}{}
	if f.ofUser[user]++; f.stop == nil {
		// It lives as long as anybody listens, whoever came first.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f.stop = cancel
		go f.follow(ctx, seen)
	}
	return l, true
}

// catchUp tells one listener what was stored before it listened. It looks how far
// that goes only now: what comes later the listener hears like everybody.
func (f *Feed) catchUp(ctx context.Context, l *Listener, since int64) {
	head, err := f.log.Wait(ctx, 0)
	if err == nil && head <= since {
		return
	}
	all := []change{{Kind: Everything}}
	if err == nil {
		if found, err := f.between(ctx, since, head); err == nil {
			all = found
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l.hear(all)
}

// Leave ends the listening. It may be called twice.
func (l *Listener) Leave() {
	f := l.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.left {
		return
	}
	l.left = true
	delete(f.listeners, l)
	if f.ofUser[l.user]--; f.ofUser[l.user] == 0 {
		delete(f.ofUser, l.user)
	}
	if len(f.listeners) == 0 {
		f.stop()
		f.stop = nil
	}
}

// Take returns the kinds that changed since it was last called, sorted.
func (l *Listener) Take() []string {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	kinds := make([]string, 0, len(l.changed))
	for k := range l.changed {
		kinds = append(kinds, k)
	}
	clear(l.changed)
	slices.Sort(kinds)
	return kinds
}

// follow tells until ctx ends.
func (f *Feed) follow(ctx context.Context, seen int64) {
	for ctx.Err() == nil {
		head, err := f.log.Wait(ctx, seen)
		wait := pause
		if err == nil {
			err = f.look(ctx, seen, head)
		}
		if err != nil {
			wait = errorPause
		} else {
			seen = head
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// change is a kind of stream in which something was stored, and of a request or
// its answer whose it is.
type change struct {
	Kind  string
	Owner string
}

// changes looks at new events. A stream's name is its kind, a dash and an id;
// a request and its answer have the same id.
const changes = `
	SELECT DISTINCT split_part(e.stream, '-', 1) AS kind,
	       CASE WHEN e.stream LIKE 'request-%' OR e.stream LIKE 'response-%' THEN coalesce(q.user_id, '-') ELSE '' END AS owner
	FROM events e LEFT JOIN readmodel.requests q ON q.id = substr(e.stream, strpos(e.stream, '-') + 1)
	WHERE e.seq > $1 AND e.seq <= $2`

func (f *Feed) look(ctx context.Context, seen, head int64) error {
	all, err := f.between(ctx, seen, head)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil // nobody listens any more
		}
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		l.hear(all)
	}
	return nil
}

// between finds what changed after one place in the log and up to another.
func (f *Feed) between(ctx context.Context, seen, head int64) ([]change, error) {
	if head-seen > many {
		return []change{{Kind: Everything}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	rows, err := f.pool.Query(ctx, changes, seen, head)
	if err != nil {
		return nil, fmt.Errorf("look what changed: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[change])
	if err != nil {
		return nil, fmt.Errorf("look what changed: %w", err)
	}
	return all, nil
}

// hear takes in what changed, as far as it concerns the listener. The feed is
// locked.
func (l *Listener) hear(all []change) {
	for _, c := range all {
		if c.Owner == "" || !l.ownOnly || c.Owner == l.user {
			l.changed[c.Kind] = struct{}{}
		}
	}
	if len(l.changed) == 0 {
		return
	}
	select {
	case l.c <- struct{}{}:
	default:
	}
}
