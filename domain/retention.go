package domain

import "time"

// RetentionApplied says that a site cleared its read models of requests that
// were finished for long. Their events stay.
type RetentionApplied struct {
	// Before is when they must have been finished, by the site's own clock.
	Before Timestamp `json:"before"`
	// Log is the site that answers, and Through the position of its log up to
	// which an outcome was cleared away. They follow from Before, and say the same
	// whenever and wherever the event is read.
	Log     string `json:"log"`
	Through int64  `json:"through"`
}

// EventType implements [Fact].
func (RetentionApplied) EventType() string { return "retention.applied" }

// MinRetention is the shortest time for which a finished request is kept.
const MinRetention = time.Minute

// Retention is what a site has cleared away so far. The zero value is nothing.
type Retention struct {
	log     string
	through int64
}

// RetainedSoFar returns the state that a read model has kept.
func RetainedSoFar(log string, through int64) Retention { return Retention{log, through} }

// ApplyRetention clears away what was finished before a time.
type ApplyRetention struct {
	Before  time.Time
	Now     time.Time
	Log     string // the site that answers
	Through int64  // the last outcome in its log that is old enough; 0: there is none
}

// Decide returns the facts that clearing away leads to: none if nothing is old
// enough that was not cleared away before.
func (r Retention) Decide(c ApplyRetention) ([]Fact, error) {
	if c.Now.Sub(c.Before) < MinRetention {
		return nil, refuse(Invalid, "retention-too-short", "finished requests are kept for at least %s; nothing was cleared away", MinRetention)
	}
	if c.Through <= 0 || c.Log == r.log && c.Through <= r.through {
		return nil, nil
	}
	return []Fact{RetentionApplied{Before: Timestamp(c.Before.UTC().Truncate(time.Microsecond)), Log: c.Log, Through: c.Through}}, nil
}

// Apply returns the state after a fact of the site's own.
func (r Retention) Apply(f Fact) Retention {
	if f, ok := f.(RetentionApplied); ok {
		r.log, r.through = f.Log, f.Through
	}
	return r
}
