package responsecache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis keeps answers in Redis, for all processes of a site. It is safe for
// concurrent use and does not own its client.
type Redis struct {
	client redis.UniversalClient
	ttl    time.Duration
	rest   atomic.Int64 // until when it is not asked after a failure, Unix nanoseconds
	asked
}

// How long one step with Redis may take, and how long it is let alone after a
// failure: a server that is away, or hangs, costs one call in a while, not all.
const (
	dialTime   = 500 * time.Millisecond
	answerTime = time.Second
	restTime   = time.Second
)

// Connect returns a client for the server that o names which waits for it no
// longer than a cache is worth. The caller closes it.
func Connect(o redis.Options) *redis.Client {
	o.DialTimeout, o.PoolTimeout, o.ReadTimeout, o.WriteTimeout = dialTime, dialTime, answerTime, answerTime
	o.MaxRetries, o.DialerRetries = 1, 1
	o.ContextTimeoutEnabled = true
	return redis.NewClient(&o)
}

// ErrAway says that the cache's server does not answer. What was to be put there
// is put when it is first asked for.
var ErrAway = errors.New("its server does not answer")

var errResting = fmt.Errorf("%w: it did not a moment ago and is let alone for another", ErrAway)

// resting reports whether Redis is let alone.
func (c *Redis) resting() bool { return time.Now().UnixNano() < c.rest.Load() }

