package domain

import "slices"

// ResponderKind names what answers a request type.
type ResponderKind string

// ResponderSQL answers by one statement on a PostgreSQL source.
const ResponderSQL ResponderKind = "sql"

var responderKinds = []ResponderKind{ResponderSQL}

// ResponderConfigured says how a request type is answered. It stays on the
// response site: what it holds is nobody else's business.
type ResponderConfigured struct {
	Kind ResponderKind `json:"kind"`
	// Source names a data source of the site's configuration; where that is and
	// how to log in there is never part of an event.
	Source string `json:"source"`
	// Statement is the one SQL statement this type may run; parameters stand in
	// it as @name.
	Statement string `json:"statement"`
	// TimeoutMS is the statement's time limit in milliseconds, up to 30,000.
	TimeoutMS int `json:"timeout_ms"`
}

// EventType implements [Fact].
func (ResponderConfigured) EventType() string { return "responder.configured" }

// ResponderConfig is the state that the rules about responders need.
type ResponderConfig struct{}

// Bounds and default of a responder's time limit, in milliseconds.
const (
	DefaultTimeoutMS = 10_000
	MaxTimeoutMS     = 30_000
	maxStatement     = 16 << 10
)

// Decide returns the facts that configuring a responder leads to. A later
// configuration replaces an earlier one as a whole.
func (ResponderConfig) Decide(c ResponderConfigured) ([]Fact, error) {
	if c.TimeoutMS == 0 {
		c.TimeoutMS = DefaultTimeoutMS
	}
	var f fieldErrors
	f.require(slices.Contains(responderKinds, c.Kind), "/kind", "must be one of %v", responderKinds)
	f.require(ValidSlug(c.Source), "/source", "must name a data source of this site's configuration")
	f.require(c.Statement != "" && len(c.Statement) <= maxStatement, "/statement", "must be one SQL statement of at most 16 KiB")
	f.require(c.TimeoutMS > 0 && c.TimeoutMS <= MaxTimeoutMS, "/timeout_ms", "must be 1 to %d", MaxTimeoutMS)
	if err := f.err("responder"); err != nil {
		return nil, err
	}
	return []Fact{c}, nil
}

// Apply returns the state after a fact.
func (r ResponderConfig) Apply(Fact) ResponderConfig { return r }
