package resultcache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/fuse"
)

const (
	valueKey = "result:"
	lockKey  = "result-lock:"
	// answerTime is how long Redis may take for one step, with a value of 10 MiB.
	answerTime = time.Second
)

// Redis keeps answers in Redis, for all processes of a site. It is safe for
// concurrent use and does not own its client.
type Redis struct {
	client redis.UniversalClient
	fuse   *fuse.Fuse
}

// NewRedis returns a store in the Redis of client, and tells failed of each
// failure of it; nil: nobody is told.
func NewRedis(client redis.UniversalClient, failed func(error)) *Redis {
	return &Redis{client: client, fuse: fuse.NewWithin(answerTime, failed)}
}

var errAway = errors.New("the result cache cannot be reached")

// try asks Redis unless it failed a moment ago.
func (r *Redis) try(ctx context.Context, do func(context.Context) error) error {
	if !r.fuse.Try(ctx, time.Now(), do) {
		return errAway
	}
	return nil
}

// begin and end are one step each, so that nobody comes in between. begin may be
// sent again by the client when its answer was lost: whoever has the lock has it
// still. end keeps an answer only for who holds the lock.
var (
	begin = redis.NewScript(`
		local value = redis.call('GET', KEYS[1])
		if value then return value end
		local asks = redis.call('GET', KEYS[2])
		if asks and asks ~= ARGV[1] then return 0 end
		redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
		return 1`)
	prolong = redis.NewScript(`
		if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)
	end = redis.NewScript(`
		if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
		redis.call('DEL', KEYS[2])
		if ARGV[3] ~= '0' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
		return 1`)
)

func (r *Redis) begin(ctx context.Context, key, token string) (value []byte, mine bool, err error) {
	err = r.try(ctx, func(ctx context.Context) error {
		got, err := begin.Run(ctx, r.client, []string{valueKey + key, lockKey + key}, token, lockTime.Milliseconds()).Result()
		switch got := got.(type) {
		case string:
			value = []byte(got)
		case int64:
			mine = got == 1
		}
		return err
	})
	return value, mine, err
}

func (r *Redis) find(ctx context.Context, key string) (value []byte, err error) {
	err = r.try(ctx, func(ctx context.Context) error {
		value, err = r.client.Get(ctx, valueKey+key).Bytes()
		if errors.Is(err, redis.Nil) {
			value, err = nil, nil
		}
		return err
	})
	return value, err
}

func (r *Redis) prolong(ctx context.Context, key, token string) error {
	return r.try(ctx, func(ctx context.Context) error {
		return prolong.Run(ctx, r.client, []string{lockKey + key}, token, lockTime.Milliseconds()).Err()
	})
}

func (r *Redis) end(ctx context.Context, key, token string, value []byte, ttl time.Duration) error {
	return r.try(ctx, func(ctx context.Context) error {
		return end.Run(ctx, r.client, []string{valueKey + key, lockKey + key}, token, value, ttl.Milliseconds()).Err()
	})
}

// drop forgets a value that nobody can read.
func (r *Redis) drop(ctx context.Context, key string) error {
	return r.try(ctx, func(ctx context.Context) error { return r.client.Unlink(ctx, valueKey+key).Err() })
}

// clear ends the locks first: what is asked for now is not kept.
func (r *Redis) clear(ctx context.Context) (int64, error) {
	_, err := r.scan(ctx, lockKey+"*", true)
	if err != nil {
		return 0, err
	}
	return r.scan(ctx, valueKey+"*", true)
}

func (r *Redis) count(ctx context.Context) (int64, error) { return r.scan(ctx, valueKey+"*", false) }

// some is how many keys one step looks at, while Redis does nothing else.
const some = 500

// scan counts keys, and removes them if it shall.
func (r *Redis) scan(ctx context.Context, pattern string, remove bool) (n int64, err error) {
	var cursor uint64
	for {
		keys, next, err := r.client.Scan(ctx, cursor, pattern, some).Result()
		if err != nil {
			return n, fmt.Errorf("look through the result cache: %w", err)
		}
		found := int64(len(keys))
		if remove && found > 0 {
			if found, err = r.client.Unlink(ctx, keys...).Result(); err != nil {
				return n, fmt.Errorf("clear the result cache, %d answers done: %w", n, err)
			}
		}
		if n, cursor = n+found, next; cursor == 0 {
			return n, nil
		}
	}
}
