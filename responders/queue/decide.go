package queue

import (
	"errors"
	"fmt"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/schema"
)

// Codes of response.failed that the queue itself gives; a responder's own
// come on top of them.
const (
	CodeUserInactive  = "user_inactive"
	CodeNotAllowed    = "not_allowed"
	CodeUnknownType   = "unknown_type"
	CodeInvalidParams = "invalid_params"
	CodeNoResponder   = "no_responder"
	CodeBadAnswer     = "bad_answer"         // the log cannot hold what the source said
	CodeInternal      = "internal"           // the responder broke
	CodeExhausted     = "attempts_exhausted" // the worker died each time
)

// maxResultBytes keeps the line of a response.recorded below the 16 MiB that
// bundle format 1 allows it, with room for its envelope.
const maxResultBytes = 15 << 20

// assignment is a case that may be answered.
type assignment struct {
	responder Responder
	question  responders.Question
}

// Refused says why the one who asked may have no answer, by what holds now; nil:
// they may.
func (c Case) Refused() *responders.Failure {
	switch {
	case !c.Active:
		return &responders.Failure{Code: CodeUserInactive, Text: "the user who asked is not active on the response site"}
	case c.Type == nil:
		return &responders.Failure{Code: CodeUnknownType, Text: "the response site knows no such request type"}
	}
	if ruling := c.Rights.Rule(c.Type.Name, c.Type.Public); !ruling.Allowed {
		return &responders.Failure{Code: CodeNotAllowed, Text: ruling.Detail}
	}
	return nil
}

// admit decides whether a request is answered at all, by what holds now. The
// error is a final [*responders.Failure].
func admit(c Case, known map[domain.ResponderKind]Responder, cache *schema.ParameterCache) (assignment, error) {
	if refused := c.Refused(); refused != nil {
		return assignment{}, refused
	}
	if c.Asked == nil {
		return refuse(CodeUnknownType, fmt.Sprintf("the response site knows no version %d of this request type", c.Request.TypeVersion))
	}
	// The parameters are what that version asks for: a type that changed while
	// the request was on its way makes nothing of it wrong.
	parameters, err := cache.Get(c.Asked.Name, c.Asked.Version, c.Asked.Parameters)
	if err != nil {
		return refuse(CodeUnknownType, "the request type's schema is not usable on the response site")
	}
	if wrong := parameters.Check(c.Request.Params, "/params"); len(wrong) > 0 {
		return refuse(CodeInvalidParams, wrong[0].Pointer+" "+wrong[0].Detail)
	}
	if c.Config == nil || known[c.Config.Kind] == nil && c.Config.Kind != domain.ResponderManual {
		return refuse(CodeNoResponder, "nothing is configured to answer this request type")
	}
	return assignment{responder: known[c.Config.Kind], question: responders.Question{Type: c.Asked.Name, Version: c.Asked.Version,
		Params: c.Request.Params, Config: *c.Config, MaxResults: c.Rights.MaxResults(*c.Type), Indices: c.Rights.Indices(c.Type.Name), MaxBytes: maxResultBytes}}, nil
}

func refuse(code, text string) (assignment, error) {
	return assignment{}, &responders.Failure{Code: code, Text: text}
}

// asFailure turns any error of a responder into one that may be told.
func asFailure(err error) *responders.Failure {
	var f *responders.Failure
	if errors.As(err, &f) {
		return f
	}
	return &responders.Failure{Code: CodeInternal, Text: "the responder failed unexpectedly", Retryable: true, Cause: err}
}
