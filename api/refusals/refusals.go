// Package refusals counts refused logins and has them recorded:
//
//	Refused ─┬─ the first of an account at an address ──────▶ record, at once
//	         └─ more of them ─▶ counted ─▶ Run, a minute on ─▶ record, with their number
//
// # Promised
//
//   - At most one event a minute for an account at an address, and every
//     refusal is in the number of one.
//   - However many names and addresses somebody tries, no more than a few
//     hundred events a minute come of it: what goes beyond is counted for the
//     address, or for all of them.
//   - What could not be recorded is kept and tried again; a process that is
//     killed loses what it counted in the last minute.
package refusals

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/domain"
)

const (
	interval = time.Minute
	// look is how often Run looks for what is due.
	look = 5 * time.Second
	// recordTimeout bounds one recording, which a refused caller waits for.
	recordTimeout = 2 * time.Second

	maxEntries  = 200
	maxOfSource = 20
)

// Config is what a recorder works with. All fields but Now are required.
type Config struct {
	// Record stores refusals as events.
	Record func(context.Context, []domain.LoginRefused) error
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Recorder counts refusals. It is safe for concurrent use. Without Run, only
// what is new is recorded.
type Recorder struct {
	Config
	mu      sync.Mutex
	entries map[key]*entry
	sources map[string]int // entries of an address
}

type key struct{ username, ip string }

type entry struct {
	newest domain.LoginRefused
	count  int       // not recorded yet
	due    time.Time // when it may be recorded
}

// New returns a recorder that has seen nothing.
func New(c Config) *Recorder {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Recorder{Config: c, entries: map[key]*entry{}, sources: map[string]int{}}
}

// Refused counts one refusal, see [domain.RefuseLogin], and records it if none
// of its kind was recorded within a minute. It waits for that, but not for long.
func (r *Recorder) Refused(ctx context.Context, one domain.LoginRefused) {
	now := r.Now()
	r.mu.Lock()
	e := r.entry(one, now)
	e.newest.Reason, e.newest.UserAgent = one.Reason, one.UserAgent
	e.count += one.Count
	var due []*entry
	if !now.Before(e.due) {
		due = append(due, e)
	}
	facts := take(due, now)
	r.mu.Unlock()
	r.record(ctx, facts)
}

// entry finds where a refusal is counted. The lock is held.
func (r *Recorder) entry(one domain.LoginRefused, now time.Time) *entry {
	k := key{one.Username, one.IP}
	if r.entries[k] == nil && r.sources[k.ip] >= maxOfSource-1 {
		k.username = ""
	}
	if r.entries[k] == nil && len(r.entries) >= maxEntries {
		k = key{}
	}
	e := r.entries[k]
	if e == nil {
		e = &entry{newest: domain.LoginRefused{Username: k.username, IP: k.ip}, due: now}
		r.entries[k] = e
		r.sources[k.ip]++
	}
	return e
}

// take makes events of what is due and begins its next minute. The lock is held.
func take(due []*entry, now time.Time) []domain.LoginRefused {
	var facts []domain.LoginRefused
	for _, e := range due {
		if e.count > 0 {
			e.newest.Count = e.count
			facts = append(facts, e.newest)
		}
		e.count, e.due = 0, now.Add(interval)
	}
	return facts
}

// record stores events, or counts them again.
func (r *Recorder) record(ctx context.Context, facts []domain.LoginRefused) {
	if len(facts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := r.Record(ctx, facts)
	if err == nil {
		return
	}
	r.Logger.WarnContext(ctx, "refused logins could not be recorded; they are counted and tried again", "events", len(facts), "error", err)
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range facts {
		e := r.entry(f, now)
		e.newest.Reason, e.newest.UserAgent = f.Reason, f.UserAgent
		e.count, e.due = e.count+f.Count, now.Add(interval)
	}
}

// Run records what is due until the context ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.record(ctx, r.due(r.Now()))
		case <-ctx.Done():
			r.record(ctx, r.rest())
			return nil
		}
	}
}

// due takes what a minute has passed for, and forgets what nothing was added to.
func (r *Recorder) due(now time.Time) []domain.LoginRefused {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []*entry
	for k, e := range r.entries {
		switch {
		case now.Before(e.due):
		case e.count > 0:
			due = append(due, e)
		default:
			r.forget(k)
		}
	}
	return take(due, now)
}

func (r *Recorder) forget(k key) {
	delete(r.entries, k)
	if r.sources[k.ip]--; r.sources[k.ip] <= 0 {
		delete(r.sources, k.ip)
	}
}

func (r *Recorder) rest() []domain.LoginRefused {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*entry, 0, len(r.entries))
	for _, e := range r.entries {
		all = append(all, e)
	}
	return take(all, r.Now())
}
