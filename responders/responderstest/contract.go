package responderstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/domain"
	"sallyport/responders"
)

// Responder is what the suite tries.
type Responder interface {
	Respond(ctx context.Context, q responders.Question) (responders.Answer, error)
}

// Harness is one responder with a source of its own, made for one test.
// Everything is required unless it says otherwise. Limits of its questions that
// are 0 are filled in generously.
type Harness struct {
	Responder Responder
	// Many has an answer of exactly Rows rows, at least 5, of more than one byte
	// each.
	Many responders.Question
	Rows int
	// RowsOf takes an answer's rows out of it; nil: it is an array of them.
	RowsOf func(result json.RawMessage) ([]json.RawMessage, error)
	// Slow has no answer for at least 20 seconds.
	Slow responders.Question
	// Failures are questions that fail, by what is wrong with them: at least one
	// that is worth another attempt and one that is not. What would write at the
	// source belongs here.
	Failures map[string]Failing
	// Secrets stand in passwords, parameters or what the source says; nothing
	// that a failure holds may show them.
	Secrets []string
	// Internals are addresses, logins, statements; the one who asked must not see
	// them, the log of the site that holds the source may.
	Internals []string
	// State tells how the source is now, by what a write could change.
	State func(t *testing.T) string
}

// Failing is a question and the failure that it leads to.
type Failing struct {
	Question  responders.Question
	Code      string
	Retryable bool
}

const (
	// soon is how long a question may go on after it was ended, on a busy machine.
	soon = 5 * time.Second
	// shortly is when a running question is ended.
	shortly = 50 * time.Millisecond
	// askers ask the same at once.
	askers = 8
)

// Run holds a responder to what package responders promises.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Rows < 5 || len(h.Secrets) == 0 || len(h.Internals) == 0 {
		t.Fatal("the harness has nothing to try")
	}
	before := h.State(t)
	t.Run("contract", func(t *testing.T) {
		for name, try := range map[string]func(Harness, *testing.T){
			"rows are limited":              Harness.rowsAreLimited,
			"bytes are limited":             Harness.bytesAreLimited,
			"cancelled before":              Harness.cancelledBefore,
			"cancelled while it asks":       Harness.cancelledWhileAsking,
			"time is limited":               Harness.timeIsLimited,
			"equal questions at once":       Harness.equalAtOnce,
			"failures":                      Harness.failures,
			"a source that is not there":    Harness.unknownSource,
			"parameters that are no object": Harness.noObject,
		} {
			t.Run(name, func(t *testing.T) { t.Parallel(); try(h, t) })
		}
	})
	if after := h.State(t); after != before {
		t.Errorf("the source was changed from\n%s\nto\n%s", before, after)
	}
}

// filled is a question with generous limits where it has none.
func filled(q responders.Question) responders.Question {
	if q.Params == nil {
		q.Params = json.RawMessage(`{}`)
	}
	if q.MaxResults == 0 {
		q.MaxResults = domain.MaxResultsBound
	}
	if q.MaxBytes == 0 {
		q.MaxBytes = 1 << 20
	}
	if q.Config.TimeoutMS == 0 {
		q.Config.TimeoutMS = domain.MaxTimeoutMS
	}
	return q
}

// ask returns an answer that holds what it says of itself, with its rows.
func (h Harness) ask(t *testing.T, q responders.Question) (responders.Answer, []json.RawMessage) {
	t.Helper()
	a, err := h.Responder.Respond(t.Context(), q)
	if err != nil {
		t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
	rows, err := h.rows(a.Result)
	if err != nil {
		t.Fatalf("the result is not read: %v: %s", err, a.Result)
	}
	if a.Count != len(rows) || len(rows) > q.MaxResults || len(a.Result) > q.MaxBytes || a.ContentType == "" {
		t.Fatalf("count %d, %d rows of at most %d, %d bytes of at most %d, content type %q",
			a.Count, len(rows), q.MaxResults, len(a.Result), q.MaxBytes, a.ContentType)
	}
	return a, rows
}

func (h Harness) rows(result json.RawMessage) (rows []json.RawMessage, err error) {
	if h.RowsOf != nil {
		return h.RowsOf(result)
	}
	err = json.Unmarshal(result, &rows)
	return rows, err
}

// all asks for everything.
func (h Harness) all(t *testing.T) (responders.Answer, []json.RawMessage) {
	t.Helper()
	a, rows := h.ask(t, filled(h.Many))
	if len(rows) != h.Rows || a.Truncated {
		t.Fatalf("%d rows, truncated %t; want all %d", len(rows), a.Truncated, h.Rows)
	}
	return a, rows
}

func (h Harness) rowsAreLimited(t *testing.T) {
	_, all := h.all(t)
	for _, limit := range []int{1, h.Rows - 1, h.Rows, h.Rows + 1} {
		q := filled(h.Many)
		q.MaxResults = limit
		a, rows := h.ask(t, q)
		if want := min(limit, h.Rows); len(rows) != want || a.Truncated != (limit < h.Rows) {
			t.Errorf("limit %d: %d rows, truncated %t; want %d of %d", limit, len(rows), a.Truncated, want, h.Rows)
		}
		begins(t, all, rows)
	}
}

// begins holds that what a limit left is the beginning of all.
func begins(t *testing.T, all, rows []json.RawMessage) {
	t.Helper()
	for i, row := range rows {
		if !bytes.Equal(row, all[i]) {
			t.Fatalf("row %d is %s and was %s without a limit", i, row, all[i])
		}
	}
}

func (h Harness) bytesAreLimited(t *testing.T) {
	a, all := h.all(t)
	for _, limit := range []int{len(a.Result) + 1, len(a.Result), len(a.Result) - 1, len(a.Result) / 2} {
		q := filled(h.Many)
		q.MaxBytes = limit
		got, rows := h.ask(t, q)
		if whole := limit >= len(a.Result); got.Truncated == whole || (len(rows) == len(all)) != whole || len(rows) == 0 {
			t.Errorf("%d of %d bytes: %d of %d rows, truncated %t", limit, len(a.Result), len(rows), len(all), got.Truncated)
		}
		begins(t, all, rows)
	}
	q := filled(h.Many)
	q.MaxBytes = 2
	none, err := h.Responder.Respond(t.Context(), q)
	if f := new(responders.Failure); errors.As(err, &f) && f.Retryable || err == nil && (len(none.Result) > 2 || !none.Truncated) {
		t.Errorf("room for 2 bytes: %s, truncated %t, %v", none.Result, none.Truncated, err)
	}
}

func (h Harness) cancelledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ends(ctx, t, filled(h.Slow))
}

