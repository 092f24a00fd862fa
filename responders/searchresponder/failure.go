package searchresponder

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sallyport/responders"
)

// Codes of response.failed that this responder gives.
const (
	CodeTimeout       = "timeout"            // retryable: slower than the type's time limit
	CodeUnavailable   = "source_unavailable" // retryable: away, too busy, or some of its shards are
	CodeUnknownSource = "unknown_source"     // final: the configuration names no such source
	CodeBadParameter  = "bad_parameter"      // final: a value does not fit its place
	CodeNotPermitted  = "not_permitted"      // final: the grant leaves no index, or the source's login may not read it
	CodeBadQuery      = "bad_query"          // final: the query or an index does not fit the source
	CodeTooLarge      = "too_large"          // final: not even an answer without rows has room
	CodeFailed        = "search_failed"      // final: anything else that the source says
)

var (
	errTimeout = responders.Failure{Code: CodeTimeout, Retryable: true,
		Text: "the source did not answer within the time limit"}
	errUnavailable = responders.Failure{Code: CodeUnavailable, Retryable: true,
		Text: "the source could not be reached, was too busy or could not search everything"}
	errUnknownSource = responders.Failure{Code: CodeUnknownSource,
		Text: "this request type is configured for a source that the response site does not have"}
	errBadParameter = responders.Failure{Code: CodeBadParameter,
		Text: "the parameters do not fit this request type's query"}
	errNoIndex = responders.Failure{Code: CodeNotPermitted,
		Text: "none of what this request type searches is granted to this user"}
	errNotPermitted = responders.Failure{Code: CodeNotPermitted,
		Text: "this request type's query is not permitted at its source"}
	errBadQuery = responders.Failure{Code: CodeBadQuery,
		Text: "the source refused this request type's query or a parameter's value in it"}
	errBadTemplate = responders.Failure{Code: CodeBadQuery,
		Text: "this request type's query is not one that the response site runs"}
	errTooLarge = responders.Failure{Code: CodeTooLarge,
		Text: "the source's answer is larger than an answer may be: ask for less, or have this request type's query return less by its size, its _source or its aggregations"}
	errFailed = responders.Failure{Code: CodeFailed,
		Text: "the source gave an answer that is none"}
)

// byStatus maps an HTTP status other than 200 to a failure.
func byStatus(status int) responders.Failure {
	switch status {
	case http.StatusForbidden:
		return errNotPermitted
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		return errBadQuery
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errUnavailable
	default:
		return errFailed
	}
}

// StatusError is an engine's refusal. Its text names the kinds of error that
// the engine gave, and not the reasons: those may quote values.
type StatusError struct {
	Status int
	Kinds  []string
	reason string // for the eyes of who wrote the template
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d %v", e.Status, e.Kinds) }

var (
	errEndedEarly = errors.New("the engine ended the search early")
	errShards     = errors.New("shards failed")
	errTooLong    = errors.New("the engine's answer has no end")
	errNoRoom     = errors.New("aggregations, or one row, are larger than a whole answer may be")
)

// failure turns what went wrong on the way to a source into what may be told.
func failure(ctx context.Context, err error) *responders.Failure {
	var status *StatusError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, errEndedEarly):
		return errTimeout.By(err)
	case errors.As(err, &status):
		return byStatus(status.Status).By(err)
	case errors.Is(err, errTooLong), errors.Is(err, errNoRoom):
		return errTooLarge.By(err)
	case errors.Is(err, errUnreadable):
		return errFailed.By(err)
	default:
		return errUnavailable.By(err)
	}
}
