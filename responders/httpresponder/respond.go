package httpresponder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"sallyport/domain"
	"sallyport/responders"
	"sallyport/responders/template"
)

const (
	contentType = "application/json"
	// maxRead bounds what is read of an answer, unpacked.
	maxRead = 20 << 20
	// hardLimit is when a call ends at the latest.
	hardLimit = domain.MaxTimeoutMS * time.Millisecond
)

// Respond answers one question. Every error is a [*responders.Failure].
func (r *Responder) Respond(ctx context.Context, q responders.Question) (responders.Answer, error) {
	s, ok := r.services[q.Config.Source]
	if !ok {
		return responders.Answer{}, errUnknownSource.By(nil)
	}
	c, err := compile(q.Config.Call)
	if err != nil {
		return responders.Answer{}, errBadCall.By(err)
	}
	v, err := template.ReadValues(q.Params)
	if err != nil {
		return responders.Answer{}, errBadParameter.By(err)
	}
	ctx, cancel := context.WithTimeout(ctx, q.Config.TimeLimit())
	defer cancel()
	body, f := s.ask(ctx, c, v)
	if f != nil {
		return responders.Answer{}, f
	}
	a, f := result(body, *c.of, q.MaxResults, q.MaxBytes)
	if f != nil {
		return responders.Answer{}, f
	}
	return a, nil
}

// ask calls the service, and once more if it asks for patience and there is time
// for it.
func (s *service) ask(ctx context.Context, c *call, v template.Values) ([]byte, *responders.Failure) {
	body, wait, f := s.call(ctx, c, v)
	deadline, _ := ctx.Deadline()
	if f == nil || wait == 0 || time.Until(deadline) <= wait {
		return body, f
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, byError(ctx, ctx.Err())
	case <-timer.C:
	}
	body, _, f = s.call(ctx, c, v)
	return body, f
}

// call returns the body of a success, or a failure and how long the service
// wants to be left alone; 0: it does not say.
func (s *service) call(ctx context.Context, c *call, v template.Values) ([]byte, time.Duration, *responders.Failure) {
	request, err := c.request(ctx, s, v)
	var wrong *template.ValueError
	switch {
	case errors.As(err, &wrong):
		return nil, 0, errBadParameter.By(wrong)
	case err != nil:
		return nil, 0, errBadCall.By(errors.New("the bound templates make no call"))
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, 0, byError(ctx, err)
	}
	defer answer.Body.Close() //nolint:errcheck // what was needed was read
	if answer.StatusCode/100 != 2 {
		return nil, patience(answer), byStatus(answer.StatusCode)
	}
	if answer.StatusCode == http.StatusNoContent {
		return []byte("null"), 0, nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxRead+1))
	switch {
	case err != nil:
		return nil, 0, byError(ctx, err)
	case len(body) > maxRead:
		return nil, 0, errTooLarge.By(fmt.Errorf("the service answered with more than %d MiB", maxRead>>20))
	}
	return body, 0, nil
}

// patience is how long a service that is too busy wants to be left alone, at
// least a moment, as Retry-After says (RFC 9110, 10.2.3).
func patience(answer *http.Response) time.Duration {
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	text := answer.Header.Get("Retry-After")
	if text == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 16); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	} else {
		return 0
	}
	return max(wait, time.Millisecond)
}
