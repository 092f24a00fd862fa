package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"sallyport/domain"
	"sallyport/eventstore"
)

// record is one job's view of the stream of its answer: what the domain
// decides on, and the version that an append expects.
type record struct {
	worker *worker
	job    *river.Job[answer]
	stream string

	state    domain.Response
	version  int64
	attempts int // those that the stream knows of
	// started is this attempt's beginning until it is stored, then nil.
	started domain.Fact
}

// errSuperseded rejects the outcome of a worker that was taken for dead: its
// job is another's now.
var errSuperseded = errors.New("the job was given to another worker meanwhile; nothing was stored")

// load reads the stream. A job's first attempt expects none and saves the
// trip: should that be wrong, the append says so.
func (r *record) load(ctx context.Context) error {
	if r.job.Attempt <= 1 {
		return nil
	}
	return r.reload(ctx)
}

func (r *record) reload(ctx context.Context) error {
	records, err := r.worker.Log.ReadStream(ctx, r.stream)
	if err != nil {
		return err
	}
	r.state, r.version, r.attempts = domain.Response{}, 0, 0
	for _, e := range records {
		r.apply(e.Fact)
	}
	return nil
}

func (r *record) apply(f domain.Fact) {
	r.state = r.state.Apply(f)
	r.version++
	if _, ok := f.(domain.ResponseStarted); ok {
		r.attempts++
	}
}

// begin notes that an attempt began. The next append stores it first.
func (r *record) begin(f domain.ResponseStarted) { r.started = f }

// maxConflicts bounds how often two workers on one request outrun each other.
const maxConflicts = 8

// append stores the noted beginning and the outcome, which may be nil, at the
// version they were decided on, anew when another worker was faster. It
// returns [domain.ErrAnswered] when there is an outcome already.
func (r *record) append(ctx context.Context, outcome domain.Fact) error {
	var conflict *eventstore.ConflictError
	for range maxConflicts {
		facts, err := r.decide(outcome)
		if err != nil || len(facts) == 0 {
			return err
		}
		err = r.store(ctx, facts, outcome != nil)
		if !errors.As(err, &conflict) {
			return err
		}
		if err := r.reload(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("record %s: %w", r.stream, conflict)
}

// decide asks the domain which facts follow.
func (r *record) decide(outcome domain.Fact) ([]domain.Fact, error) {
	state, facts := r.state, []domain.Fact(nil)
	for _, f := range []domain.Fact{r.started, outcome} {
		if f == nil {
			continue
		}
		decided, err := state.Decide(f)
		if err != nil {
			return nil, err
		}
		for _, d := range decided {
			state = state.Apply(d)
		}
		facts = append(facts, decided...)
	}
	return facts, nil
}

// store appends facts; with the last of them goes the job.
func (r *record) store(ctx context.Context, facts []domain.Fact, last bool) error {
	a := eventstore.Append{Actor: "site:" + r.worker.Log.Site(), Corr: r.job.Args.Request,
		Writes: []eventstore.Write{{Stream: r.stream, Expected: eventstore.Version(r.version), Facts: facts}}}
	if last {
		a.With = r.complete
	}
	if _, err := r.worker.Log.Append(ctx, a); err != nil {
		return err
	}
	for _, f := range facts {
		r.apply(f)
	}
	r.started = nil
	return nil
}

// fail records a final failure, which err must be.
func (r *record) fail(ctx context.Context, err error) error {
	f := asFailure(err)
	attempts := r.attempts
	if r.started != nil {
		attempts++
	}
	r.worker.Logger.WarnContext(ctx, "a request failed", slog.String("request", r.job.Args.Request),
		slog.String("code", f.Code), slog.Int("attempts", attempts), slog.String("cause", cause(f)))
	return r.finish(ctx, domain.ResponseFailed{Code: f.Code, Error: f.Text, Attempts: attempts})
}

// finish records the outcome and completes the job in one transaction.
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

// The library's own JobCompleteTx would not notice that the job was rescued
// and is running again: its attempt is compared here too.
const completeJob = `UPDATE river_job SET state = 'completed', finalized_at = now()
	WHERE id = $1 AND attempt = $2 AND state = 'running'`

func (r *record) complete(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, completeJob, r.job.ID, r.job.Attempt)
	if err != nil {
		return fmt.Errorf("complete the job: %w; nothing was stored", err)
	}
	if tag.RowsAffected() != 1 {
		return errSuperseded
	}
	return nil
}
