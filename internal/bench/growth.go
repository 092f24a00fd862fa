package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// fewEvents is how many events the short log has.
const fewEvents = 1_000

// manyDatabase is that of the site with the long log.
const manyDatabase = "many"

// askedFor is how many different requests are asked for: enough that the answer
// is not always in the same page of the database.
const askedFor = 2_000

// grown are two request sites, alike but for the length of their logs.
type grown struct {
	few, many *site
	ids       map[*site][]string // of requests, from all over the log
}

// grow makes the two sites; the first who asks does.
func (r *rig) grow(ctx context.Context) (*grown, error) {
	if r.grown != nil {
		return r.grown, nil
	}
	g := &grown{ids: map[*site][]string{}}
	r.grown = g // from here on it is stopped with the rig
	for _, s := range []struct {
		name   string
		events int
		at     **site
	}{{"few", fewEvents, &g.few}, {manyDatabase, r.config.Events, &g.many}} {
		made, err := makeSite(ctx, r, s.name)
		if err != nil {
			return nil, err
		}
		*s.at = made
		r.config.Say("filling a log with %d events", s.events)
		if g.ids[made], err = made.fillLog(ctx, s.events); err != nil {
			return nil, fmt.Errorf("fill a log: %w", err)
		}
		if err := r.settle(ctx, s.name); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *grown) stop() error {
	var errs []error
	for _, s := range []*site{g.few, g.many} {
		if s != nil {
			errs = append(errs, s.stop())
		}
	}
	return errors.Join(errs...)
}

// growth measures the time of one call with a long log against the same with
// a short one.
func (r *rig) growth(ctx context.Context, load func(ctx context.Context, s *site) (measure, error)) (c contest, err error) {
	g, err := r.grow(ctx)
	if err != nil {
		return c, err
	}
	c.limitName = fmt.Sprintf("the same with %d events in the log", fewEvents)
	if c.subject, err = load(ctx, g.many); err != nil {
		return c, err
	}
	c.limit, err = load(ctx, g.few)
	return c, err
}

// each turns calls a second by a crowd into the time of one call.
func each(rate float64) float64 {
	return float64(clients) / rate * float64(time.Second) / float64(time.Millisecond)
}

func growthOfAppend(ctx context.Context, r *rig) (contest, error) {
	return r.growth(ctx, func(_ context.Context, s *site) (measure, error) {
		join := func(ctx context.Context) (member, error) {
			return member{ask: func() error {
				_, err := s.Log.Append(ctx, s.request())
				return err
			}}, nil
		}
		return func(ctx context.Context) (float64, error) {
			rate, err := r.crowd(clients).rate(ctx, join)
			return each(rate), err
		}, nil
	})
}

func growthOfGet(ctx context.Context, r *rig) (contest, error) {
	return r.growthOf(ctx, func(s *site) (paths []string) {
		for _, id := range r.grown.ids[s] {
			paths = append(paths, "/requests/"+id)
		}
		return paths
	})
}

func growthOfList(ctx context.Context, r *rig) (contest, error) {
	return r.growthOf(ctx, func(*site) []string { return []string{"/requests?limit=50"} })
}

// growthOf measures GETs of paths.
func (r *rig) growthOf(ctx context.Context, paths func(s *site) []string) (contest, error) {
	return r.growth(ctx, func(ctx context.Context, s *site) (measure, error) {
		token, err := s.logIn(ctx)
		if err != nil {
			return nil, err
		}
		t := target{address: s.address, status: http.StatusOK}
		for _, path := range paths(s) {
			t.requests = append(t.requests, wire(http.MethodGet, path, s.address, token, nil))
		}
		return func(ctx context.Context) (float64, error) {
			rate, err := r.crowd(clients).rate(ctx, t.join)
			return each(rate), err
		}, nil
	})
}
