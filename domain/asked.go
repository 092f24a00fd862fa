package domain

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

// StatusWithdrawn is the state of an answer whose request was cancelled before
// there was one. The request itself is then cancelled.
const StatusWithdrawn Status = "withdrawn"

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

// Asked is the state of a request that exists: a function of the set of its
// own events and of those of its answer, which come from two sites and meet
// in any order. The zero value is one of which nothing but its submission is
// known.
//
//	cancelled, or withdrawn    stands for ever
//	answered                   stands against every failure and attempt
//	failed                     until a retry names that failure
//	processing, pending        the rest
type Asked struct {
	cancelled bool
	retried   int64  // the newest failure that a retry named
	answer    Status // pending, processing, answered, failed or withdrawn; empty: pending
	pos       int64  // of the event that says so
}

// AskedSoFar returns the state that a read model has kept: whether the request
// was cancelled, the newest failure that a retry named, and what the answer's
// events lead to at which of their positions.
func AskedSoFar(cancelled bool, retried int64, answer Status, pos int64) Asked {
	return Asked{cancelled: cancelled, retried: retried, answer: answer, pos: pos}
}

// Apply returns the state after a fact at a position of the log that it comes
// from. The order in which facts are applied does not matter.
func (a Asked) Apply(f Fact, pos int64) Asked {
	switch f := f.(type) {
	case RequestCancelled:
		a.cancelled = true
	case RequestRetried:
		a.retried = max(a.retried, f.Failure)
	default:
		if s := AnswerStatus(f); s != "" && s.Supersedes(pos, a.answer, a.pos) {
			a.answer, a.pos = s, pos
		}
	}
	return a
}

// AnswerStatus is the state of an answer after one of its own facts alone;
// empty for a fact of anything else.
func AnswerStatus(f Fact) Status {
	switch f.(type) {
	case ResponseStarted:
		return StatusProcessing
	case ResponseRetried:
		return StatusPending
	case ResponseFailed:
		return StatusFailed
	case ResponseWithdrawn:
		return StatusWithdrawn
	case ResponseRecorded:
		return StatusAnswered
	}
	return ""
}

// Supersedes reports whether this state of an answer, reached at a position of
// the answering site's log, counts rather than another. The newest does, but
// for those that nothing follows by the rules: should a faulty peer send more,
// an answer stands, and a withdrawal stands against all but an answer.
func (s Status) Supersedes(pos int64, before Status, beforePos int64) bool {
	if a, b := s.rank(), before.rank(); a != b {
		return a > b
	}
	return pos > beforePos
}

func (s Status) rank() int {
	switch s {
	case StatusAnswered:
		return 2
	case StatusWithdrawn:
		return 1
	default:
		return 0
	}
}

// Status returns the state as the submitter sees it, but for how far it has
// crossed, see [Status.CrossingStatus].
func (a Asked) Status() Status {
	switch {
	case a.cancelled, a.answer == StatusWithdrawn:
		return StatusCancelled
	case a.answer == "", a.answer == StatusFailed && a.retried >= a.pos:
		return StatusPending
	default:
		return a.answer
	}
}

const maxRequestReason = 500

// Decide returns the facts that cancelling ([RequestCancelled]) or asking again
// ([RequestRetried]) leads to. Cancelled and answered are final; only what
// failed can be asked again, and the fact names that failure.
func (a Asked) Decide(command Fact) ([]Fact, error) {
	var f fieldErrors
	switch c := command.(type) {
	case RequestCancelled:
		if err := a.open("cancelled"); err != nil {
			return nil, err
		}
		f.text("/reason", c.Reason, 0, maxRequestReason)
		return []Fact{c}, f.err("reason")
	case RequestRetried:
		if err := a.open("asked again"); err != nil {
			return nil, err
		}
		if a.Status() != StatusFailed {
			return nil, refuse(Conflict, "not-failed", "only a request that failed can be asked again, this one is %s; nothing was changed", a.Status())
		}
		f.text("/reason", c.Reason, 0, maxRequestReason)
		c.Failure = a.pos
		return []Fact{c}, f.err("reason")
	}
	return nil, refuse(Invalid, "unknown-command", "a request cannot be told %s", command.EventType())
}

// open refuses what comes too late.
func (a Asked) open(what string) error {
	switch a.Status() {
	case StatusCancelled:
		return refuse(Conflict, "already-cancelled", "this request was cancelled, which is final: it cannot be %s; nothing was changed", what)
	case StatusAnswered:
		return refuse(Conflict, "already-answered", "this request was answered, which is final: it cannot be %s; nothing was changed", what)
	}
	return nil
}
