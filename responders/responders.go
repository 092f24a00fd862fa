// Package responders says what answers a request and what an answer is; the
// folders below hold the responders and the work queue that runs them.
//
//	queue ── Question ──▶ responder ──▶ Answer
//	  │                       └───────▶ *Failure (final, or worth another attempt)
//	  └─ response.started · response.recorded | response.failed ──▶ the log
//
// # What every responder promises
//
//   - It changes nothing at its source.
//   - It ends soon after its context does, and within its configured time.
//   - It never returns more rows or bytes than the question allows; what it
//     left out it says ([Answer.Truncated]).
//   - Equal questions to an unchanged source have equal answers.
//   - A [Failure]'s text may be shown to the one who asked: it holds no
//     address, no login, no statement and nothing of what the source said.
//
// A responder may be asked the same question several times, also at once: the
// queue runs it at least once and records exactly one outcome.
package responders

import (
	"encoding/json"

	"sallyport/domain"
)

// Question is one request as a responder sees it.
type Question struct {
	// Type and Version are the request type's, as it was asked by.
	Type    string
	Version int
	// Params is a JSON object that satisfies the request type's schema.
	Params json.RawMessage
	Config domain.ResponderConfigured
	// MaxResults bounds the rows of the answer, from 1.
	MaxResults int
	// Indices are what a search may read of its configuration's indices, see
	// [domain.NarrowIndices]; nil: all.
	Indices []string
	// MaxBytes bounds [Answer.Result], from 2.
	MaxBytes int
}

// Answer is what goes back to the one who asked.
type Answer struct {
	Result      json.RawMessage // one JSON value, valid UTF-8
	Count       int             // rows in Result
	Truncated   bool            // a limit cut the result
	ContentType string          // such as `application/json`
	Cached      bool            // it was there already, and no source was asked
}

// Failure is why there is no answer.
type Failure struct {
	// Code is stable, such as `timeout`; it becomes response.failed's code.
	Code string
	// Text is for the one who asked.
	Text string
	// Retryable says that another attempt may go better.
	Retryable bool
	// Cause is for the log of the site that holds the source, and goes nowhere
	// else. May be nil.
	Cause error
}

// Error returns what may be shown; the cause is not part of it.
func (f *Failure) Error() string { return f.Code + ": " + f.Text }

// By returns the failure with its cause, for a responder that has all its
// failures ready.
func (f Failure) By(cause error) *Failure {
	f.Cause = cause
	return &f
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// ConfigError says why a configuration cannot answer a request type. It is for
// the administrator who wrote it and may quote it.
type ConfigError struct {
	Detail string
}

func (e *ConfigError) Error() string { return e.Detail }
