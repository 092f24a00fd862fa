package ratelimit

import (
	"context"
	"time"
)

// Outcome is what a call came to.
type Outcome struct {
	Allowed  bool
	Counters []Counter
}

// TakeTogether takes calls in one trip, as concurrent ones are.
func (r *Redis) TakeTogether(ctx context.Context, asks []Ask) ([]Outcome, error) {
	group := make([]*errand, len(asks))
	for i, a := range asks {
		group[i] = &errand{call: a.call(false), until: time.Now().Add(answerTime)}
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
