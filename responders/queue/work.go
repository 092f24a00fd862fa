package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
)

// worker answers one job at a time, several at once.
type worker struct {
	river.WorkerDefaults[answer]
	Config
	id    string
	lanes lanes
	watch *watch
}

// busyWait is how long a job waits when it is the log that has no time; such
// a wait counts as no attempt.
const busyWait = 2 * time.Second

// Work implements river.Worker. Its error means another attempt; a request
// whose outcome is recorded, by whomever, is done.
func (w *worker) Work(ctx context.Context, job *river.Job[answer]) error {
	r := &record{worker: w, job: job, stream: domain.ResponseStream(job.Args.Request)}
	err := w.answer(ctx, r)
	switch {
	case err == nil, errors.Is(err, domain.ErrAnswered):
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // being stopped: the library gives the job back
	case errors.As(err, new(*rivertype.JobSnoozeError)):
		return err
	case busy(err):
		return river.JobSnooze(busyWait)
	}
	w.Logger.WarnContext(ctx, "a request will be tried again", slog.String("request", job.Args.Request),
		slog.Int("attempt", job.Attempt), slog.String("error", err.Error()), slog.String("cause", cause(err)))
	return shown(err)
}

// shown is what the queue keeps of an error, for those who look at it: what
// the one who asked may see too, or that there is more in the site's own log.
func shown(err error) error {
	var f *responders.Failure
	if errors.As(err, &f) {
		return f
	}
	return errors.New("internal: the log or the read models could not be asked; the site's own log says more")
}

// FailureCode is the code of what the queue keeps of an error.
func FailureCode(kept string) string {
	code, _, _ := strings.Cut(kept, ": ")
	if strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "" // the library's own words
	}
	return code
}

// answer takes the steps of the package's picture.
func (w *worker) answer(ctx context.Context, r *record) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.reopen(); err != nil {
		return err
	}
	if min(r.job.Attempt-1, r.begun()) >= w.MaxAttempts {
		return r.fail(ctx, &responders.Failure{Code: CodeExhausted,
			Text: fmt.Sprintf("the request could not be answered in %d attempts", w.MaxAttempts)})
	}
	known, err := w.Cases.Case(ctx, r.job.Args.Request)
	if err != nil {
		return fmt.Errorf("look up request %s: %w", r.job.Args.Request, err)
	}
	if known.Cancelled {
		return r.withdraw(ctx)
	}
	a, err := admit(known, w.Responders, w.Parameters)
	if err != nil {
		return r.fail(ctx, err)
	}
	if a.question.Config.Kind == domain.ResponderManual {
		return r.handOver(ctx, known)
	}
	r.begin(domain.ResponseStarted{Responder: a.question.Config.Kind, Worker: w.id})
	got, err := w.inTurn(ctx, r, a)
	var f *responders.Failure
	switch {
	case errors.Is(err, errCancelled):
		return r.withdraw(ctx)
	case errors.As(err, &f):
		return w.failed(ctx, r, f)
	case err != nil:
		return err
	}
	return r.answered(ctx, a.recorded(got))
}

// recorded is what the log says of an answer.
func (a assignment) recorded(got asked) domain.ResponseRecorded {
	return domain.ResponseRecorded{Status: domain.StatusAnswered, Result: got.answer.Result,
		ResultCount: got.answer.Count, TookMS: got.took.Milliseconds(), Truncated: got.answer.Truncated,
		Responder: a.question.Config.Kind, Cached: got.answer.Cached, ContentType: got.answer.ContentType}
}

// inTurn asks when the source has a turn for it, or has the job moved to the
// source's own queue. What is kept waits for no turn; what another asks just now
// does: else all who ask the same of a slow source would keep the others waiting.
func (w *worker) inTurn(ctx context.Context, r *record, a assignment) (asked, error) {
	lane := w.lanes.to(a.question.Config)
	if !lane.free() {
		if known, ok := w.Known(ctx, a.question); ok {
			return asked{answer: known}, nil
		}
		if turn, err := lane.enter(ctx, r.job.Queue); err != nil {
			return asked{}, err
		} else if !turn {
			return asked{}, w.moveOver(ctx, r.job, lane)
		}
	}
	defer lane.leave() // recording needs no turn
	return w.ask(ctx, r, a)
}

