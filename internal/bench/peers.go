package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Peer is what another event store reaches beside this one: 64 callers, each of
// whom appends one event of the same data to a stream of its own.
type Peer struct {
	Name string `json:"name"`
	// Rate is how many appends a second it reached and Ours what this store did in
	// the same pairs, both medians. Ratio is that of ours to its.
	Rate  float64 `json:"appends_per_second"`
	Ours  float64 `json:"ours_per_second"`
	Ratio float64 `json:"ratio"`
	Pairs int     `json:"pairs"`
	// While a reader polled for what is new, Written were appended. Missed are those
	// that it was never given, Doubled those that it was given again.
	Written int64 `json:"written"`
	Missed  int64 `json:"missed"`
	Doubled int64 `json:"doubled"`
	// Absent says why it was not measured.
	Absent string `json:"absent,omitempty"`
}

// Comparison is one run beside other event stores.
type Comparison struct {
	Figures []Figure `json:"figures"` // append_callers_64
	Peers   []Peer   `json:"peers"`   // this store first
}

// eventStore is a store that is compared, ours or another.
type eventStore struct {
	name   string
	rate   measure // appends a second
	follow func(ctx context.Context) (given, error)
	close  func() error // nil: nothing to give back
}

// given is what a polling reader saw of what was written meanwhile.
type given struct {
	Written  int64 `json:"written"`
	Read     int64 `json:"read"`
	Distinct int64 `json:"distinct"`
}

// ComparePeers measures append_callers_64 and, in the same run, other event
// stores. Of those that come by npm, packages is the folder into which they were
// installed; one that is not there is left out, and its row says why.
func ComparePeers(ctx context.Context, c Config, packages string) (compared Comparison, err error) {
	c = c.settled()
	err = c.onRig(ctx, func(r *rig) (err error) {
		compared, err = r.comparePeers(ctx, packages)
		return err
	})
	return compared, err
}

func (r *rig) comparePeers(ctx context.Context, packages string) (compared Comparison, err error) {
	chosen, err := named([]string{"append_callers_64"})
	if err != nil {
		return compared, err
	}
	if compared.Figures, err = r.measured(ctx, chosen); err != nil {
		return compared, err
	}
	ours, err := r.ourselves(ctx, packages)
	if err != nil {
		return compared, err
	}
	for _, open := range []func(context.Context, string) (eventStore, error){r.ourselves, r.plainSequence, r.watermill, r.messageDB, r.emmett} {
		p, err := r.comparePeer(ctx, packages, open, ours.rate)
		if err != nil {
			return compared, err
		}
		compared.Peers = append(compared.Peers, p)
	}
	return compared, nil
}

// absentError says that a store is not on this machine.
type absentError struct{ why string }

func (e *absentError) Error() string { return e.why }

func (r *rig) comparePeer(ctx context.Context, packages string, open func(context.Context, string) (eventStore, error), ours measure) (p Peer, err error) {
	s, err := open(ctx, packages)
	if s.close != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	p.Name = s.name
	var absent *absentError
	if errors.As(err, &absent) {
		p.Absent = absent.why
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("set %s up: %w", s.name, err)
	}
	r.config.Say("measuring %s", p.Name)
	f, err := s.follow(ctx)
	if err != nil {
		return p, fmt.Errorf("follow %s: %w", s.name, err)
	}
	p.Written, p.Missed, p.Doubled = f.Written, f.Written-f.Distinct, f.Read-f.Distinct
	figure, err := contest{subject: ours, limit: s.rate, limitName: s.name}.compare(ctx, Entry{Name: s.name, Unit: perSecond}, r.config.Pairs)
	p.Rate, p.Ours, p.Ratio, p.Pairs = figure.Limit, figure.Value, figure.Ratio, figure.Pairs
	return p, err
}

// polled bounds a page of a polling reader, patience how long it goes on asking
// for what was written and did not come.
const (
	polled   = 1000
	patience = 2 * time.Second
)

// polling makes a store of a caller that appends and of a reader's next page,
// of which it gives the events' ids.
func (r *rig) polling(name string, join func(ctx context.Context) (member, error), page func(ctx context.Context) ([]string, error)) eventStore {
	return eventStore{
		name: name,
		rate: func(ctx context.Context) (float64, error) { return r.crowd(clients).rate(ctx, join) },
		follow: func(ctx context.Context) (given, error) {
			var written atomic.Int64
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			writing := make(chan error, 1)
			go func() {
				_, err := r.crowd(clients).rate(ctx, counted(join, &written))
				writing <- err
			}()
			return follow(ctx, page, &written, writing)
		},
	}
}

// counted counts what is appended.
func counted(join func(ctx context.Context) (member, error), written *atomic.Int64) func(ctx context.Context) (member, error) {
	return func(ctx context.Context) (member, error) {
		m, err := join(ctx)
		ask := m.ask
		m.ask = func() error {
			err := ask()
			if err == nil {
				written.Add(1)
			}
			return err
		}
		return m, err
	}
}

// follow reads page after page until the writers have ended and all was read,
// or nothing comes any more.
func follow(ctx context.Context, page func(ctx context.Context) ([]string, error), written *atomic.Int64, writing <-chan error) (f given, err error) {
	seen := map[string]bool{}
	last, done := time.Now(), false
	for !done || f.Distinct < written.Load() && time.Since(last) < patience {
		select {
		case err := <-writing:
			if err != nil {
				return f, err
			}
			last, done = time.Now(), true
		default:
		}
		ids, err := page(ctx)
		if err != nil {
			return f, err
		}
		for _, id := range ids {
			seen[id] = true
		}
		f.Read, f.Distinct = f.Read+int64(len(ids)), int64(len(seen))
		if len(ids) > 0 {
			last = time.Now()
		} else if err := until(ctx, time.Now().Add(time.Millisecond)); err != nil {
			return f, err
		}
	}
	f.Written = written.Load()
	return f, nil
}
