package domain

// RetryAnswer takes a failure back by a person's decision.
type RetryAnswer struct{ Reason string }

// CancelAnswer ends a request by a person's decision: there will be no answer.
type CancelAnswer struct{ Reason string }

// CodeCancelledByAdmin is the code of a failure that a person decided.
const CodeCancelledByAdmin = "cancelled_by_admin"

// ErrUnanswered is the refusal to take back a failure that there is not yet.
var ErrUnanswered = refuse(Conflict, "not-failed", "this request has not failed: it is still to be answered; nothing was changed")

// Overrule returns the facts that a decision of who sees to the queue leads to.
// Whatever the workers do at the same moment, one outcome stands.
func (r Response) Overrule(command any) ([]Fact, error) {
	if r.cancelled {
		return nil, refuse(Conflict, "already-cancelled", "this request was cancelled by the one who asked, which is final; nothing was changed")
	}
	var f fieldErrors
	switch c := command.(type) {
	case RetryAnswer:
		f.text("/reason", c.Reason, 0, maxRequestReason)
		switch {
		case r.failed:
			return []Fact{ResponseRetried(c)}, f.err("reason")
		case r.finished:
			return nil, ErrAnswered
		}
		return nil, ErrUnanswered
	case CancelAnswer:
		f.text("/reason", c.Reason, 0, maxRequestReason)
		switch {
		case r.failed:
			return nil, refuse(Conflict, "already-failed", "this request failed already; nothing was changed")
		case r.finished:
			return nil, ErrAnswered
		}
		why := "the people of the response site ended this request"
		if c.Reason != "" {
			why += ": " + c.Reason
		}
		return []Fact{ResponseFailed{Code: CodeCancelledByAdmin, Error: shortText(why, maxErrorText), Attempts: r.attempts}}, f.err("reason")
	}
	return nil, refuse(Invalid, "unknown-command", "an answer cannot be told %T", command)
}
