// Package throttle slows down guessing: it counts failures by key, such as an
// account or an address, and refuses a key that has used up its allowance,
// until time gives some back.
//
//	Blocked ─▶ the work ─▶ Outcome ─┬▶ memory of this process
//	                                └▶ and Redis: one script for all keys of a try
//	                                     │ away, or slower than 250 ms
//	                                     └──▶ another memory, at a tenth of the
//	                                          limits, for a second
//
// Only failures cost, so that a busy client which logs in rightly is never
// slowed down. An outcome is judged after the work, in one step with the
// count: however many guesses run side by side, no more of them than the
// allowance are told whether they were right.
//
// # Promised
//
//   - Without Redis guessing does not get easier: each process then allows a
//     tenth. A Redis that was flushed does not begin anew for what this process
//     counted itself.
//   - Memory holds a bounded number of keys; who is forgotten to make room
//     begins anew. No key is kept in clear, here or there.
package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/fuse"
)

// Rule says how much one kind of key may fail.
type Rule struct {
	Name  string
	Burst int           // failures that are free at first
	Every time.Duration // one failure is forgiven in this time
}

// tenth is the rule while Redis is away.
func (r Rule) tenth() Rule {
	return Rule{Name: r.Name, Burst: max(1, r.Burst/10), Every: 10 * r.Every}
}

// Key is what failures are counted of.
type Key struct {
	Rule Rule
	ID   string // of any length
}

func (k Key) name() string {
	sum := sha256.Sum256([]byte(k.ID))
	return "throttle:" + k.Rule.Name + ":" + hex.EncodeToString(sum[:16])
}

// Config says where failures are counted. The zero value is this process.
type Config struct {
	// Redis is shared by all processes of a site; nil: there is none. It must
	// give up within the time of a context.
	Redis redis.UniversalClient
	// Failed is told when Redis did not answer; may be nil.
	Failed func(error)
	// Alone is told of each judgement that was made without Redis though there is
	// one; may be nil.
	Alone func()
	Keys  int // keys remembered in memory; 0 means 100,000
}

// Throttle counts failures by key. It is safe for concurrent use.
type Throttle struct {
	redis  redis.UniversalClient
	fuse   *fuse.Fuse
	memory *memory // of what this process judged
	alone  *memory // of what it judged while Redis was away
	tell   func()  // of each of those
}

// New returns a throttle that nobody has failed at.
func New(c Config) *Throttle {
	if c.Keys <= 0 {
		c.Keys = 100_000
	}
	if c.Alone == nil {
		c.Alone = func() {}
	}
	return &Throttle{redis: c.Redis, tell: c.Alone, fuse: fuse.New(c.Failed), memory: newMemory(c.Keys), alone: newMemory(c.Keys)}
}

// Blocked returns how long to wait before another try is of use; 0 means now.
func (t *Throttle) Blocked(ctx context.Context, now time.Time, keys ...Key) time.Duration {
	return t.judge(ctx, now, false, keys)
}

// Outcome judges a try that has been made. If one of the keys is blocked by
// now, the wait is returned and the outcome must not be told; else a failure is
// counted for all of them.
func (t *Throttle) Outcome(ctx context.Context, failed bool, now time.Time, keys ...Key) time.Duration {
	return t.judge(ctx, now, failed, keys)
}

// script keeps for each key the time at which all of its failures will be
// forgiven, in milliseconds. The arguments are now, whether to count, and then
// burst and milliseconds of each key.
var script = redis.NewScript(`
	local now, count, wait = tonumber(ARGV[1]), ARGV[2], 0
	local clear = {}
	for i, key in ipairs(KEYS) do
		local burst, every = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
		clear[i] = math.max(now, tonumber(redis.call('GET', key) or 0))
		local left = burst - (clear[i] - now) / every
		if left < 1 then wait = math.max(wait, 1000, math.ceil((1 - left) * every)) end
	end
	if wait == 0 and count == '1' then
		for i, key in ipairs(KEYS) do
			local at = clear[i] + tonumber(ARGV[2 + 2 * i])
			redis.call('SET', key, string.format('%.0f', at), 'PX', string.format('%.0f', at - now))
		end
	end
	return wait`)

func (t *Throttle) judge(ctx context.Context, now time.Time, count bool, keys []Key) time.Duration {
	names, args := make([]string, len(keys)), []any{now.UnixMilli(), count}
	for i, k := range keys {
		names[i] = k.name()
		args = append(args, k.Rule.Burst, k.Rule.Every.Milliseconds())
	}
	if t.redis == nil {
		return t.memory.judge(now, count, keys)
	}
	var wait int64
	inRedis := t.try(ctx, now, func(ctx context.Context) (err error) {
		wait, err = script.Run(ctx, t.redis, names, args...).Int64()
		return err
	})
	if inRedis {
		return max(time.Duration(wait)*time.Millisecond, t.memory.judge(now, count && wait == 0, keys))
	}
	t.tell()
	tenths := make([]Key, len(keys))
	for i, k := range keys {
		tenths[i] = Key{k.Rule.tenth(), k.ID}
	}
	return t.alone.judge(now, count, tenths)
}

// try asks Redis, unless there is none or it failed a moment ago, and reports
// whether it answered.
func (t *Throttle) try(ctx context.Context, now time.Time, do func(context.Context) error) bool {
	return t.redis != nil && t.fuse.Try(ctx, now, do)
}
