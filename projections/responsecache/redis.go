package responsecache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis keeps answers in Redis, for all processes of a site. It is safe for
// concurrent use and does not own its client.
type Redis struct {
	client redis.UniversalClient
	ttl    time.Duration
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
	value, err := c.client.Get(ctx, Key(requestID)).Bytes()
	if errors.Is(err, redis.Nil) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("read the cached answer: %w", err)
	}
	e, ok := decode(value)
	return e, ok, nil
}

// setIfNewer compares positions as text of equal length: a number of Lua
// cannot hold every int64. An empty value only removes what is older.
var setIfNewer = redis.NewScript(`
	local there = string.match(redis.call('GETRANGE', KEYS[1], 0, 31), '^{"position":(%d+),')
	if there then
		local width = math.max(#there, #ARGV[1])
		local pad = function(s) return string.rep('0', width - #s) .. s end
		if pad(there) > pad(ARGV[1]) then return 0 end
	end
	if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
	return 1`)

// Set keeps an answer unless a newer one is there already.
func (c *Redis) Set(ctx context.Context, requestID string, e Entry) error {
	e, err := checked(e)
	if err != nil {
		return err
	}
	var value []byte
	if !tooLarge(e) {
		value = encode(e)
	}
	err = setIfNewer.Run(ctx, c.client, []string{Key(requestID)}, e.Position, value, c.ttl.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("cache an answer: %w; it is safe in the read models", err)
	}
	return nil
}

// Delete forgets the answer to a request; that there is none is no error.
func (c *Redis) Delete(ctx context.Context, requestID string) error {
	if err := c.client.Del(ctx, Key(requestID)).Err(); err != nil {
		return fmt.Errorf("forget a cached answer: %w", err)
	}
	return nil
}
