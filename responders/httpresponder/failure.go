package httpresponder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"

	"sallyport/internal/reach"
	"sallyport/responders"
)

// Codes of response.failed that this responder gives.
const (
	CodeTimeout       = "timeout"            // retryable: slower than the type's time limit
	CodeUnavailable   = "source_unavailable" // retryable: away, or 408, 425, 429, 502, 503, 504
	CodeUnknownSource = "unknown_source"     // final: the configuration names no such service
	CodeRefused       = "source_refused"     // final: an address or a certificate that is not admitted
	CodeBadCall       = "bad_call"           // final: the type's templates are not usable
	CodeBadParameter  = "bad_parameter"      // final: a value does not fit its place, or 400, 422
	CodeNotPermitted  = "not_permitted"      // final: 401, 403, 407
	CodeNotFound      = "not_found"          // final: 404, 410
	CodeFailed        = "service_failed"     // final: any other status, redirects too
	CodeBadAnswer     = "bad_answer"         // final: no JSON, or without the place of the result
	CodeTooLarge      = "too_large"          // final: more than may be read, or one value above the limit
)

var (
	errTimeout = responders.Failure{Code: CodeTimeout, Retryable: true,
		Text: "the service did not answer within the time limit"}
	errUnavailable = responders.Failure{Code: CodeUnavailable, Retryable: true,
		Text: "the service could not be reached or was too busy"}
	errUnknownSource = responders.Failure{Code: CodeUnknownSource,
		Text: "this request type is configured for a service that the response site does not have"}
	errRefused = responders.Failure{Code: CodeRefused,
		Text: "the response site refuses to use this request type's service as it is configured"}
	errBadCall = responders.Failure{Code: CodeBadCall,
		Text: "this request type's call is not usable"}
	errBadParameter = responders.Failure{Code: CodeBadParameter,
		Text: "a parameter's value does not fit what is asked of the service"}
	errNotPermitted = responders.Failure{Code: CodeNotPermitted,
		Text: "the service does not permit what this request type asks"}
	errNotFound = responders.Failure{Code: CodeNotFound,
		Text: "the service has nothing by these parameters"}
	errFailed = responders.Failure{Code: CodeFailed,
		Text: "the service did not do what this request type asks"}
	errBadAnswer = responders.Failure{Code: CodeBadAnswer,
		Text: "the service's answer is not what this request type expects"}
	errTooLarge = responders.Failure{Code: CodeTooLarge,
		Text: "the service's answer is larger than an answer may be: ask for less, or have this request type's call return less"}
)

// byStatus maps a status that is no success.
func byStatus(status int) *responders.Failure {
	cause := fmt.Errorf("the service answered with the status %d", status)
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errUnavailable.By(cause)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return errBadParameter.By(cause)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return errNotPermitted.By(cause)
	case http.StatusNotFound, http.StatusGone:
		return errNotFound.By(cause)
	default:
		return errFailed.By(cause)
	}
}

// byError maps what went wrong on the way. The library's own words hold the URL,
// and with it parameters, or quote what the service sent: only those of the
// network are kept.
func byError(ctx context.Context, err error) *responders.Failure {
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errTimeout.By(nil)
	case ctx.Err() != nil:
		return errUnavailable.By(ctx.Err())
	case errors.Is(err, reach.ErrAddress):
		return errRefused.By(errors.New("the service's address is not public and in no network that `allow` of its configuration names"))
	case errors.As(err, &certificate), errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)):
		return errRefused.By(errors.New("the service's certificate is not one that the configuration believes"))
	case errors.As(err, &network):
		return errUnavailable.By(network)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout.By(nil)
	default:
		return errUnavailable.By(errors.New("the connection broke, or the service does not speak HTTP"))
	}
}