func (h Harness) cancelledWhileAsking(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(shortly, cancel).Stop()
	h.ends(ctx, t, filled(h.Slow))
}

func (h Harness) timeIsLimited(t *testing.T) {
	q := filled(h.Slow)
	q.Config.TimeoutMS = int(shortly.Milliseconds())
	h.tells(t, h.ended(t.Context(), t, q), Failing{Code: "timeout", Retryable: true})
}

// ends holds that a slow question ends as a failure, long before it would.
func (h Harness) ends(ctx context.Context, t *testing.T, q responders.Question) {
	t.Helper()
	if err := h.ended(ctx, t, q); !errors.As(err, new(*responders.Failure)) {
		t.Errorf("%v (%T) is no failure", err, err)
	}
}

func (h Harness) ended(ctx context.Context, t *testing.T, q responders.Question) error {
	t.Helper()
	began := time.Now()
	a, err := h.Responder.Respond(ctx, q)
	if err == nil {
		t.Fatalf("answered: %s", a.Result)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("went on for %s", took)
	}
	h.hides(t, err)
	return err
}

func (h Harness) equalAtOnce(t *testing.T) {
	want, _ := h.all(t)
	var asking sync.WaitGroup
	for range askers {
		asking.Go(func() {
			got, err := h.Responder.Respond(t.Context(), filled(h.Many))
			if err != nil || !bytes.Equal(got.Result, want.Result) || got.Count != want.Count || got.ContentType != want.ContentType {
				t.Errorf("got %s (%v), want %s", got.Result, err, want.Result)
			}
		})
	}
	asking.Wait()
}

func (h Harness) failures(t *testing.T) {
	kinds := map[bool]int{}
	for name, c := range h.Failures {
		kinds[c.Retryable]++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h.fails(t, filled(c.Question), c)
		})
	}
	if kinds[true] == 0 || kinds[false] == 0 {
		t.Errorf("%d failures are worth another attempt, %d are not: the harness needs some of both", kinds[true], kinds[false])
	}
}

func (h Harness) unknownSource(t *testing.T) {
	q := filled(h.Many)
	q.Config.Source = "no-such-source"
	h.fails(t, q, Failing{Code: "unknown_source"})
}

func (h Harness) noObject(t *testing.T) {
	for _, params := range []string{h.Secrets[0], `["` + h.Secrets[0] + `"]`, `{"a":` + h.Secrets[0], ``} {
		q := filled(h.Many)
		q.Params = json.RawMessage(params)
		h.fails(t, q, Failing{Code: "bad_parameter"})
	}
}

func (h Harness) fails(t *testing.T, q responders.Question, want Failing) {
	t.Helper()
	a, err := h.Responder.Respond(t.Context(), q)
	if err == nil {
		t.Fatalf("answered: %s", a.Result)
	}
	h.tells(t, err, want)
	h.hides(t, err)
}

func (h Harness) tells(t *testing.T, err error, want Failing) {
	t.Helper()
	var f *responders.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v (%T) is no failure", err, err)
	}
	if f.Code != want.Code || f.Retryable != want.Retryable || f.Text == "" {
		t.Errorf("got %s, retryable %t, %q (%v); want %s, %t", f.Code, f.Retryable, f.Text, f.Cause, want.Code, want.Retryable)
	}
}

// hides holds that a failure shows no secret, and the one who asked nothing of
// the inside.
func (h Harness) hides(t *testing.T, err error) {
	t.Helper()
	for _, secret := range h.Secrets {
		for _, told := range []string{err.Error(), fmt.Sprint(errors.Unwrap(err))} {
			if strings.Contains(told, secret) {
				t.Errorf("%q tells the secret %q", told, secret)
			}
		}
	}
	for _, inside := range h.Internals {
		if strings.Contains(err.Error(), inside) {
			t.Errorf("%q tells %q", err, inside)
		}
	}
}
