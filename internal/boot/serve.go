package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"sallyport/api"
	"sallyport/projections"
	"sallyport/projections/reactor"
	"sallyport/projections/tally"
)

// Parts are what one process of a site does. Several processes may share a
// database and split them.
type Parts struct {
	API, Workers, Bridge bool
}

// Everything is all parts in one process.
var Everything = Parts{API: true, Workers: true, Bridge: true}

// ParseParts reads a list such as "api,workers"; empty is everything.
func ParseParts(s string) (Parts, error) {
	if s == "" {
		return Everything, nil
	}
	var p Parts
	for _, name := range strings.Split(s, ",") {
		switch name {
		case "api":
			p.API = true
		case "workers":
			p.Workers = true
		case "bridge":
			p.Bridge = true
		default:
			return p, fmt.Errorf("%q is no part of a site: use api, workers, bridge", name)
		}
	}
	return p, nil
}

// drain is how long open requests and running work may take at the end.
const drain = 20 * time.Second

const defaultDrainNotice = 500 * time.Millisecond

// Serve runs the parts until ctx ends or one of them fails, then stops them in
// order. ln is closed; it may be nil when the API is not among the parts.
func (s *Site) Serve(ctx context.Context, ln net.Listener, parts Parts) error {
	group, ctx := errgroup.WithContext(ctx)
	// What the API stands on runs until the last call was answered.
	under, drained := context.WithCancel(context.WithoutCancel(ctx))
	defer drained()
	group.Go(func() error { return s.pulse.Run(under, s.Pool) })
	s.Log.Hear(projections.RightsChanged, s.Directory.Wake)
	group.Go(func() error { return s.Directory.Run(under) })
	group.Go(func() error { return s.untilFoundedAnew(ctx) })
	if parts.API {
		s.hashApart()
		served, err := s.listen(ln)
		if err != nil {
			group.Go(func() error { drained(); return errors.Join(err, ln.Close()) })
			return group.Wait()
		}
		if !s.isResponse() {
			group.Go(func() error { return served.crossing.run(under) })
		}
		served.api.HearOfRights()
		group.Go(func() error { return served.refused.Run(under) })
		group.Go(func() error { return served.uses.Run(under) })
		group.Go(func() error { return served.api.FollowTokenKeys(under, s.tokenKeyPath()) })
		group.Go(func() error {
			defer drained()
			return served.serve(ctx)
		})
	} else {
		context.AfterFunc(ctx, drained)
	}
	if parts.Bridge {
		group.Go(func() error { return s.Bridge.Run(ctx) })
	} else {
		group.Go(func() error { return s.Bridge.KeepVersions(ctx) })
	}
	if parts.Workers {
		group.Go(func() error { return tally.New(s.Pool).Run(ctx, s.Log, s.crossed, s.Logger) })
	}
	own := s.periodic(parts)
	switch {
	case parts.Workers:
		group.Go(func() error {
			return s.whileWritable(ctx, func(ctx context.Context) error { return s.work(ctx, own.Join) })
		})
	case parts.Bridge:
		group.Go(func() error { return s.whileWritable(ctx, own.Run) })
	}
	return group.Wait()
}

// HashCommand is the command of the program that hashes passwords for another
// process, by [password.Serve].
const HashCommand = "hash"

// hashApart keeps logins from delaying what is done beside them (ADR 26).
func (s *Site) hashApart() {
	if s.Program != "" {
		s.Passwords.Apart(s.Logger, s.Program, "sallyport", HashCommand)
	}
}

// work answers requests on a response site; on a request site it keeps the
// cache warm and tells webhooks. join adds to it what is done once a day.
func (s *Site) work(ctx context.Context, join func(*river.Config)) error {
	if s.isResponse() {
		q, err := s.workers(ctx, join)
		if err != nil {
			return err
		}
		if err := q.Start(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		return q.Stop(ctx)
	}
	r, err := reactor.New(reactor.Config{Pool: s.Pool, Log: s.Log, Logger: s.Logger,
		Handlers: []reactor.Handler{reactor.Warm(s.Log.Site(), s.Reader, s.Cache), s.Webhooks.Announce()}})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.Run(ctx) })
	group.Go(func() error { return s.Webhooks.Run(ctx, join) })
	return group.Wait()
}

// crossed is how far the link to the response site has got, by the database: a
// request site has one.
func (s *Site) crossed(ctx context.Context) (tally.Link, error) {
	if s.isResponse() {
		return tally.Link{}, nil
	}
	links, err := s.Bridge.Crossings(ctx)
	if err != nil || len(links) == 0 {
		return tally.Link{}, err
	}
	return tally.Link{ExportedThrough: links[0].ExportedThrough, AckedThrough: links[0].AckedThrough}, nil
}

// crossings keeps in memory how far the link to the response site has got,
// because nearly every call asks. It is at most a quarter of a second old.
type crossings struct {
	site *Site
	last atomic.Pointer[api.Crossing]
	// trip is how long answers took when it was last measured; only run uses both.
	trip     projections.RoundTrip
	measured time.Time
}

const (
	refreshCrossing = 250 * time.Millisecond
	measureTrips    = 15 * time.Second
)

func (c *crossings) now(context.Context) (api.Crossing, error) {
	if last := c.last.Load(); last != nil {
		return *last, nil
	}
	return api.Crossing{}, nil
}

func (c *crossings) run(ctx context.Context) error {
	tick := time.NewTicker(refreshCrossing)
	defer tick.Stop()
	for {
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.site.Logger.WarnContext(ctx, "how far the link has got could not be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// refresh takes the first link: a request site has one response site.
func (c *crossings) refresh(ctx context.Context) error {
	links, err := c.site.Bridge.Crossings(ctx)
	if err != nil || len(links) == 0 {
		return err
	}
	if time.Since(c.measured) >= measureTrips {
		if c.trip, err = c.site.Reader.RoundTrip(ctx); err != nil {
			return err
		}
		c.measured = time.Now()
	}
	l := links[0]
	c.last.Store(&api.Crossing{Peer: l.Peer, ExportedThrough: l.ExportedThrough, AckedThrough: l.AckedThrough,
		ExportEvery: c.site.Bridge.ExportEvery, RoundTrip: c.trip})
	return nil
}
