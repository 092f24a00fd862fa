package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
)

// record is one job's view of the stream of its answer: what the domain
// decides on, and the version that an append expects.
type record struct {
	worker *worker
	job    *river.Job[answer]
	stream string

	state    domain.Response
	version  int64
	attempts int   // those that the stream knows of
	tries    int   // of them, those since a failure was last taken back
	failure  int64 // the position of its newest failure; 0: there is none
	people   people
	// noted is what comes before the outcome and is not stored yet: a failure
	// that is taken back, this attempt's beginning.
	noted []domain.Fact
	cause string // the event that led to all of it, if it is known
}

// errSuperseded rejects the outcome of a worker that was taken for dead: its
// job is another's now.
var errSuperseded = errors.New("the job was given to another worker meanwhile; nothing was stored")

// load reads the stream. A job's first attempt expects none and saves the
// trip: should that be wrong, the append says so.
func (r *record) load(ctx context.Context) error {
	if r.job.Attempt <= 1 && r.job.Args.Retry == nil && !r.job.Args.Again {
		return nil
	}
	return r.reload(ctx)
}

// reopen takes back the failure that the job's retry names. Another failure,
// or an answer, is the outcome of whoever was faster: [domain.ErrAnswered].
func (r *record) reopen() error {
	if again := r.job.Args.Retry; again != nil && again.Failure == r.failure {
		facts, err := r.state.Decide(domain.ResponseRetried{Reason: again.Reason})
		if err == nil {
			r.noted, r.cause = facts, again.Event
			return nil
		}
	}
	_, err := r.state.Decide(domain.ResponseStarted{})
	return err
}

func (r *record) reload(ctx context.Context) error {
	records, err := r.worker.Log.ReadStream(ctx, r.stream)
	if err != nil {
		return err
	}
	r.state, r.version, r.attempts, r.tries, r.failure, r.people = domain.Response{}, 0, 0, 0, 0, people{}
	for _, e := range records {
		r.apply(e)
	}
	if slices.ContainsFunc(records, handedOver) {
		r.people, err = withPeople(ctx, r.worker.Log, r.job.Args.Request)
	}
	return err
}

func (r *record) apply(e eventstore.Record) {
	r.state = r.state.Apply(e.Fact)
	r.version++
	r.tries = tries(r.tries, e.Fact)
	switch e.Fact.(type) {
	case domain.ResponseStarted:
		r.attempts++
	case domain.ResponseFailed:
		r.failure = e.Pos
	}
}

// begin notes that an attempt began. The next append stores it first.
func (r *record) begin(f domain.ResponseStarted) { r.noted = append(r.noted, f) }

// begun is how often the request's responder was asked since its last failure
// was taken back, as far as the log or this attempt knows. The job's own count
// is another: it has the times when a process died that only had it at hand, and
// lacks those when one was stopped in order. An attempt counts if both have it.
func (r *record) begun() int {
	n := r.tries
	for _, f := range r.noted {
		n = tries(n, f)
	}
	return n
}

// tries counts beginnings of the try that a fact belongs to.
func tries(n int, f domain.Fact) int {
	switch f.(type) {
	case domain.ResponseStarted:
		return n + 1
	case domain.ResponseRetried:
		return 0
	}
	return n
}

// maxConflicts bounds how often two workers on one request outrun each other.
const maxConflicts = 8

