package ratelimit

import (
	"time"

	"sallyport/domain"
)

// Ask is what one call wants counted.
type Ask struct {
	User   string // the id
	At     time.Time
	N      int           // requests
	Limits domain.Limits // of all types together
	Types  []OfType      // the types that have limits of their own, each once
}

// OfType is the part of a call that is of one request type.
type OfType struct {
	Name   string
	N      int
	Limits domain.Limits
}

// bucket is one window that a call is counted in.
type bucket struct {
	field  string // its name in the user's hash
	ofType string
	window Window
	limit  int // 0: none
	n      int
}

// buckets lists the four windows of all types, so that a limit that comes
// later counts what was before, and of single types those with a limit.
func (a Ask) buckets() []bucket {
	all := make([]bucket, 0, len(Windows)*(1+len(a.Types)))
	for _, w := range Windows {
		all = append(all, bucket{field: w.String(), window: w, limit: w.Of(a.Limits), n: a.N})
	}
	for _, t := range a.Types {
		for _, w := range Windows {
			if limit := w.Of(t.Limits); limit > 0 {
				all = append(all, bucket{field: t.Name + "/" + w.String(), ofType: t.Name, window: w, limit: limit, n: t.N})
			}
		}
	}
	return all
}

// grace is how long a window may be exceeded at all.
const grace = 5 * time.Minute

// Counter is how far a window has been used. Times are in milliseconds since
// 1970, as Redis counts with them.
type Counter struct {
	Start   int64 // when the window began
	Count   int64
	Excess  int64 // when a request first exceeded the limit; 0: none has
	Refused bool  // a request was refused since
}

// from returns the counter as it is in the window that begins at start. A
// window that another process saw begin, whose clock is ahead, is the present
// one.
func (c Counter) from(start int64, b bucket, now int64) Counter {
	if c.Start < start {
		return Counter{Start: start}
	}
	if b.limit == 0 || c.Count <= int64(b.limit) {
		c.Excess = 0
	}
	c.Refused = c.Refused && !c.fits(b.limit, 1, now)
	return c
}

// fits reports whether n more are within the limit, or within its grace.
func (c Counter) fits(limit, n int, now int64) bool {
	after := c.Count + int64(n)
	if limit == 0 || after <= int64(limit) {
		return true
	}
	return after <= most(limit) && (c.Excess == 0 || now < c.Excess+grace.Milliseconds())
}

// most is ⌊1.1 × limit⌋.
func most(limit int) int64 { return int64(limit) + int64(limit)/10 }
