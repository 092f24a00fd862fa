package manual

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders/queue"
	"sallyport/schema"
)

// Cases looks up what is known about a request, as [queue.Cases] does.
type Cases interface {
	Case(ctx context.Context, request string) (queue.Case, error)
}

// Config is what a desk works on. Log and Cases are required.
type Config struct {
	Log   *eventstore.Store
	Cases Cases
	Now   func() time.Time // by which claims end; nil: time.Now
}

// Desk is where analysts take work and hand in answers. It is safe for
// concurrent use and keeps nothing in memory.
type Desk struct{ Config }

// New returns the desk of a response site.
func New(c Config) *Desk {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Desk{c}
}

// Analyst is who does something.
type Analyst struct {
	Actor string // `user-<id>` or `cli:<os user>`
	Corr  string // the id of the HTTP request or command; empty: the event's own
}

// Claim takes work for as long as its task says, or prolongs the analyst's own
// claim. Like all that follow, it returns this site's order of what was stored.
func (d *Desk) Claim(ctx context.Context, by Analyst, request string) (seq int64, err error) {
	return d.act(ctx, by, request, func(p *papers) domain.WorkCommand {
		return domain.ClaimWork{By: by.Actor, Now: d.Now(), For: time.Duration(p.work.Task().ClaimMinutes) * time.Minute}
	}, nil)
}

// Release hands work back, and why. With others, the claim of somebody else may
// be ended.
func (d *Desk) Release(ctx context.Context, by Analyst, request, reason string, others bool) (seq int64, err error) {
	return d.act(ctx, by, request, func(*papers) domain.WorkCommand {
		return domain.ReleaseWork{By: by.Actor, Now: d.Now(), Others: others, Reason: reason}
	}, nil)
}

// Answer is what an analyst hands in: one of the two.
type Answer struct {
	Result json.RawMessage // any JSON value; nil: none
	File   *domain.AnswerFile
}

// Answer records the answer, which must be as the task demands, and closes the
// work.
func (d *Desk) Answer(ctx context.Context, by Analyst, request string, in Answer) (seq int64, err error) {
	return d.act(ctx, by, request, func(*papers) domain.WorkCommand {
		return domain.CloseWork{By: by.Actor, Now: d.Now(), Outcome: domain.StatusAnswered}
	}, func(p *papers) (domain.Fact, error) {
		given := domain.WorkAnswer{Result: in.Result, File: in.File}
		if in.Result != nil {
			s, err := schema.CompileResult(p.work.Task().ResultSchema)
			if err != nil {
				return nil, fmt.Errorf("the result schema of request %s: %w", request, err)
			}
			given.ResultErrors = s.Check(in.Result, "/result")
		}
		recorded, err := given.Recorded()
		recorded.TookMS = max(d.Now().Sub(p.openedAt).Milliseconds(), 0)
		return recorded, err
	})
}

// Fail records that there will be no answer, and why, and closes the work. The
// reason is told to the one who asked.
func (d *Desk) Fail(ctx context.Context, by Analyst, request, reason string) (seq int64, err error) {
	return d.act(ctx, by, request, func(*papers) domain.WorkCommand {
		return domain.CloseWork{By: by.Actor, Now: d.Now(), Outcome: domain.StatusFailed}
	}, func(p *papers) (domain.Fact, error) {
		failed, err := domain.FailWork(reason)
		failed.Attempts = p.answer.Attempts()
		return failed, err
	})
}
