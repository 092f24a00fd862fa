package manual

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders/queue"
)

// papers are what lies on the desk about one request: the streams of the work
// and of the answer, each as of the version that an append expects.
type papers struct {
	request       string
	work          domain.Work
	workVersion   eventstore.Version
	openedAt      time.Time
	answer        domain.Response
	answerVersion eventstore.Version
	outcome       domain.Status // of the answer, if it has one
	cause         string        // the event that ends the work from outside, if it is known
}

// read takes versions from the newest events: a site that came back from a
// backup may lack some, and has lost what was only here.
func (d *Desk) read(ctx context.Context, request string) (*papers, error) {
	p := &papers{request: request}
	work, err := d.Log.ReadStream(ctx, domain.WorkStream(request))
	if err != nil {
		return nil, err
	}
	for _, e := range work {
		p.work, p.workVersion = p.work.Apply(e.Fact), eventstore.Version(e.Ver)
		if _, opened := e.Fact.(domain.WorkOpened); opened {
			p.openedAt = e.At
		}
	}
	answer, err := d.Log.ReadStream(ctx, domain.ResponseStream(request))
	if err != nil {
		return nil, err
	}
	for _, e := range answer {
		p.answer, p.answerVersion, p.outcome = p.answer.Apply(e.Fact), eventstore.Version(e.Ver), domain.AnswerStatus(e.Fact)
	}
	return p, nil
}

// maxConflicts bounds how often two who see to one request outrun each other.
const maxConflicts = 8

// act decides about the work and its answer, and stores both together, anew when
// somebody else was faster. The outcome may be nil, and is asked for only when the
// rules let the command pass.
func (d *Desk) act(ctx context.Context, by Analyst, request string,
	command func(*papers) domain.WorkCommand, outcome func(*papers) (domain.Fact, error)) (int64, error) {
	var conflict *eventstore.ConflictError
	for range maxConflicts {
		p, err := d.read(ctx, request)
		if err != nil {
			return 0, err
		}
		actor := "site:" + d.Log.Site()
		writes, over, err := d.over(ctx, p)
		if err == nil && !over {
			actor = by.Actor
			writes, err = p.decide(command(p), outcome)
		}
		if err != nil {
			return 0, err
		}
		stored, err := d.Log.Append(ctx, eventstore.Append{Actor: actor, Corr: by.Corr, Cause: p.cause, Writes: writes})
		switch {
		case errors.As(err, &conflict), err == nil && over:
			continue // somebody was faster, or it is over now: the rules will say so
		case err != nil:
			return 0, err
		}
		return stored[len(stored)-1].Seq, nil
	}
	return 0, fmt.Errorf("see to the work on request %s: %w", request, conflict)
}

// decide returns what a command leads to.
func (p *papers) decide(command domain.WorkCommand, outcome func(*papers) (domain.Fact, error)) ([]eventstore.Write, error) {
	work, err := p.work.Decide(command)
	if err != nil || outcome == nil {
		return p.writes(work, nil), err
	}
	o, err := outcome(p)
	if err != nil {
		return nil, err
	}
	facts, err := p.answer.Decide(o)
	return p.writes(work, facts), err
}

func (p *papers) writes(work, answer []domain.Fact) []eventstore.Write {
	writes := []eventstore.Write{{Stream: domain.WorkStream(p.request), Expected: p.workVersion, Facts: work}}
	if len(answer) > 0 {
		writes = append(writes, eventstore.Write{Stream: domain.ResponseStream(p.request), Expected: p.answerVersion, Facts: answer})
	}
	return writes
}

// over looks whether open work has become pointless, and returns what ends it:
// the request was cancelled, the one who asked may have no answer any more, or
// there is an outcome already, as after a restore.
func (d *Desk) over(ctx context.Context, p *papers) (writes []eventstore.Write, over bool, err error) {
	if !p.work.Open() {
		return nil, false, nil
	}
	c, err := d.Cases.Case(ctx, p.request)
	if err != nil {
		return nil, false, fmt.Errorf("look up request %s: %w", p.request, err)
	}
	status, outcome := p.outcome, domain.Fact(nil)
	switch refused := c.Refused(); {
	case status == domain.StatusAnswered, status == domain.StatusFailed, status == domain.StatusWithdrawn:
	case c.Cancelled:
		status = domain.StatusWithdrawn
		if outcome, p.cause, err = queue.Withdrawal(ctx, d.Log, p.request); err != nil {
			return nil, false, err
		}
	case refused != nil:
		status = domain.StatusFailed
		outcome = domain.ResponseFailed{Code: refused.Code, Error: refused.Text, Attempts: p.answer.Attempts()}
	default:
		return nil, false, nil
	}
	work, err := p.work.Decide(domain.EndWork{Outcome: status})
	if err != nil || outcome == nil {
		return p.writes(work, nil), true, err
	}
	facts, err := p.answer.Decide(outcome)
	return p.writes(work, facts), true, err
}
