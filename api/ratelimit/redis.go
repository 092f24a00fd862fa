package ratelimit

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"sallyport/internal/fuse"
)

// answerTime is how long Redis may take for one call.
const answerTime = fuse.AnswerTime

// Redis counts in Redis, one hash a user, for all processes of a site.
// It is safe for concurrent use.
type Redis struct {
	client redis.UniversalClient
	counts together
}

// Connect returns a client for the server that o names which waits for it no
// longer than this package promises. A call is never repeated: it might be
// counted twice. The caller closes it.
func Connect(o redis.Options) *redis.Client {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = answerTime, answerTime, answerTime, answerTime
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	return redis.NewClient(&o)
}

// NewRedis returns what counts through a client.
func NewRedis(client redis.UniversalClient) *Redis {
	return &Redis{client: client, counts: together{client: client, answer: answerTime}}
}

// Key returns the name of a user's hash.
func Key(user string) string { return "ratelimit:" + user }

// A field's value is the four numbers of a [Counter] as doubles, which costs
// Lua a third of what text does. The first argument holds doubles too: now,
// what remains of the month, the length of grace, 1 to give back; then three a
// bucket: start, limit, n. The other arguments are the buckets' fields. The
// answer is 1 or 0 and then the values of the fields.
const scriptText = `
	local given = ARGV[1]
	local now, ttl, grace, give, at = struct.unpack('<dddd', given)
	local there = redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
	local starts, counts, excesses, refusals, limits, ns, own = {}, {}, {}, {}, {}, {}, {}
	local function fits(i, n)
		local limit, after = limits[i], counts[i] + n
		if limit == 0 or after <= limit then return true end
		return after <= limit + math.floor(limit / 10) and (excesses[i] == 0 or now < excesses[i] + grace)
	end
	local allowed = true
	for i = 1, #ARGV - 1 do
		local start, limit
		start, limit, ns[i], at = struct.unpack('<ddd', given, at)
		starts[i], counts[i], excesses[i], refusals[i], limits[i], own[i] = start, 0, 0, 0, limit, true
		if there[i] and #there[i] == 32 then
			local s, count, excess, refused = struct.unpack('<dddd', there[i])
			if s >= start then
				own[i] = s == start
				starts[i], counts[i] = s, count
				if limit > 0 and count > limit then excesses[i] = excess end
				if refused == 1 and not fits(i, 1) then refusals[i] = 1 end
			end
		end
		allowed = allowed and fits(i, ns[i])
	end
	local values, answer = {}, {(give == 1 or allowed) and '1' or '0'}
	for i = 1, #ARGV - 1 do
		if give == 1 then
			if own[i] then counts[i] = math.max(0, counts[i] - ns[i]) end
			if limits[i] == 0 or counts[i] <= limits[i] then excesses[i] = 0 end
			if fits(i, 1) then refusals[i] = 0 end
		elseif not allowed then
			refusals[i] = fits(i, 1) and 0 or 1
		else
			counts[i], refusals[i] = counts[i] + ns[i], 0
			if limits[i] > 0 and counts[i] > limits[i] and excesses[i] == 0 then excesses[i] = now end
		end
		local value = struct.pack('<dddd', starts[i], counts[i], excesses[i], refusals[i])
		values[2 * i - 1], values[2 * i], answer[i + 1] = ARGV[i + 1], value, value
	end
	redis.call('HSET', KEYS[1], unpack(values))
	redis.call('PEXPIRE', KEYS[1], ttl)
	return table.concat(answer)`

var script = redis.NewScript(scriptText)

// Take counts a call, or refuses it, and returns the counters of its buckets.
func (r *Redis) Take(ctx context.Context, a Ask) (bool, []Counter, error) {
	return r.run(ctx, a.call(false))
}

// Give takes back what Take counted.
func (r *Redis) Give(ctx context.Context, a Ask) ([]Counter, error) {
	_, counters, err := r.run(ctx, a.call(true))
	return counters, err
}

func (r *Redis) run(ctx context.Context, c call) (bool, []Counter, error) {
	allowed, counters, err := r.counts.run(ctx, c)
	if err != nil {
		return false, nil, fmt.Errorf("count a request: %w", err)
	}
	return allowed, counters, nil
}

// Look returns the counters of a call's buckets and counts nothing.
func (r *Redis) Look(ctx context.Context, a Ask) ([]Counter, error) {
	c := a.call(false)
	return r.look(ctx, &c)
}

func (r *Redis) look(ctx context.Context, c *call) ([]Counter, error) {
	fields, now := make([]string, len(c.buckets)), c.At.UnixMilli()
	for i, b := range c.buckets {
		fields[i] = b.field
	}
	got, err := r.client.HMGet(ctx, Key(c.User), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("look how many requests were counted: %w", err)
	}
	counters := make([]Counter, len(c.buckets))
	for i, b := range c.buckets {
		text, _ := got[i].(string)
		counters[i] = parse(text).from(b.window.Start(c.At).UnixMilli(), b, now)
	}
	return counters, nil
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
