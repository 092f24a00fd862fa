package ratelimit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// together sends concurrent calls in one trip: while one trip is under way the
// next gathers by itself, so that a single call never waits for company; those
// that are about to ask, and need but a processor, go first. Calls of one user
// that ask alike are counted by one run of the script, as a party. At most one
// goroutine is under way, for as long as calls wait and no longer than a trip
// may take after the last of them gave up.
type together struct {
	client redis.UniversalClient
	answer time.Duration // how long a call may take

	mu      sync.Mutex
	waiting []*errand
	busy    bool
}

// errand is one call on its way.
type errand struct {
	call     call
	until    time.Time // when whoever sent it is told of a failure at the latest
	allowed  bool
	counters []Counter
	err      error
	done     chan struct{} // closed when all else is final
}

// party is errands that ask alike.
type party []*errand

// maxTogether bounds one trip.
const maxTogether = 128

// run returns what became of a call, or an error when it took too long. A context
// that ends first returns its error; the call may then be counted yet.
func (t *together) run(ctx context.Context, c call) (bool, []Counter, error) {
	e := &errand{call: c, until: time.Now().Add(t.answer), done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, e)
	if !t.busy {
		t.busy = true
		go t.trips(context.WithoutCancel(ctx))
	}
	t.mu.Unlock()
	select {
	case <-e.done:
		return e.allowed, e.counters, e.err
	case <-ctx.Done():
		return false, nil, ctx.Err()
	}
}

func (t *together) trips(ctx context.Context) {
	for {
		runtime.Gosched()
		t.mu.Lock()
		n := min(len(t.waiting), maxTogether)
		group := t.waiting[:n:n]
		t.waiting = t.waiting[n:]
		t.busy = n > 0
		t.mu.Unlock()
		if n == 0 {
			return
		}
		if err := t.trip(ctx, group); err != nil {
			// Who waits behind a server that is away would wait in vain.
			t.mu.Lock()
			for _, e := range t.waiting {
				e.err = err
			}
			group, t.waiting = append(group, t.waiting...), nil
			t.mu.Unlock()
		}
		for _, e := range group {
			close(e.done)
		}
	}
}

// trip counts a group and stores what became of each; it ends when the first of
// them can wait no longer. Its error says that the server did not answer;
// whoever did not go along has it too. Of a party that is too large as a whole
// each is counted by itself: some may fit.
func (t *together) trip(ctx context.Context, group []*errand) error {
	ctx, cancel := context.WithDeadline(ctx, group[0].until)
	defer cancel()
	refused, err := t.count(ctx, parties(group))
	if err == nil && len(refused) > 0 {
		var each []party
		for _, p := range refused {
			for _, e := range p {
				each = append(each, party{e})
			}
		}
		_, err = t.count(ctx, each)
	}
	return err
}

// parties brings those together who ask alike.
func parties(group []*errand) []party {
	var all []party
next:
	for _, e := range group {
		for i, p := range all {
			if p[0].call.alike(&e.call) {
				all[i] = append(p, e)
				continue next
			}
		}
		all = append(all, party{e})
	}
	return all
}

// count runs the script once a party. It returns the parties of several that
// it refused, of whom nothing was counted.
func (t *together) count(ctx context.Context, all []party) (refused []party, err error) {
	unknown, refused, err := t.send(ctx, all, func(pipe redis.Pipeliner, p party) *redis.Cmd {
		c := &p[0].call
		return pipe.EvalSha(ctx, script.Hash(), []string{Key(c.User)}, c.args(len(p))...)
	})
	if err == nil && len(unknown) > 0 { // the server was started or flushed since
		var more []party
		_, more, err = t.send(ctx, unknown, func(pipe redis.Pipeliner, p party) *redis.Cmd {
			c := p[0].call
			return pipe.Eval(ctx, scriptText, []string{Key(c.User)}, c.args(len(p))...)
		})
		refused = append(refused, more...)
	}
	return refused, err
}

// send also returns those whose script the server does not know: of them
// nothing was counted.
func (t *together) send(ctx context.Context, all []party, as func(redis.Pipeliner, party) *redis.Cmd) (unknown, refused []party, err error) {
	pipe := t.client.Pipeline()
	sent := make([]*redis.Cmd, len(all))
	for i, p := range all {
		sent[i] = as(pipe, p)
	}
	_, err = pipe.Exec(ctx)
	for i, p := range all {
		switch answer, err := sent[i].Text(); {
		case err != nil && redis.HasErrorPrefix(err, "NOSCRIPT"):
			unknown = append(unknown, p)
			p.fail(err)
		case err != nil:
			p.fail(err)
		case !p.settle(answer):
			refused = append(refused, p)
		}
	}
	var scripts redis.Error
	if errors.As(err, &scripts) { // one of the scripts, not the way to the server
		err = nil
	}
	return unknown, refused, err
}

func (p party) fail(err error) {
	for _, e := range p {
		e.err = err
	}
}

// settle gives each of a party what it would have been answered, had it been
// counted in its turn. It reports false for several that were refused together.
func (p party) settle(answer string) bool {
	allowed, counters, err := p[0].call.answer(answer)
	if err == nil && !allowed && len(p) > 1 {
		return false
	}
	for i, e := range p {
		e.allowed, e.err = allowed, err
		if err == nil {
			e.counters = p[0].call.before(counters, len(p)-1-i)
		}
	}
	return true
}
