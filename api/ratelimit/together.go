package ratelimit

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// together sends the scripts of concurrent calls in one trip: while one trip
// is under way the next gathers by itself, so that a single call never waits
// for company. At most one goroutine is under way, for as long as calls wait
// and no longer than a trip may take after the last of them gave up.
type together struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*errand
	busy    bool
}

// errand is one call's script on its way.
type errand struct {
	key    string
	args   []any
	answer string
	err    error
	done   chan struct{} // closed when answer and err are final
}

// maxTogether bounds one trip.
const maxTogether = 128

// run returns what the script answered. A context that ends first returns its
// error; the script may then run yet.
func (t *together) run(ctx context.Context, key string, args []any) (string, error) {
	e := &errand{key: key, args: args, done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, e)
	if !t.busy {
		t.busy = true
		go t.trips(context.WithoutCancel(ctx))
	}
	t.mu.Unlock()
	select {
	case <-e.done:
		return e.answer, e.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (t *together) trips(ctx context.Context) {
	for {
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

// trip runs the scripts of a group and stores what became of each. Its error
// says that the server did not answer; whoever did not go along has it too.
func (t *together) trip(ctx context.Context, group []*errand) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	unknown, err := t.send(ctx, group, func(p redis.Pipeliner, e *errand) *redis.Cmd {
		return p.EvalSha(ctx, script.Hash(), []string{e.key}, e.args...)
	})
	if err == nil && len(unknown) > 0 { // the server was started or flushed since
		_, err = t.send(ctx, unknown, func(p redis.Pipeliner, e *errand) *redis.Cmd {
			return p.Eval(ctx, scriptText, []string{e.key}, e.args...)
		})
	}
	return err
}

// send returns those whose script the server does not know: of them nothing
// was counted.
func (t *together) send(ctx context.Context, group []*errand, as func(redis.Pipeliner, *errand) *redis.Cmd) (unknown []*errand, err error) {
	pipe := t.client.Pipeline()
	sent := make([]*redis.Cmd, len(group))
	for i, e := range group {
		sent[i] = as(pipe, e)
	}
	_, err = pipe.Exec(ctx)
	for i, e := range group {
		e.answer, e.err = sent[i].Text()
		if e.err != nil && redis.HasErrorPrefix(e.err, "NOSCRIPT") {
			unknown = append(unknown, e)
		}
	}
	var refused redis.Error
	if errors.As(err, &refused) { // one of the scripts, not the way to the server
		err = nil
	}
	return unknown, err
}