// append stores what was noted and the outcome, which may be nil, at the
// versions they were decided on, anew when another worker was faster. It
// returns [domain.ErrAnswered] when there is an outcome already. What the
// outcome means for the analysts is stored with it.
func (r *record) append(ctx context.Context, outcome domain.Fact) error {
	var conflict *eventstore.ConflictError
	for range maxConflicts {
		facts, work, err := r.decide(outcome)
		if err != nil || len(facts) == 0 {
			return err
		}
		err = r.store(ctx, facts, work, outcome != nil)
		if !errors.As(err, &conflict) {
			return err
		}
		if err := r.outrun(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("record %s: %w", r.stream, conflict)
}

// outrun looks at what another worker stored meanwhile. A failure that it took
// back is not taken back again.
func (r *record) outrun(ctx context.Context) error {
	if err := r.reload(ctx); err != nil {
		return err
	}
	noted := r.noted
	r.noted = nil
	if err := r.reopen(); err != nil {
		return err
	}
	for _, f := range noted {
		if _, retried := f.(domain.ResponseRetried); !retried {
			r.noted = append(r.noted, f)
		}
	}
	return nil
}

// decide asks the domain which facts follow, of the answer and of the work. None
// follow when the request is to lie with the analysts and does already.
func (r *record) decide(outcome domain.Fact) (facts, work []domain.Fact, err error) {
	if work, err = r.people.follow(outcome); err != nil {
		return nil, nil, err
	}
	todo := r.noted
	switch _, open := outcome.(domain.WorkOpened); {
	case open && len(work) == 0:
		return nil, nil, nil
	case outcome != nil && !open:
		todo = append(slices.Clip(todo), outcome)
	}
	state := r.state
	for _, f := range todo {
		decided, err := state.Decide(f)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range decided {
			state = state.Apply(d)
		}
		facts = append(facts, decided...)
	}
	return facts, work, nil
}

// store appends facts; with the last of them goes the job.
func (r *record) store(ctx context.Context, facts, work []domain.Fact, last bool) error {
	a := eventstore.Append{Actor: "site:" + r.worker.Log.Site(), Corr: r.job.Args.Request, Cause: r.cause,
		Writes: []eventstore.Write{{Stream: r.stream, Expected: eventstore.Version(r.version), Facts: facts}}}
	if len(work) > 0 {
		a.Writes = append(a.Writes, r.people.write(r.job.Args.Request, work))
	}
	if last {
		a.Also = r.complete()
	}
	stored, err := r.worker.Log.Append(ctx, a)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == codeSuperseded {
		return errSuperseded
	}
	if err != nil {
		return err
	}
	for _, e := range stored[:len(facts)] {
		r.apply(e)
	}
	r.noted = nil
	return nil
}

// answered records an answer. One that no log can hold is a final failure: the
// source would say the same again.
func (r *record) answered(ctx context.Context, outcome domain.ResponseRecorded) error {
	err := r.finish(ctx, outcome)
	if f := unfit(err); f != nil {
		return r.fail(ctx, f)
	}
	return err
}

// unfit is the failure of an answer that no log can hold; nil: it is another error.
func unfit(err error) *responders.Failure {
	var line *eventstore.LineError
	if !errors.As(err, &line) {
		return nil
	}
	return &responders.Failure{Code: CodeBadAnswer, Cause: line,
		Text: "the source's answer holds what cannot be carried: U+0000 in a text, a number beyond 1e308 or of more than 128 characters, or too much"}
}

// fail records a final failure, which err must be.
func (r *record) fail(ctx context.Context, err error) error {
	f := asFailure(err)
	attempts := r.attempts
	for _, noted := range r.noted {
		if _, begun := noted.(domain.ResponseStarted); begun {
			attempts++
		}
	}
	r.worker.Logger.WarnContext(ctx, "a request failed", slog.String("request", r.job.Args.Request),
		slog.String("code", f.Code), slog.Int("attempts", attempts), slog.String("cause", cause(f)))
	return r.finish(ctx, domain.ResponseFailed{Code: f.Code, Error: f.Text, Attempts: attempts})
}

// withdraw records that a cancelled request gets no answer, and why.
func (r *record) withdraw(ctx context.Context) error {
	outcome, cause, err := Withdrawal(ctx, r.worker.Log, r.job.Args.Request)
	if err != nil {
		return err
	}
	r.noted, r.cause = nil, cause
	if err := r.reload(ctx); err != nil {
		return err
	}
	return r.finish(ctx, outcome)
}

// Withdrawal is what is recorded of a request that was cancelled: why, and the
// event that says so.
func Withdrawal(ctx context.Context, log *eventstore.Store, request string) (outcome domain.ResponseWithdrawn, cause string, err error) {
	records, err := log.ReadStream(ctx, domain.RequestStream(request))
	for _, e := range records {
		if c, ok := e.Fact.(domain.RequestCancelled); ok {
			outcome.Reason, cause = c.Reason, e.ID
		}
	}
	return outcome, cause, err
}

// finish records the outcome, or that people see to it now, and completes the
// job in one transaction.
func (r *record) finish(ctx context.Context, outcome domain.Fact) error {
	err := r.append(ctx, outcome)
	if !errors.Is(err, errSuperseded) {
		return err
	}
	// Whoever has the job now finds the outcome or records one; returning
	// without error would complete the job under their hands.
	if err := r.reload(ctx); err != nil {
		return err
	}
	if _, decided := r.state.Decide(outcome); decided != nil {
		return decided
	}
	return err
}

// codeSuperseded is what complete_jobs raises, see its migration. The library's
// own JobCompleteTx would not notice that the job was rescued and is running
// again.
const codeSuperseded = "SP002"

func (r *record) complete() *eventstore.Statement {
	return &eventstore.Statement{SQL: `SELECT complete_jobs($1::text[]::bigint[], $2::text[]::int[])`,
		Args: []string{strconv.FormatInt(r.job.ID, 10), strconv.Itoa(r.job.Attempt)}}
}
