package domain

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// ResponderKind names what answers a request type.
type ResponderKind string

// ResponderSQL answers by one statement on a PostgreSQL source.
const ResponderSQL ResponderKind = "sql"

var (
	responderKinds = []ResponderKind{ResponderSQL, ResponderElasticsearch, ResponderHTTP, ResponderManual}
	// sourceKinds ask a data source by themselves.
	sourceKinds = []ResponderKind{ResponderSQL, ResponderElasticsearch, ResponderHTTP}
)

// ResponderConfigured says how a request type is answered. It stays on the
// response site: what it holds is nobody else's business. Each member but kind
// belongs to some kinds; one of another kind is refused.
type ResponderConfigured struct {
	Kind ResponderKind `json:"kind"`
	// Source names a data source or a service of the site's configuration; where that is and
	// how to log in there is never part of an event.
	Source string `json:"source,omitempty"`
	// Statement is the one SQL statement this type may run; parameters stand in
	// it as @name.
	Statement string `json:"statement,omitempty"`
	// TimeoutMS is the time limit of one question in milliseconds, up to 30,000.
	TimeoutMS int `json:"timeout_ms,omitempty"`
	// CacheSeconds is how long an answer also answers who asks the same, up to
	// a day; 0: not at all; absent: [DefaultCacheSeconds].
	CacheSeconds *int `json:"cache_seconds,omitempty"`
	// Search is what is searched for, of the kind elasticsearch.
	Search *SearchQuery `json:"search,omitempty"`
	// Call is what is asked of a service, of the kind http.
	Call *ServiceCall `json:"call,omitempty"`
	// Task is what a person is to do, of the kind manual.
	Task *ManualTask `json:"task,omitempty"`
}

// CacheFor is how long an answer also answers who asks the same.
func (c ResponderConfigured) CacheFor() time.Duration {
	if c.CacheSeconds == nil {
		return DefaultCacheSeconds * time.Second
	}
	return time.Duration(*c.CacheSeconds) * time.Second
}

// TimeLimit is how long a question may take. It is never more than the rules
// allow: the log may hold a configuration from before they were narrowed.
func (c ResponderConfigured) TimeLimit() time.Duration {
	ms := c.TimeoutMS
	if ms <= 0 || ms > MaxTimeoutMS {
		ms = MaxTimeoutMS
	}
	return time.Duration(ms) * time.Millisecond
}

// Description tells in words what answers, and from where.
func (c ResponderConfigured) Description() string {
	switch {
	case c.Kind == ResponderManual:
		return "a person"
	case c.Source != "":
		return string(c.Kind) + " from the source " + c.Source
	}
	return string(c.Kind)
}

// EventType implements [Fact].
func (ResponderConfigured) EventType() string { return "responder.configured" }

// ResponderDisabled ends how a request type is answered: until it is configured
// again, what is asked by it fails.
type ResponderDisabled struct{}

// EventType implements [Fact].
func (ResponderDisabled) EventType() string { return "responder.disabled" }

// ResponderConfig is the state that the rules about responders need. The zero
// value is a type that nothing answers.
type ResponderConfig struct {
	now *ResponderConfigured // nil: nothing answers
}

// Now returns how the type is answered; nil: by nothing.
func (r ResponderConfig) Now() *ResponderConfigured { return r.now }

// Bounds and defaults of a responder's configuration.
const (
	DefaultTimeoutMS    = 10_000
	MaxTimeoutMS        = 30_000
	DefaultCacheSeconds = 300
	maxCacheSeconds     = 24 * 60 * 60
	maxStatement        = 16 << 10
	oneStatement        = "must be one SQL statement of at most 16 KiB"
)

// ResponderCommand is what may be asked of a responder's configuration:
// [ResponderConfigured], which is its own command, and [DisableResponder].
type ResponderCommand interface {
	decide(r ResponderConfig) ([]Fact, error)
}

// Decide returns the facts that a command leads to. A later configuration
// replaces an earlier one as a whole. No facts mean that the type is answered
// so already.
func (r ResponderConfig) Decide(c ResponderCommand) ([]Fact, error) { return c.decide(r) }

