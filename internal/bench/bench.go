package bench

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config says how long to measure.
type Config struct {
	// Dir is where the servers keep their files, which are removed at the end;
	// it decides which disk is measured. Empty: the temporary folder.
	Dir string
	// Quick measures three short pairs a figure: all of them in some five minutes.
	Quick bool
	// Pairs, Warm and Measure override what Quick decides: how many pairs, how
	// long each load runs before it counts, and how long it counts (at least a
	// second where another program measures). 0: as Quick says.
	Pairs         int
	Warm, Measure time.Duration
	// Bulk and Range override how many bytes of lines cross in the figures of
	// speed and in those of memory. 0: as Quick says, 64 MB and 1 GB if it says
	// nothing.
	Bulk, Range int64
	// Arrivals override how many callers a percentile is taken of, and Events how
	// many events the long log has. 0: as Quick says, 300 and 1,000,000 if it says
	// nothing. Below 100 callers the 99th percentile is that of the slowest.
	Arrivals, Events int
	// Program is the path of this program, which is run anew to hash passwords
	// and where its memory is measured. Empty: the site hashes them in this
	// process, and memory is not measured.
	Program string
	// Say is told what happens, a sentence at a time. Nil: nobody is.
	Say func(format string, args ...any)
	// Logger gets the site's own log. Nil: nobody does.
	Logger *slog.Logger
}

func (c Config) settled() Config {
	pairs, warm, measure := 5, 500*time.Millisecond, 4*time.Second
	bulk, span := int64(64_000_000), int64(wholeRange)
	arrivals, events := 300, 1_000_000
	if c.Quick {
		pairs, warm, measure = 3, 250*time.Millisecond, 1500*time.Millisecond
		bulk, span = bulk/4, span/16
		arrivals, events = arrivals/3, events/10
	}
	c.Bulk, c.Range = cmp.Or(c.Bulk, bulk), cmp.Or(c.Range, span)
	c.Arrivals, c.Events = cmp.Or(c.Arrivals, arrivals), cmp.Or(c.Events, events)
	c.Pairs, c.Warm, c.Measure = cmp.Or(c.Pairs, pairs), cmp.Or(c.Warm, warm), cmp.Or(c.Measure, measure)
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// stopping is how long the servers may take to end.
const stopping = time.Minute

// Run measures the figures of the names, or all, one after the other. The
// error is an [*UnknownFigureError] before anything is started; after any
// other error the figures measured until then are returned with it.
func Run(ctx context.Context, c Config, names ...string) (done []Figure, err error) {
	c = c.settled()
	chosen, err := named(names)
	if err != nil {
		return nil, err
	}
	err = c.onRig(ctx, func(r *rig) (err error) {
		done, err = r.measured(ctx, chosen)
		return err
	})
	return done, err
}

// onRig starts the rig, does something on it, and stops it.
func (c Config) onRig(ctx context.Context, do func(r *rig) error) (err error) {
	r, err := start(ctx, c)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping)
		defer cancel()
		err = errors.Join(err, r.stop(ctx))
	}()
	if err != nil {
		return err
	}
	return do(r)
}

// measured measures one figure after the other.
func (r *rig) measured(ctx context.Context, chosen []figure) (done []Figure, err error) {
	for _, f := range chosen {
		r.config.Say("measuring %s: %s", f.Name, f.What)
		contest, err := f.prepare(ctx, r)
		if err != nil {
			return done, err
		}
		figure, err := contest.compare(ctx, f.Entry, r.config.Pairs)
		if err != nil {
			return done, err
		}
		done = append(done, figure)
	}
	return done, nil
}
