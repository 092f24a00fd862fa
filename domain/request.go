package domain

import (
	"encoding/json"
	"slices"
)

// RequestSubmitted begins a request.
type RequestSubmitted struct {
	Type        string          `json:"type"`
	TypeVersion int             `json:"type_version"`
	Params      json.RawMessage `json:"params"`
	Name        string          `json:"name,omitempty"`
	Priority    int             `json:"priority"`
	User        string          `json:"user"`
	// IdempotencyKey is the client's own mark of this submission, if it gave one.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// RequestNameClaimed reserves a request's name for its user.
type RequestNameClaimed struct {
	Request string `json:"request"`
}

// EventType implements [Fact].
func (RequestSubmitted) EventType() string { return "request.submitted" }

// EventType implements [Fact].
func (RequestNameClaimed) EventType() string { return "requestname.claimed" }

// Request is the state that the rules about requests need. The zero value is
// a request that does not exist yet.
type Request struct {
	exists bool
}

// SubmitRequest asks for a new request.
type SubmitRequest struct {
	Type     RequestTypeDefined
	Profile  ProfileDefined
	User     string
	Name     string // empty: none
	Priority int    // 0: the profile's
	Params   json.RawMessage
	// ParamErrors is what the type's JSON Schema found wrong with Params.
	ParamErrors []FieldError
}

// Decide returns the facts that submitting leads to: the profile must allow
// the type, the parameters must satisfy its schema, and the priority may be
// lowered but not raised above the profile's.
func (r Request) Decide(c SubmitRequest) ([]Fact, error) {
	if r.exists {
		return nil, refuse(Conflict, "request-exists", "this request was submitted already")
	}
	if err := c.Profile.MayUse(c.Type.Name, c.Type.Public); err != nil {
		return nil, err
	}
	priority := c.Priority
	if priority == 0 {
		priority = c.Profile.Priority
	}
	f := fieldErrors(slices.Clip(c.ParamErrors)) // appending must not write into the command
	f.require(validText(c.Name, 200), "/name", "must be at most 200 characters of text")
	f.require(priority >= MinPriority && priority <= c.Profile.Priority, "/priority",
		"must be 1 to %d: it may be lowered, not raised", c.Profile.Priority)
	if err := f.err("request"); err != nil {
		return nil, err
	}
	return []Fact{RequestSubmitted{Type: c.Type.Name, TypeVersion: c.Type.Version, Params: c.Params,
		Name: c.Name, Priority: priority, User: c.User}}, nil
}

// Apply returns the state after a fact.
func (r Request) Apply(f Fact) Request {
	if _, ok := f.(RequestSubmitted); ok {
		r.exists = true
	}
	return r
}

// Status is the state of a request as its submitter sees it.
type Status string

// The states of a request. Exported and delivered follow from the link's
// cursors, the others from the set of the request's and response's events.
const (
	StatusPending    Status = "pending"
	StatusExported   Status = "exported"
	StatusDelivered  Status = "delivered"
	StatusProcessing Status = "processing"
	StatusAnswered   Status = "answered"
	StatusFailed     Status = "failed"
	StatusCancelled  Status = "cancelled"
)

// CrossingStatus refines pending by how far the request's position has got:
// carried away by a bundle, or acknowledged by the other side.
func (s Status) CrossingStatus(position, exportedThrough, ackedThrough int64) Status {
	switch {
	case s != StatusPending:
		return s
	case position <= ackedThrough:
		return StatusDelivered
	case position <= exportedThrough:
		return StatusExported
	default:
		return StatusPending
	}
}
