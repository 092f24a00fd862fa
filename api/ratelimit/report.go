package ratelimit

import (
	"fmt"
	"time"
)

// Status is how close to its limit something is.
type Status string

// The statuses, the best first.
const (
	OK        Status = "OK"
	Warning   Status = "WARNING"
	SoftBlock Status = "SOFT_BLOCK"
	Exceeded  Status = "EXCEEDED"
)

var severity = map[Status]int{OK: 0, Warning: 1, SoftBlock: 2, Exceeded: 3}

// Use is how far one window is used.
type Use struct {
	Type   string // of which request type; empty: of all
	Window Window
	Limit  int // 0: none
	Used   int64
	Start  time.Time
	Resets time.Time
	Status Status
	// GraceEnds is until when the limit may be exceeded; zero: it is not reached.
	GraceEnds time.Time
}

// Remaining is how many requests are left below the limit.
func (u Use) Remaining() int64 { return max(0, int64(u.Limit)-u.Used) }

// Report is what became of a call, or how a user's limits stand.
type Report struct {
	Allowed bool
	Status  Status
	Message string
	Uses    []Use // of all types first, the shortest window first
	// GraceEnds is the first end of a grace; zero: no limit is reached.
	GraceEnds time.Time
	// Wait is how long a refused call must wait before it can be allowed.
	Wait time.Duration
	// Never says that a refused call asks for more than a whole window allows.
	Never bool
	// InMemory says that this process counted for itself.
	InMemory bool
}

func report(c *call, counters []Counter, allowed, inMemory bool) Report {
	r := Report{Allowed: allowed, Status: OK, InMemory: inMemory, Message: "within all limits", Uses: make([]Use, 0, len(c.buckets))}
	now := c.At.UnixMilli()
	for i, b := range c.buckets {
		u := use(b, counters[i], c.At)
		r.Uses = append(r.Uses, u)
		if !u.GraceEnds.IsZero() && (r.GraceEnds.IsZero() || u.GraceEnds.Before(r.GraceEnds)) {
			r.GraceEnds = u.GraceEnds
		}
		if severity[u.Status] > severity[r.Status] {
			r.Status, r.Message = u.Status, u.message()
		}
		if !allowed && !counters[i].fits(b.limit, b.n, now) {
			r.Wait, r.Never = max(r.Wait, u.Resets.Sub(c.At)), r.Never || int64(b.n) > most(b.limit)
		}
	}
	if !allowed {
		r.refuse(c.N)
	}
	return r
}

// refuse says why a call was refused.
func (r *Report) refuse(n int) {
	if r.Status != Exceeded { // one request would fit, but not so many
		r.Message = fmt.Sprintf("%d requests at once are more than is left", n)
	}
	r.Status = Exceeded
}

func use(b bucket, c Counter, at time.Time) Use {
	start := time.UnixMilli(c.Start).UTC()
	u := Use{Type: b.ofType, Window: b.window, Limit: b.limit, Used: c.Count, Start: start, Resets: b.window.End(start), Status: OK}
	limit, now := int64(b.limit), at.UnixMilli()
	switch {
	case limit == 0:
	case c.Refused, c.Excess > 0 && now >= c.Excess+grace.Milliseconds():
		u.Status = Exceeded
	case c.Count >= limit:
		u.Status = SoftBlock
	case c.Count*5 >= limit*4:
		u.Status = Warning
	}
	if u.Status == SoftBlock || u.Status == Exceeded {
		// Before the first excess it is what the next request would have.
		ends := at
		if c.Excess > 0 {
			ends = time.UnixMilli(c.Excess)
		}
		if u.GraceEnds = ends.Add(grace).UTC(); u.GraceEnds.After(u.Resets) {
			u.GraceEnds = u.Resets
		}
	}
	return u
}

func (u Use) message() string {
	of := ""
	if u.Type != "" {
		of = " of the type " + u.Type
	}
	text := fmt.Sprintf("%d of %d requests%s used in this %s, which ends at %s", u.Used, u.Limit, of, u.Window, u.Resets.Format(time.RFC3339))
	switch u.Status {
	case SoftBlock:
		text += fmt.Sprintf("; up to %d are allowed until %s", most(u.Limit), u.GraceEnds.Format(time.RFC3339))
	case Exceeded:
		text += "; no more are allowed before"
	}
	return text
}