func (c ResponderConfigured) decide(r ResponderConfig) ([]Fact, error) {
	if c.TimeoutMS == 0 && c.asksSource() {
		c.TimeoutMS = DefaultTimeoutMS
	}
	if c.Kind == ResponderManual && c.Task == nil {
		c.Task = &ManualTask{}
	}
	c.Call, c.Task = c.Call.filled(), c.Task.filled()
	var f fieldErrors
	c.check(&f)
	if err := f.err("responder"); err != nil {
		return nil, err
	}
	if r.now != nil {
		if same, err := equal(c, *r.now); same || err != nil {
			return nil, err
		}
	}
	return []Fact{c}, nil
}

// asksSource reports whether the kind asks a data source by itself.
func (c ResponderConfigured) asksSource() bool { return slices.Contains(sourceKinds, c.Kind) }

// check names all that is wrong: what a kind lacks, and what another's it has.
func (c ResponderConfigured) check(f *fieldErrors) {
	if !slices.Contains(responderKinds, c.Kind) {
		f.require(false, "/kind", FieldNotOneOf, "must be one of %v", responderKinds)
		return
	}
	for _, m := range c.members() {
		f.require(!m.given || slices.Contains(m.of, c.Kind), m.pointer, FieldUnwanted, "has no meaning for the kind %s", c.Kind)
	}
	if c.asksSource() {
		f.require(ValidSlug(c.Source), "/source", FieldNotFound, "must name a data source of this site's configuration")
		f.within("/timeout_ms", c.TimeoutMS, 1, MaxTimeoutMS)
		if c.CacheSeconds != nil {
			f.within("/cache_seconds", *c.CacheSeconds, 0, maxCacheSeconds)
		}
	}
	if c.Kind == ResponderSQL {
		f.require(c.Statement != "", "/statement", FieldRequired, oneStatement)
		f.require(len(c.Statement) <= maxStatement, "/statement", FieldTooLarge, oneStatement)
		f.require(!strings.ContainsRune(c.Statement, 0), "/statement", FieldCharacters, "must not hold the character U+0000")
	}
	if c.Kind == ResponderElasticsearch {
		c.Search.check(f)
	}
	if c.Kind == ResponderHTTP {
		c.Call.check(f)
	}
	if c.Kind == ResponderManual {
		c.Task.check(f)
	}
}

// member is one part of a configuration and the kinds that have it.
type member struct {
	pointer string
	given   bool
	of      []ResponderKind
}

func (c ResponderConfigured) members() []member {
	return []member{
		{"/source", c.Source != "", sourceKinds},
		{"/timeout_ms", c.TimeoutMS != 0, sourceKinds},
		{"/cache_seconds", c.CacheSeconds != nil, sourceKinds},
		{"/statement", c.Statement != "", []ResponderKind{ResponderSQL}},
		{"/search", c.Search != nil, []ResponderKind{ResponderElasticsearch}},
		{"/call", c.Call != nil, []ResponderKind{ResponderHTTP}},
		{"/task", c.Task != nil, []ResponderKind{ResponderManual}},
	}
}

// DisableResponder asks that nothing answer a request type any more.
type DisableResponder struct{ RequestType string }

func (c DisableResponder) decide(r ResponderConfig) ([]Fact, error) {
	if r.now == nil {
		return nil, refuse(NotFound, "no-responder", "nothing is configured to answer the request type %q; nothing was stored", c.RequestType)
	}
	return []Fact{ResponderDisabled{}}, nil
}

// equal reports whether two facts are the same data.
func equal(a, b Fact) (bool, error) {
	one, err := Encode(a)
	if err != nil {
		return false, err
	}
	other, err := Encode(b)
	return bytes.Equal(one, other), err
}

// Apply returns the state after a fact.
func (r ResponderConfig) Apply(f Fact) ResponderConfig {
	switch f := f.(type) {
	case ResponderConfigured:
		r.now = &f
	case ResponderDisabled:
		r.now = nil
	}
	return r
}
