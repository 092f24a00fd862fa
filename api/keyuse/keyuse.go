// Package keyuse remembers when API keys were last used. Calls only note it in
// memory; Run writes it down, each key at most once a minute, so that a busy
// key costs no trip to the database. A process that is killed forgets what it
// noted in the last minute: the time is for people who clear up, no proof.
package keyuse

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// interval is how often the use of one key is written.
	interval = time.Minute
	// look is how often Run looks for what to write.
	look         = time.Second
	writeTimeout = 5 * time.Second
)

// Uses is what one process knows. It is safe for concurrent use.
type Uses struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	mu   sync.RWMutex
	keys map[string]use
}

type use struct{ last, written time.Time }

// New returns what knows of no use yet.
func New(pool *pgxpool.Pool, log *slog.Logger) *Uses {
	return &Uses{pool: pool, log: log, keys: map[string]use{}}
}

// Note notes that a key was used, to the second.
func (u *Uses) Note(key string, now time.Time) {
	now = now.Truncate(time.Second)
	u.mu.RLock()
	known := u.keys[key].last
	u.mu.RUnlock()
	if !now.After(known) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.keys[key]
	if now.After(k.last) {
		k.last = now
		u.keys[key] = k
	}
}

// Last returns when this process last saw a key; the zero time: never.
func (u *Uses) Last(key string) time.Time {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.keys[key].last
}

// Run writes uses down until the context ends, and then those that are left.
func (u *Uses) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = u.write(ctx, time.Now(), interval)
		case <-ctx.Done():
			if err := u.write(context.WithoutCancel(ctx), time.Now(), 0); err != nil {
				u.log.WarnContext(ctx, "the last use of API keys was not written", "error", err)
			}
			return nil
		}
		if err != nil && ctx.Err() == nil {
			u.log.WarnContext(ctx, "the last use of API keys could not be written; it is tried again", "error", err)
		}
	}
}

const upsertUses = `
	INSERT INTO api_key_uses AS u (id, last_used_at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
	ON CONFLICT (id) DO UPDATE SET last_used_at = greatest(u.last_used_at, excluded.last_used_at)`

// write writes those that were used since they were written, if that was some
// time ago.
func (u *Uses) write(ctx context.Context, now time.Time, since time.Duration) error {
	ids, at := u.unwritten(now, since)
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err := u.pool.Exec(ctx, upsertUses, ids, at)
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		k := u.keys[id]
		if k.written = now; err != nil {
			k.written = now.Add(look*10 - interval) // again in ten seconds
		}
		u.keys[id] = k
	}
	if err != nil {
		return fmt.Errorf("write when API keys were last used: %w", err)
	}
	return nil
}

func (u *Uses) unwritten(now time.Time, since time.Duration) (ids []string, at []time.Time) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for id, k := range u.keys {
		if k.last.After(k.written) && now.Sub(k.written) >= since {
			ids, at = append(ids, id), append(at, k.last)
		}
	}
	return ids, at
}
