package queue

import (
	"context"
	"errors"
	"time"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
	"sallyport/schema"
)

// CodeManual is the failure of trying out what a person answers.
const CodeManual = "manual"

// Tried is what a request would be answered.
type Tried struct {
	Answer     responders.Answer
	Failure    *responders.Failure // nil: there is an answer
	Responder  domain.ResponderKind
	MaxResults int // that it was held to; 0: nothing was asked
	Took       time.Duration
}

// Holds returns what tells whether a log would hold an answer.
func Holds(log *eventstore.Store) func(domain.ResponseRecorded) error {
	const none = "00000000-0000-7000-8000-000000000000" // in place of a request's id
	return func(f domain.ResponseRecorded) error {
		return log.Check(eventstore.Append{Actor: "site:" + log.Site(), Corr: none, Writes: []eventstore.Write{{
			Stream: domain.ResponseStream(none), Facts: []domain.Fact{f}}}})
	}
}

// Try asks what a request would be answered now, by the same rules and within
// the same limits, also those of the log that would hold the answer. It tries once
// and records nothing.
func Try(ctx context.Context, holds func(domain.ResponseRecorded) error, c Case, known map[domain.ResponderKind]Responder, cache *schema.ParameterCache) Tried {
	var out Tried
	if c.Config != nil {
		out.Responder = c.Config.Kind
	}
	a, err := admit(c, known, cache)
	switch {
	case err != nil:
		out.Failure = asFailure(err)
		return out
	case out.Responder == domain.ResponderManual:
		out.Failure = &responders.Failure{Code: CodeManual, Text: "a person answers this request type: there is nothing to ask"}
		return out
	}
	began := time.Now()
	got := (&worker{}).respond(ctx, a)
	out.Took, out.MaxResults = time.Since(began), a.question.MaxResults
	if got.err != nil {
		out.Failure = asFailure(got.err)
		return out
	}
	err = holds(a.recorded(got))
	switch f := unfit(err); {
	case f != nil:
		f.Cause = errors.Unwrap(f.Cause) // without the stream, which is none
		out.Failure = f
	case err != nil:
		out.Failure = asFailure(err)
	default:
		out.Answer = got.answer
	}
	return out
}