// failed records a failure unless another attempt is due.
func (w *worker) failed(ctx context.Context, r *record, f *responders.Failure) error {
	if ctx.Err() != nil {
		return f
	}
	if f.Retryable && min(r.job.Attempt, r.begun()) < w.MaxAttempts {
		r.noted = append(r.noted, domain.ResponseRetryScheduled{Error: f.Error(),
			NextAt: domain.Timestamp(backoff{first: w.Backoff}.NextRetry(r.job.JobRow).UTC().Truncate(time.Microsecond))})
		if err := r.append(ctx, nil); err != nil {
			return err
		}
		return f
	}
	return r.fail(ctx, f)
}

// startedAfter is how long an answer may take before the beginning is stored
// by itself. A quicker answer is stored together with its beginning, which
// halves what most requests cost.
const startedAfter = 50 * time.Millisecond

// asked is what became of a question.
type asked struct {
	answer responders.Answer
	took   time.Duration
	err    error // a *responders.Failure
}

// ask runs the responder and stores the beginning if it takes long, from when
// on it is stopped if its request is cancelled: then the error is errCancelled.
// After a first attempt the beginning is stored before: the question may be one
// that costs a process its life, and shall not do so for ever. It returns when
// the responder has. Its error is else a [*responders.Failure], or the log's.
func (w *worker) ask(ctx context.Context, r *record, a assignment) (asked, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.job.Attempt > 1 {
		if err := r.append(ctx, nil); err != nil {
			return asked{}, err
		}
	}
	done := make(chan asked, 1)
	go func() { done <- w.respond(ctx, a) }()
	slow := time.NewTimer(startedAfter)
	defer slow.Stop()
	select {
	case got := <-done:
		return got, got.err
	case <-slow.C:
	}
	defer w.watch.over(r.job.Args.Request, cancel)()
	if err := r.append(ctx, nil); err != nil {
		cancel(nil)
		<-done
		return asked{}, err
	}
	got := <-done
	if got.err != nil && errors.Is(context.Cause(ctx), errCancelled) {
		return asked{}, errCancelled
	}
	return got, got.err
}

// timeLimitGrace is what a responder may take above its type's time limit: it
// knows best how to end in time.
const timeLimitGrace = 5 * time.Second

// errOverdue ends a question whose responder does not end it in time.
var errOverdue = &responders.Failure{Code: "timeout", Text: "the source did not answer within the time limit", Retryable: true}

// respond asks, within the type's time limit. A panic becomes a failure: it
// must not cost the other requests their process.
func (w *worker) respond(ctx context.Context, a assignment) (got asked) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.question.Config.TimeLimit()+timeLimitGrace, errOverdue)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			got.err = asFailure(fmt.Errorf("the responder panicked: %v\n%s", p, debug.Stack()))
		}
	}()
	began := time.Now()
	answer, err := a.responder.Respond(ctx, a.question)
	switch {
	case err == nil:
		return asked{answer: answer, took: time.Since(began)}
	case errors.Is(context.Cause(ctx), errOverdue):
		return asked{err: errOverdue}
	}
	return asked{err: asFailure(err)}
}

// busy tells the log's trouble from the request's own.
func busy(err error) bool {
	var connect *pgconn.ConnectError
	var readOnly *eventstore.ReadOnlyError
	return errors.Is(err, eventstore.ErrOverloaded) || errors.Is(err, eventstore.ErrClosed) ||
		errors.Is(err, eventstore.ErrUnknown) || errors.As(err, &connect) || errors.As(err, &readOnly)
}

// cause is what only this site may know of an error.
func cause(err error) string {
	var f *responders.Failure
	if errors.As(err, &f) && f.Cause != nil {
		return f.Cause.Error()
	}
	return ""
}
