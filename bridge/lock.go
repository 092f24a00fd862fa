package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A lock's connection is idle while others do the work. The holder shows every
// beat that it lives; one that shows nothing for the idle time, because its
// process was stopped, loses the connection and with it the lock.
const (
	lockBeat = 5 * time.Second
	lockIdle = 30 * time.Second
)

// locked runs fn while this program holds a lock that all programs on this
// database share, so that one exporter a link and one importer are at work.
// The lock ends with its connection, however the program ends; the context
// that fn gets ends with the lock, and must not come here again.
func (b *Bridge) locked(ctx context.Context, name string, fn func(context.Context) error) error {
	// Within this program one waits without a connection: waiters that hold one
	// each would leave none to the holder.
	for _, turn := range []chan struct{}{b.turns.of(name, 1), b.turns.of("", mostHeld(b.Pool.Config().MaxConns))} {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return fmt.Errorf("wait for another %s of this program: %w", name, ctx.Err())
		}
	}
	conn, err := b.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	defer conn.Release()
	settings := fmt.Sprintf(`SET lock_timeout = 0; SET idle_session_timeout = %d`, lockIdle.Milliseconds())
	if _, err := conn.Exec(ctx, settings); err != nil {
		return fmt.Errorf("wait for another program's %s: %w", name, err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended('sallyport/' || $1, 0))`, name); err != nil {
		return fmt.Errorf("wait for another program's %s: %w", name, err)
	}
	held, lost := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		beat(held, conn, lost)
	}()
	defer func() {
		lost(nil)
		<-beating
		// A connection that cannot unlock must not go back to the pool.
		_, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock_all(); RESET lock_timeout; RESET idle_session_timeout`)
		if err != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	return fn(held)
}

// mostHeld is how many locks this program holds at a time: each keeps a connection
// from the pool while the work that it is held for takes another, and whoever else
// keeps one must leave one to work with.
func mostHeld(conns int32) int { return max(1, int(conns)/2-1) }

// turns let few goroutines of this program at a time go for a lock, by its name;
// the name "" is for all locks.
type turns struct {
	mu    sync.Mutex
	names map[string]chan struct{}
}

func (t *turns) of(name string, most int) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = map[string]chan struct{}{}
	}
	if t.names[name] == nil {
		t.names[name] = make(chan struct{}, most)
	}
	return t.names[name]
}

// beat shows that the holder lives, until ctx ends; a connection that is gone
// ends it.
func beat(ctx context.Context, conn *pgxpool.Conn, lost context.CancelCauseFunc) {
	tick := time.NewTicker(lockBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// Not ctx: a query that is cancelled would take the connection with it.
			once, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockBeat)
			_, err := conn.Exec(once, `SELECT 1`)
			if cancel(); err != nil {
				lost(fmt.Errorf("the lock's connection is gone: %w; nothing was lost, it is tried again", err))
				return
			}
		}
	}
}

// fence marks the holder of a link's export lock. Whoever held it before and
// wakes up late finds the mark raised, and records nothing.
func (b *Bridge) fence(ctx context.Context, peer string) (mark int64, err error) {
	err = b.Pool.QueryRow(ctx, `UPDATE links SET export_fence = export_fence + 1 WHERE peer = $1 RETURNING export_fence`, peer).Scan(&mark)
	if err == pgx.ErrNoRows { //nolint:errorlint // Scan returns it as it is
		return 0, fmt.Errorf("%w (%s)", ErrNoLink, peer)
	}
	if err != nil {
		return 0, fmt.Errorf("mark the exporter to %s: %w", peer, err)
	}
	return mark, nil
}
