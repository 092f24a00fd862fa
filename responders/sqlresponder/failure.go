package sqlresponder

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/responders"
)

// Codes of response.failed that this responder gives.
const (
	CodeTimeout       = "timeout"            // retryable: slower than the type's time limit
	CodeUnavailable   = "source_unavailable" // retryable: away, full, or at odds with a neighbour
	CodeUnknownSource = "unknown_source"     // final: the configuration names no such source
	CodeRefused       = "source_refused"     // final: the source's login is a superuser
	CodeBadParameter  = "bad_parameter"      // final: a value does not fit the statement
	CodeNotPermitted  = "not_permitted"      // final: the source's login may not read this, or it would write
	CodeBadStatement  = "bad_statement"      // final: the statement does not fit the source
	CodeFailed        = "statement_failed"   // final: anything else that the source refuses
)

var (
	errTimeout = responders.Failure{Code: CodeTimeout, Retryable: true,
		Text: "the source did not answer within the time limit"}
	errUnavailable = responders.Failure{Code: CodeUnavailable, Retryable: true,
		Text: "the source could not be reached or was too busy"}
	errUnknownSource = responders.Failure{Code: CodeUnknownSource,
		Text: "this request type is configured for a source that the response site does not have"}
	errRefused = responders.Failure{Code: CodeRefused,
		Text: "the response site refuses to use this request type's source as it is configured"}
	errBadParameter = responders.Failure{Code: CodeBadParameter,
		Text: "a parameter's value does not fit this request type's statement"}
	errNotPermitted = responders.Failure{Code: CodeNotPermitted,
		Text: "this request type's statement is not permitted at its source"}
	errBadStatement = responders.Failure{Code: CodeBadStatement,
		Text: "this request type's statement does not fit its source"}
	errFailed = responders.Failure{Code: CodeFailed,
		Text: "the source refused this request type's statement"}
)

// bySQLState maps the first two or all five characters of a SQLSTATE
// (PostgreSQL, appendix A) to a failure; five go before two.
func bySQLState(state string) responders.Failure {
	switch state {
	case "57014":
		return errTimeout
	case "42501", "25006":
		return errNotPermitted
	case "55P03", "57P01", "57P02", "57P03", "57P05":
		return errUnavailable
	}
	switch state[:min(2, len(state))] {
	case "08", "28", "3D", "40", "53", "58", "XX":
		return errUnavailable
	case "22":
		return errBadParameter
	case "0A", "42":
		return errBadStatement
	default:
		return errFailed
	}
}

// failure turns what went wrong on the way to a source into what may be told.
func failure(ctx context.Context, err error) *responders.Failure {
	var f responders.Failure
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, ErrSuperuser):
		f = errRefused
	case errors.As(err, &refused):
		f = bySQLState(refused.Code)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		f = errTimeout
	default:
		f = errUnavailable
	}
	f.Cause = err
	if errors.As(err, &refused) {
		// Its message may quote values and the statement.
		f.Cause = errors.New(reason(err))
	}
	return &f
}

// reason tells an operator why, without the server's own words.
func reason(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return "SQLSTATE " + refused.Code
	}
	return err.Error()
}
