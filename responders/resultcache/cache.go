package resultcache

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"sallyport/responders"
)

// store is where answers are kept.
type store interface {
	// begin returns the value, or makes who has the token the one who asks, if
	// there is none.
	begin(ctx context.Context, key, token string) (value []byte, mine bool, err error)
	// find returns the value; nil: there is none.
	find(ctx context.Context, key string) (value []byte, err error)
	// prolong tells that who asks is alive, at least once a lockTime.
	prolong(ctx context.Context, key, token string) error
	// end gives up asking and keeps a value, unless its ttl is 0. It does nothing
	// for who is not the one who asks any more.
	end(ctx context.Context, key, token string, value []byte, ttl time.Duration) error
	drop(ctx context.Context, key string) error
	clear(ctx context.Context) (int64, error)
	count(ctx context.Context) (int64, error)
}

// Responder is what a cache stands before.
type Responder interface {
	Respond(ctx context.Context, q responders.Question) (responders.Answer, error)
}

// Outcome is how a question was answered.
type Outcome string

// The outcomes.
const (
	Hit    Outcome = "hit"    // an answer was there
	Shared Outcome = "shared" // another who asked the same got it
	Miss   Outcome = "miss"   // the source was asked
	Away   Outcome = "away"   // the same, because the cache does not answer
)

// Config is what a cache works on.
type Config struct {
	// Store is a [*Redis] or a [*Memory]. Required.
	Store store
	// Salt is what of the site's configuration decides on answers.
	Salt string
	// Count is told how each question was answered; nil: nobody is told.
	Count func(Outcome)
}

// Cache answers from what it keeps. It is safe for concurrent use.
type Cache struct {
	Config
	flights      flights
	hits, misses atomic.Int64
}

// New returns a cache.
func New(c Config) *Cache {
	if c.Count == nil {
		c.Count = func(Outcome) {}
	}
	return &Cache{Config: c}
}

// Before returns a responder that asks the other for what is not kept.
func (c *Cache) Before(r Responder) Responder { return &layer{c, r} }

// Known returns the answer that is kept, if there is one, and asks nobody.
func (c *Cache) Known(ctx context.Context, q responders.Question) (responders.Answer, bool) {
	key, err := keyOf(c.Salt, q)
	if q.Config.CacheFor() <= 0 || err != nil {
		return responders.Answer{}, false
	}
	value, err := c.Store.find(ctx, key)
	if value == nil || err != nil {
		return responders.Answer{}, false
	}
	a, err := decode(value)
	if err != nil {
		return responders.Answer{}, false
	}
	c.counted(Hit)
	return a, true
}

// Clear forgets all answers and returns how many there were.
func (c *Cache) Clear(ctx context.Context) (int64, error) { return c.Store.clear(ctx) }

// Kept returns how many answers there are.
func (c *Cache) Kept(ctx context.Context) (int64, error) { return c.Store.count(ctx) }

// HitRatio is the part of this process's questions that no source was asked,
// since it began: 0 to 1.
func (c *Cache) HitRatio() float64 {
	hits, misses := c.hits.Load(), c.misses.Load()
	if hits+misses == 0 {
		return 0
	}
	return float64(hits) / float64(hits+misses)
}

func (c *Cache) counted(o Outcome) {
	if o == Hit || o == Shared {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
	c.Count(o)
}

type layer struct {
	*Cache
	source Responder
}

// Respond implements [Responder].
func (l *layer) Respond(ctx context.Context, q responders.Question) (responders.Answer, error) {
	ttl := q.Config.CacheFor()
	key, err := keyOf(l.Salt, q)
	if ttl <= 0 || err != nil {
		return l.source.Respond(ctx, q) // which says what is wrong with the question
	}
	a, alone, err := l.flights.do(ctx, key, func(ctx context.Context) (responders.Answer, error) {
		return l.answer(ctx, key, q, ttl)
	})
	if err == nil && !alone {
		l.counted(Shared)
		a.Cached = true
	}
	return a, err
}

const (
	// lockTime is how long who asks is taken to be alive.
	lockTime = 3 * time.Second
	// How long others wait before they look again.
	firstPause, longestPause = 10 * time.Millisecond, 250 * time.Millisecond
)

// answer finds an answer, waits for who asks already, or asks.
func (l *layer) answer(ctx context.Context, key string, q responders.Question, ttl time.Duration) (responders.Answer, error) {
	token := uuid.NewString()
	outcome, until := Hit, time.Now().Add(q.Config.TimeLimit())
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		value, mine, err := l.Store.begin(ctx, key, token)
		switch {
		case err != nil:
			l.counted(Away)
			return l.source.Respond(ctx, q)
		case mine:
			return l.ask(ctx, key, token, q, ttl)
		case value != nil:
			if a, err := decode(value); err == nil {
				l.counted(outcome)
				return a, nil
			}
			if err := l.Store.drop(ctx, key); err != nil {
				l.counted(Away)
				return l.source.Respond(ctx, q)
			}
			continue
		case time.Now().After(until):
			l.counted(Miss)
			return l.source.Respond(ctx, q)
		}
		outcome = Shared
		if err := wait(ctx, pause); err != nil {
			return responders.Answer{}, err
		}
	}
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ask asks the source as the only one who does, and keeps the answer. Whatever
// comes of it, the next one need not wait: not even when ctx ended.
func (l *layer) ask(ctx context.Context, key, token string, q responders.Question, ttl time.Duration) (a responders.Answer, err error) {
	l.counted(Miss)
	var value []byte
	defer func() {
		if value == nil {
			ttl = 0
		}
		_ = l.Store.end(context.WithoutCancel(ctx), key, token, value, ttl) // a lock that stays expires; the answer is good without
	}()
	defer l.alive(ctx, key, token)()
	if a, err = l.source.Respond(ctx, q); err == nil {
		value, _ = encode(a)
	}
	return a, err
}

// alive prolongs the lock until its result is called, which waits for that to end.
func (l *layer) alive(ctx context.Context, key, token string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(lockTime / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = l.Store.prolong(ctx, key, token) // then another asks too
			}
		}
	}()
	return func() { cancel(); <-ended }
}
