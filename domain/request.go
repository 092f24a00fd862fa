package domain

import (
	"encoding/json"
	"regexp"
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

// RequestKeyClaimed reserves a user's idempotency key for one submission.
type RequestKeyClaimed struct {
	Request string `json:"request"`
	Body    string `json:"body"` // SHA-256 of what was submitted, in hex
}

// RequestCancelled ends a request that was not answered yet.
type RequestCancelled struct {
	Reason string `json:"reason"`
}

// RequestRetried asks again for what failed.
type RequestRetried struct {
	Reason string `json:"reason"`
	// Failure is the position of the response.failed that is not accepted, in
	// the log of the site that answered. A later failure is another one.
	Failure int64 `json:"failure"`
}

// maxIdempotencyKey bounds an idempotency key, in bytes.
const maxIdempotencyKey = 255

var idempotencyKey = regexp.MustCompile(`^[ -~]{1,255}$`)

// EventType implements [Fact].
func (RequestSubmitted) EventType() string { return "request.submitted" }

// EventType implements [Fact].
func (RequestCancelled) EventType() string { return "request.cancelled" }

// EventType implements [Fact].
func (RequestRetried) EventType() string { return "request.retried" }

// EventType implements [Fact].
func (RequestNameClaimed) EventType() string { return "requestname.claimed" }

// EventType implements [Fact].
func (RequestKeyClaimed) EventType() string { return "requestkey.claimed" }

// Request is a request that does not exist yet. Its id is new whenever one is
// submitted, so no earlier fact bears on it.
type Request struct{}

// SubmitRequest asks for a new request.
type SubmitRequest struct {
	Type     RequestTypeDefined
	Rights   Rights // the user's
	User     string
	Name     string // empty: none
	Priority *int   // nil: the user's
	Params   json.RawMessage
	// IdempotencyKey is 1 to 255 printable ASCII characters;
	// empty: none.
	IdempotencyKey string
	// ParamErrors is what the type's JSON Schema found wrong with Params.
	ParamErrors []FieldError
}

// ErrIdempotencyKey is the refusal of what cannot be an idempotency key.
var ErrIdempotencyKey = refuse(Invalid, "invalid-idempotency-key",
	"the Idempotency-Key must be 1 to %d printable ASCII characters; nothing was stored", maxIdempotencyKey)

// Decide returns the facts that submitting leads to: the user must have a
// right to the type, the parameters must satisfy its schema, and the priority
// may be lowered but not raised above the user's.
func (Request) Decide(c SubmitRequest) ([]Fact, error) {
	if err := c.Rights.MayUse(c.Type.Name, c.Type.Public); err != nil {
		return nil, err
	}
	if c.IdempotencyKey != "" && !idempotencyKey.MatchString(c.IdempotencyKey) {
		return nil, ErrIdempotencyKey
	}
	highest := c.Rights.Priority()
	priority := highest
	if c.Priority != nil {
		priority = *c.Priority
	}
	f := fieldErrors(slices.Clip(c.ParamErrors)) // appending must not write into the command
	f.text("/name", c.Name, 0, 200)
	f.bounded(priority >= MinPriority && priority <= highest, "/priority", FieldRange,
		MinPriority, highest, "must be %d to %d: it may be lowered, not raised")
	if err := f.err("request"); err != nil {
		return nil, err
	}
	return []Fact{RequestSubmitted{Type: c.Type.Name, TypeVersion: c.Type.Version, Params: c.Params,
		Name: c.Name, Priority: priority, User: c.User, IdempotencyKey: c.IdempotencyKey}}, nil
}