// failed tells why a step failed. Unless a server said so that is at work, or the
// caller gave up, it is [ErrAway], and Redis is let alone for a while.
func (c *Redis) failed(ctx context.Context, err error) error {
	var said redis.Error
	if ctx.Err() != nil || errors.As(err, &said) && !redis.HasErrorPrefix(err, "LOADING") {
		return err
	}
	c.rest.Store(time.Now().Add(restTime).UnixNano())
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// NewRedis returns a cache in the Redis of client. A ttl of zero means [TTL].
func NewRedis(client redis.UniversalClient, ttl time.Duration) *Redis {
	if ttl <= 0 {
		ttl = TTL
	}
	return &Redis{client: client, ttl: ttl}
}

// Get returns the answer to a request, if it is there: one GET.
func (c *Redis) Get(ctx context.Context, requestID string) (Entry, bool, error) {
	if c.resting() {
		return Entry{}, false, errResting
	}
	value, err := c.client.Get(ctx, Key(requestID)).Bytes()
	if err != nil && !errors.Is(err, redis.Nil) {
		return Entry{}, false, fmt.Errorf("read the cached answer: %w", c.failed(ctx, err))
	}
	e, ok := Entry{}, false
	if err == nil {
		e, ok = decode(value)
	}
	c.count(ok)
	return e, ok, nil
}

// keysOf returns the key of the set of a user's entries, each with the moment
// at which it expires.
func keysOf(owner string) string { return "response-keys:" + owner }

// owner is a part of scripts: it takes the owner out of an entry's beginning.
const owner = `
	local function owner(key)
		return string.match(redis.call('GETRANGE', key, 0, 255), '^{"position":%d+,"owner":"([^"]+)"')
	end
	local function drop(key, id)
		local of = owner(key)
		if of then redis.call('ZREM', 'response-keys:' .. of, id) end
		return redis.call('UNLINK', key)
	end`

// setIfNewer compares positions as text of equal length: a number of Lua
// cannot hold every int64. An empty value only removes what is older. The set
// of the owner's entries loses those that have expired, and lives as long as
// its youngest entry.
var setIfNewer = redis.NewScript(owner + `
	local there = string.match(redis.call('GETRANGE', KEYS[1], 0, 31), '^{"position":(%d+),')
	if there then
		local width = math.max(#there, #ARGV[1])
		local pad = function(s) return string.rep('0', width - #s) .. s end
		if pad(there) > pad(ARGV[1]) then return 0 end
	end
	if ARGV[2] == '' then return drop(KEYS[1], ARGV[4]) end
	local before = owner(KEYS[1])
	if before then redis.call('ZREM', 'response-keys:' .. before, ARGV[4]) end
	local time = redis.call('TIME')
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
	redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
	redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[4])
	redis.call('PEXPIRE', KEYS[2], ARGV[3])
	return 1`)

// Set keeps an answer unless a newer one is there already.
func (c *Redis) Set(ctx context.Context, requestID string, e Entry) error {
	e, err := checked(e)
	if err != nil {
		return err
	}
	if c.resting() {
		return errResting
	}
	var value []byte
	if !tooLarge(e) {
		value = encode(e)
	}
	err = setIfNewer.Run(ctx, c.client, []string{Key(requestID), keysOf(e.Owner)}, e.Position, value, c.ttl.Milliseconds(), requestID).Err()
	if err != nil {
		return fmt.Errorf("cache an answer: %w; it is safe in the read models", c.failed(ctx, err))
	}
	return nil
}

var forget = redis.NewScript(owner + ` return drop(KEYS[1], ARGV[1])`)

// Delete forgets the answer to a request; that there is none is no error.
func (c *Redis) Delete(ctx context.Context, requestID string) error {
	if c.resting() {
		return errResting
	}
	if err := forget.Run(ctx, c.client, []string{Key(requestID)}, requestID).Err(); err != nil {
		return fmt.Errorf("forget a cached answer: %w", c.failed(ctx, err))
	}
	return nil
}

// clearSome forgets entries of one user, the first to expire first, and returns
// how many were there and whether the set is empty now.
var clearSome = redis.NewScript(`
	local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
	local cleared = 0
	for i = 1, #popped, 2 do cleared = cleared + redis.call('UNLINK', 'response:' .. popped[i]) end
	return {cleared, redis.call('EXISTS', KEYS[1])}`)

// some bounds what one step of clearing does, while Redis does nothing else.
const some = 500

// ClearUser forgets all answers to one user and returns how many there were.
func (c *Redis) ClearUser(ctx context.Context, user string) (int64, error) {
	var cleared int64
	for {
		step, err := clearSome.Run(ctx, c.client, []string{keysOf(user)}, some).Int64Slice()
		if err != nil {
			return cleared, fmt.Errorf("clear the cache of a user, %d answers done: %w", cleared, err)
		}
		if cleared += step[0]; step[1] == 0 {
			return cleared, nil
		}
	}
}

// Clear forgets all answers and returns how many there were.
func (c *Redis) Clear(ctx context.Context) (int64, error) {
	var cleared int64
	err := c.scan(ctx, Key("*"), func(keys []string) error {
		n, err := c.client.Unlink(ctx, keys...).Result()
		cleared += n
		return err
	})
	if err == nil {
		err = c.scan(ctx, keysOf("*"), func(keys []string) error { return c.client.Unlink(ctx, keys...).Err() })
	}
	if err != nil {
		return cleared, fmt.Errorf("clear the cache, %d answers done: %w", cleared, err)
	}
	return cleared, nil
}

// scan gives all keys of a pattern, in parts.
func (c *Redis) scan(ctx context.Context, pattern string, part func(keys []string) error) error {
	var cursor uint64
	for {
		keys, next, err := c.client.Scan(ctx, cursor, pattern, 1000).Result()
		if err == nil && len(keys) > 0 {
			err = part(keys)
		}
		if err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

// Stats looks at the server.
func (c *Redis) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Backend: "redis", HitRatio: c.ratio()}
	pipe := c.client.Pipeline()
	size, info := pipe.DBSize(ctx), pipe.InfoMap(ctx, "memory", "clients")
	if _, err := pipe.Exec(ctx); err != nil {
		return s, fmt.Errorf("look at the cache: %w", err)
	}
	s.Keys, s.UsedMemory = size.Val(), info.Item("Memory", "used_memory_human")
	s.Clients, _ = strconv.ParseInt(info.Item("Clients", "connected_clients"), 10, 64) // 0 if it is not told
	err := c.scan(ctx, Key("*"), func(keys []string) error {
		s.Answers += int64(len(keys))
		return nil
	})
	return s, err
}
