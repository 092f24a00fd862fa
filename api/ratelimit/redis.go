package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// answerTime is how long Redis may take for one call.
const answerTime = 250 * time.Millisecond

// Redis counts in Redis, one hash a user, for all processes of a site. Calls at
// the same moment share a trip: they cost half of what they cost one by one.
type Redis struct{ client *redis.AutoPipeliner }

// Connect returns a client for the server that o names which waits for it no
// longer than this package promises. A call is never repeated: it might be
// counted twice. The caller closes it.
func Connect(o redis.Options) *redis.Client {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = answerTime, answerTime, answerTime, answerTime
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	return redis.NewClient(&o)
}

// NewRedis returns what counts through a client, until that is closed.
func NewRedis(client *redis.Client) (*Redis, error) {
	shared, err := client.AutoPipeline()
	if err != nil {
		return nil, fmt.Errorf("prepare to count in Redis: %w", err)
	}
	return &Redis{shared}, nil
}

// Key returns the name of a user's hash.
func Key(user string) string { return "ratelimit:" + user }

// A field's value is start:count:excess:refused, see [Counter]. The arguments
// are now, what remains of the month, the length of grace, what to do, and
// then four a bucket: field, start, limit, n.
var script = redis.NewScript(`
	local now, ttl, grace, act = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
	local fields, buckets = {}, {}
	for i = 5, #ARGV, 4 do
		fields[#fields + 1] = ARGV[i]
		buckets[#buckets + 1] = {start = tonumber(ARGV[i + 1]), limit = tonumber(ARGV[i + 2]), n = tonumber(ARGV[i + 3]),
			count = 0, excess = 0, refused = 0}
	end
	local function fits(b, n)
		local after = b.count + n
		if b.limit == 0 or after <= b.limit then return true end
		return after <= b.limit + math.floor(b.limit / 10) and (b.excess == 0 or now < b.excess + grace)
	end
	local there = redis.call('HMGET', KEYS[1], unpack(fields))
	local allowed = true
	for i, b in ipairs(buckets) do
		b.own = true
		local start, count, excess, refused = string.match(there[i] or '', '^(%d+):(%d+):(%d+):([01])$')
		if start and tonumber(start) >= b.start then
			b.own = tonumber(start) == b.start
			b.start, b.count, b.excess = tonumber(start), tonumber(count), tonumber(excess)
			if b.limit == 0 or b.count <= b.limit then b.excess = 0 end
			if refused == '1' and not fits(b, 1) then b.refused = 1 end
		end
		allowed = allowed and fits(b, b.n)
	end
	local values, answer = {}, {(act == 'take' and not allowed) and 0 or 1}
	for i, b in ipairs(buckets) do
		if act == 'give' then
			if b.own then b.count = math.max(0, b.count - b.n) end
			if b.limit == 0 or b.count <= b.limit then b.excess = 0 end
			if fits(b, 1) then b.refused = 0 end
		elseif not allowed then
			b.refused = fits(b, 1) and 0 or 1
		else
			b.count, b.refused = b.count + b.n, 0
			if b.limit > 0 and b.count > b.limit and b.excess == 0 then b.excess = now end
		end
		values[#values + 1] = fields[i]
		values[#values + 1] = string.format('%.0f:%.0f:%.0f:%d', b.start, b.count, b.excess, b.refused)
		for _, v in ipairs({b.start, b.count, b.excess, b.refused}) do answer[#answer + 1] = v end
	end
	redis.call('HSET', KEYS[1], unpack(values))
	redis.call('PEXPIRE', KEYS[1], ttl)
	return answer`)

// Take counts a call, or refuses it, and returns the counters of its buckets.
func (r *Redis) Take(ctx context.Context, a Ask) (bool, []Counter, error) {
	return r.run(ctx, a, "take")
}

// Give takes back what Take counted.
func (r *Redis) Give(ctx context.Context, a Ask) ([]Counter, error) {
	_, counters, err := r.run(ctx, a, "give")
	return counters, err
}

func (r *Redis) run(ctx context.Context, a Ask, act string) (bool, []Counter, error) {
	buckets, now := a.buckets(), a.At.UnixMilli()
	args := make([]any, 0, 4+4*len(buckets))
	month := Month.End(Month.Start(a.At)).Sub(a.At) + grace
	args = append(args, now, month.Milliseconds(), grace.Milliseconds(), act)
	for _, b := range buckets {
		args = append(args, b.field, b.window.Start(a.At).UnixMilli(), b.limit, b.n)
	}
	got, err := script.Run(ctx, r.client, []string{Key(a.User)}, args...).Int64Slice()
	if err != nil {
		return false, nil, fmt.Errorf("count a request: %w", err)
	}
	if len(got) != 1+4*len(buckets) {
		return false, nil, errors.New("count a request: Redis gave another answer than the script")
	}
	counters := make([]Counter, len(buckets))
	for i := range counters {
		v := got[1+4*i:]
		counters[i] = Counter{Start: v[0], Count: v[1], Excess: v[2], Refused: v[3] == 1}
	}
	return got[0] == 1, counters, nil
}

// Look returns the counters of a call's buckets and counts nothing.
func (r *Redis) Look(ctx context.Context, a Ask) ([]Counter, error) {
	buckets, now := a.buckets(), a.At.UnixMilli()
	fields := make([]string, len(buckets))
	for i, b := range buckets {
		fields[i] = b.field
	}
	got, err := r.client.HMGet(ctx, Key(a.User), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("look how many requests were counted: %w", err)
	}
	counters := make([]Counter, len(buckets))
	for i, b := range buckets {
		text, _ := got[i].(string)
		counters[i] = parse(text).from(b.window.Start(a.At).UnixMilli(), b, now)
	}
	return counters, nil
}

// parse reads a field's value; what is not one counts nothing.
func parse(text string) Counter {
	var c Counter
	var refused int
	if _, err := fmt.Sscanf(text, "%d:%d:%d:%d", &c.Start, &c.Count, &c.Excess, &refused); err != nil {
		return Counter{}
	}
	c.Refused = refused == 1
	return c
}

var forget = redis.NewScript(`
	for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
		for _, window in ipairs(ARGV) do
			if field == window or string.sub(field, -#window - 1) == '/' .. window then redis.call('HDEL', KEYS[1], field) end
		end
	end
	return 1`)

// Reset forgets what a user used of the windows, of all types and of single ones.
func (r *Redis) Reset(ctx context.Context, user string, windows []Window) error {
	names := make([]any, len(windows))
	for i, w := range windows {
		names[i] = w.String()
	}
	if err := forget.Run(ctx, r.client, []string{Key(user)}, names...).Err(); err != nil {
		return fmt.Errorf("reset the limits of a user: %w", err)
	}
	return nil
}
