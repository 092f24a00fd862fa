package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Decision is what a person decides about what waits in the queue.
type Decision struct {
	Actor, Corr string
	Reason      string // of what the one who asked is told; may be empty
}

// errNoJob is the refusal of what is not in the queue.
var errNoJob = &domain.Error{Kind: domain.NotFound, Code: "not-found",
	Detail: "the queue holds nothing of this id, and no request of it ever came here; nothing was changed"}

func errState(state string, what string) error {
	return &domain.Error{Kind: domain.Conflict, Code: "wrong-state", Detail: fmt.Sprintf("this job is %s: it cannot be %s; nothing was changed", state, what)}
}

// RequestOf returns the request that a job is to answer; empty: it does
// something else.
func (q *Queue) RequestOf(ctx context.Context, job int64) (string, error) {
	row, err := q.job(ctx, job)
	if err != nil || row.Kind != (answer{}).Kind() {
		return "", err
	}
	var args answer
	if err := json.Unmarshal(row.EncodedArgs, &args); err != nil {
		return "", fmt.Errorf("read job %d: %w", job, err)
	}
	return args.Request, nil
}

func (q *Queue) job(ctx context.Context, id int64) (*rivertype.JobRow, error) {
	row, err := q.client.JobGet(ctx, id)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil, errNoJob
	}
	if err != nil {
		return nil, fmt.Errorf("look up job %d: %w", id, err)
	}
	return row, nil
}

// RetryJob makes a job due now that waits, was cancelled or was given up. Jobs
// that answer requests are retried by [Queue.RetryAnswer].
func (q *Queue) RetryJob(ctx context.Context, id int64) error {
	row, err := q.job(ctx, id)
	if err != nil {
		return err
	}
	switch row.State {
	case rivertype.JobStateScheduled, rivertype.JobStateRetryable, rivertype.JobStateDiscarded, rivertype.JobStateCancelled:
	default:
		return errState(string(row.State), "retried")
	}
	if _, err := q.client.JobRetry(ctx, id); err != nil {
		return fmt.Errorf("retry job %d: %w", id, err)
	}
	return nil
}

// CancelJob ends a job that is not done; a running one is told to stop.
func (q *Queue) CancelJob(ctx context.Context, id int64) error {
	row, err := q.job(ctx, id)
	if err != nil {
		return err
	}
	if row.FinalizedAt != nil {
		return errState(string(row.State), "cancelled")
	}
	if _, err := q.client.JobCancel(ctx, id); err != nil {
		return fmt.Errorf("cancel job %d: %w", id, err)
	}
	return nil
}

const (
	hastenOne = `UPDATE river_job SET state = 'available', scheduled_at = now()
		WHERE args->>'request' = $1 AND kind = 'answer' AND state IN ('scheduled', 'retryable')`
	endJobs = `UPDATE river_job SET state = 'cancelled', finalized_at = now()
		WHERE args->>'request' = ANY ($1::text[]) AND kind = 'answer' AND state NOT IN ('completed', 'cancelled', 'discarded')`
	hasJob = `SELECT EXISTS (SELECT FROM river_job WHERE args->>'request' = $1
		AND kind = 'answer' AND state NOT IN ('completed', 'cancelled', 'discarded'))`
)

// RetryAnswer takes a request's failure back and has it answered once more: the
// event and the job are stored together. One that waits for its next attempt is
// due now instead.
func (q *Queue) RetryAnswer(ctx context.Context, request string, d Decision) error {
	err := q.overrule(ctx, request, d, domain.RetryAnswer{Reason: d.Reason}, Job(request, domain.MaxPriority, true))
	if !errors.Is(err, domain.ErrUnanswered) {
		return err
	}
	return pgx.BeginFunc(ctx, q.config.Pool, func(tx pgx.Tx) error { return q.hastenOne(ctx, tx, request) })
}

// hastenOne lets a request's job run now. One that lost its job gets a new one.
func (q *Queue) hastenOne(ctx context.Context, tx pgx.Tx, request string) error {
	tag, err := tx.Exec(ctx, hastenOne, request)
	if err != nil {
		return fmt.Errorf("hasten request %s: %w; nothing was changed", request, err)
	}
	if tag.RowsAffected() > 0 {
		return nil
	}
	var there bool
	if err := tx.QueryRow(ctx, hasJob, request).Scan(&there); err != nil {
		return fmt.Errorf("look up the job of request %s: %w; nothing was changed", request, err)
	}
	if there {
		return &domain.Error{Kind: domain.Conflict, Code: "under-way", Detail: "this request is being answered or is due already; nothing was changed"}
	}
	if err := Job(request, domain.MaxPriority, true).Exec(ctx, tx); err != nil {
		return fmt.Errorf("enqueue request %s: %w; nothing was stored", request, err)
	}
	return nil
}

// CancelAnswer ends a request that is not answered yet: the one who asked hears
// of a failure. Its jobs end with it, and a question under way is stopped.
func (q *Queue) CancelAnswer(ctx context.Context, request string, d Decision) error {
	return q.overrule(ctx, request, d, domain.CancelAnswer{Reason: d.Reason}, &eventstore.Statement{SQL: endJobs, Args: []string{request}})
}

// overrule stores a decision and what it means for the queue in one
// transaction, anew when a worker was faster.
func (q *Queue) overrule(ctx context.Context, request string, d Decision, command any, also *eventstore.Statement) error {
	var conflict *eventstore.ConflictError
	for range maxConflicts {
		state, version, err := q.answering(ctx, request)
		if err != nil {
			return err
		}
		facts, err := state.Overrule(command)
		if err != nil {
			return err
		}
		writes := []eventstore.Write{{Stream: domain.ResponseStream(request), Expected: eventstore.Version(version), Facts: facts}}
		p, err := withPeople(ctx, q.config.Log, request)
		if err != nil {
			return err
		}
		if work, err := p.follow(facts[len(facts)-1]); err != nil {
			return err
		} else if len(work) > 0 {
			writes = append(writes, p.write(request, work))
		}
		_, err = q.config.Log.Append(ctx, eventstore.Append{Actor: d.Actor, Corr: d.Corr, Also: also, Writes: writes})
		if !errors.As(err, &conflict) {
			return err
		}
	}
	return fmt.Errorf("decide about request %s: %w", request, conflict)
}

// answering folds a request and its answer; the version is the answer's.
func (q *Queue) answering(ctx context.Context, request string) (state domain.Response, version int64, err error) {
	asked, err := q.config.Log.ReadStream(ctx, domain.RequestStream(request))
	if err != nil {
		return state, 0, err
	}
	if len(asked) == 0 {
		return state, 0, errNoJob
	}
	for _, e := range asked {
		state = state.Apply(e.Fact)
	}
	answered, err := q.config.Log.ReadStream(ctx, domain.ResponseStream(request))
	for _, e := range answered {
		state = state.Apply(e.Fact)
	}
	return state, int64(len(answered)), err
}
