package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// steadily returns callers so many a second. At a slow pace it takes longer to
// have enough of them.
func (r *rig) steadily(perSecond int) steady {
	enough := time.Duration(r.config.Arrivals) * time.Second / time.Duration(perSecond)
	return steady{perSecond: perSecond, lines: clients, warm: r.config.Warm, measure: max(r.config.Measure, enough)}
}

// latency measures POST /requests at a pace against the bare server at the same.
func latency(perSecond int) func(context.Context, *rig) (contest, error) {
	return func(ctx context.Context, r *rig) (c contest, err error) {
		c.limitName = "bare net/http server, one INSERT and commit a request, at the same pace"
		subject, err := r.posting(ctx)
		if err != nil {
			return c, err
		}
		bare, err := r.serveBare(ctx, r.insertOne())
		if err != nil {
			return c, err
		}
		limit := target{address: bare.address, status: http.StatusAccepted,
			requests: [][]byte{wire(http.MethodPost, "/requests", bare.address, "none", []byte(question))}}
		c.subject = func(ctx context.Context) (float64, error) { return r.steadily(perSecond).p99(ctx, subject.join) }
		c.limit = func(ctx context.Context) (float64, error) { return r.steadily(perSecond).p99(ctx, limit.join) }
		c.looked = true
		if err := r.look(ctx, subject, limit); err != nil {
			return c, err
		}
		return c, r.settle(ctx, siteDatabase, limitDatabase)
	}
}

// look has targets answer for a moment, at a pace at which that is enough to
// have them ready.
func (r *rig) look(ctx context.Context, targets ...target) error {
	for _, t := range targets {
		if _, err := (steady{perSecond: floodPace, lines: clients, measure: 2 * r.config.Warm}).p99(ctx, t.join); err != nil {
			return err
		}
	}
	return nil
}

// posting is POST /requests on the whole stack.
func (r *rig) posting(ctx context.Context) (target, error) {
	token, err := r.site.logIn(ctx)
	if err != nil {
		return target{}, err
	}
	return target{address: r.site.address, status: http.StatusAccepted,
		requests: [][]byte{wire(http.MethodPost, "/requests", r.site.address, token, []byte(question))}}, nil
}

// floodPace is the pace of requests beside a flood of logins, and flooders how
// many log in again and again: many more than passwords are hashed at a time.
const (
	floodPace = 200
	flooders  = 32
)

// latencyInAFlood measures POST /requests while logins use up all that may be
// hashed at a time, against the same without them.
func latencyInAFlood(ctx context.Context, r *rig) (contest, error) {
	posts, err := r.posting(ctx)
	if err != nil {
		return contest{}, err
	}
	body, err := json.Marshal(map[string]string{"username": r.site.username, "password": r.site.password})
	if err != nil {
		return contest{}, err
	}
	logins := target{address: r.site.address, status: http.StatusOK,
		requests: [][]byte{wire(http.MethodPost, "/auth/login", r.site.address, "none", body)}}
	return contest{
		limitName: "the same without logins",
		subject: func(ctx context.Context) (p99 float64, err error) {
			err = beside(ctx, flooders, logins.join, func(ctx context.Context) error {
				p99, err = r.steadily(floodPace).p99(ctx, posts.join)
				return err
			})
			return p99, err
		},
		limit: func(ctx context.Context) (float64, error) { return r.steadily(floodPace).p99(ctx, posts.join) },
	}, r.settle(ctx, siteDatabase)
}

// beside does something while a crowd asks again and again.
func beside(ctx context.Context, size int, join func(ctx context.Context) (member, error), do func(ctx context.Context) error) error {
	var members []member
	for range size {
		m, err := join(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = m.leave() }() // what was measured is not changed by how it ends
		members = append(members, m)
	}
	crowded, leave := context.WithCancel(ctx)
	defer leave()
	group, crowded := errgroup.WithContext(crowded)
	for _, m := range members {
		group.Go(func() error {
			for crowded.Err() == nil {
				if err := m.ask(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := do(ctx)
	leave()
	if err := group.Wait(); err != nil {
		return err
	}
	return done
}
