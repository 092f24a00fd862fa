package ratelimit

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Outcome is what a call came to.
type Outcome struct {
	Allowed  bool
	Counters []Counter
}

// NewPatientRedis is NewRedis for a server on a machine that is busy with tests.
func NewPatientRedis(client redis.UniversalClient) *Redis {
	r := NewRedis(client)
	r.counts.answer = time.Minute
	return r
}

// TakeTogether takes calls in one trip, as concurrent ones are.
func (r *Redis) TakeTogether(ctx context.Context, asks []Ask) ([]Outcome, error) {
	group := make([]*errand, len(asks))
	for i, a := range asks {
		group[i] = &errand{call: a.call(false), until: time.Now().Add(r.counts.answer)}
	}
	if err := r.counts.trip(ctx, group); err != nil {
		return nil, err
	}
	out := make([]Outcome, len(group))
	for i, e := range group {
		if e.err != nil {
			return nil, e.err
		}
		out[i] = Outcome{e.allowed, e.counters}
	}
	return out, nil
}
