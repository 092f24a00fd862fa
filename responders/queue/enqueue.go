package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"sallyport/domain"
	"sallyport/eventstore"
)

// answer is a job: one request to be answered.
type answer struct {
	Request string `json:"request"`
	// Retry says which failure is taken back first; nil: none.
	Retry *retry `json:"retry,omitempty"`
	// Again says that the request was worked on before.
	Again bool `json:"again,omitempty"`
}

// retry is a request.retried that arrived.
type retry struct {
	Event   string `json:"event"`   // its id
	Failure int64  `json:"failure"` // the position of the failure that it names
	Reason  string `json:"reason"`
}

// Kind implements river.JobArgs.
func (answer) Kind() string { return "answer" }

// Enqueue makes a job for each request among the events, and for each that is
// asked again, in the transaction that stores them: with both or neither, no
// request is forgotten and none has two jobs. The job of a request that is
// cancelled comes first of all, for its worker to find that out; one that lies
// with people has no job any more, and gets another. facts are the events' own,
// as many.
func (q *Queue) Enqueue(ctx context.Context, tx pgx.Tx, events []domain.Event, facts []domain.Fact) error {
	var jobs []river.InsertManyParams
	var cancelled []string
	for i, f := range facts {
		id, _ := domain.RequestOf(events[i].Stream)
		job := answer{Request: id}
		var priority int
		switch f := f.(type) {
		case domain.RequestSubmitted:
			priority = f.Priority
		case domain.RequestRetried:
			priority = domain.MaxPriority
			job.Retry = &retry{Event: events[i].ID, Failure: f.Failure, Reason: f.Reason}
		case domain.RequestCancelled:
			cancelled = append(cancelled, id)
			continue
		default:
			continue
		}
		if id == "" {
			return fmt.Errorf("enqueue: stream %s holds a request but names none", events[i].Stream)
		}
		jobs = append(jobs, river.InsertManyParams{Args: job, InsertOpts: &river.InsertOpts{
			Queue: queueName, Priority: riverPriority(priority), MaxAttempts: neverDiscard}})
	}
	if err := q.insert(ctx, tx, jobs); err != nil || len(cancelled) == 0 {
		return err
	}
	return q.withdraw(ctx, tx, cancelled)
}

func (q *Queue) insert(ctx context.Context, tx pgx.Tx, jobs []river.InsertManyParams) error {
	if len(jobs) == 0 {
		return nil
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("enqueue %d requests: %w; nothing was stored", len(jobs), err)
	}
	return nil
}

// withdraw sees to it that a worker looks at each cancelled request next. It may
// be that one puts it before people at this moment, and does not know yet that
// it was cancelled: then it has a job that runs, and another comes after it.
func (q *Queue) withdraw(ctx context.Context, tx pgx.Tx, cancelled []string) error {
	if _, err := tx.Exec(ctx, hasten, cancelled); err != nil {
		return fmt.Errorf("hasten the jobs of %d cancelled requests: %w; nothing was stored", len(cancelled), err)
	}
	lying, err := q.config.Cases.WithPeople(ctx, tx, cancelled)
	if err != nil || len(lying) == 0 {
		return err
	}
	rows, err := tx.Query(ctx, withoutJob, lying)
	if err == nil {
		lying, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return fmt.Errorf("look for jobs of cancelled requests: %w; nothing was stored", err)
	}
	jobs := make([]river.InsertManyParams, len(lying))
	for i, request := range lying {
		jobs[i] = river.InsertManyParams{Args: answer{Request: request, Again: true}, InsertOpts: &river.InsertOpts{
			Queue: queueName, Priority: 1, MaxAttempts: neverDiscard}}
	}
	return q.insert(ctx, tx, jobs)
}

// withoutJob are those of some requests for which no job is due.
const withoutJob = `
	SELECT c.request FROM unnest($1::text[]) AS c(request) WHERE NOT EXISTS (
		SELECT FROM river_job AS j WHERE j.args->>'request' = c.request AND j.kind = 'answer'
		  AND j.state IN ('available', 'scheduled', 'retryable'))`

// Job is the statement that makes one request's job, to travel with the append
// of the event that asks for it. again says that it was worked on before.
func Job(request string, priority int, again bool) *eventstore.Statement {
	return &eventstore.Statement{SQL: insertJobs, Args: []string{request, strconv.FormatBool(again), strconv.Itoa(riverPriority(priority))}}
}

var insertJobs = `
	INSERT INTO river_job (args, kind, max_attempts, priority, queue, state)
	SELECT jsonb_build_object('request', request) || CASE WHEN again THEN '{"again":true}' ELSE '{}' END::jsonb,
	       'answer', ` + strconv.Itoa(neverDiscard) + `, priority, '` + queueName + `', 'available'
	FROM unnest($1::text[], $2::text[]::boolean[], $3::text[]::smallint[]) AS j(request, again, priority)`

// hasten lets a job run next. One that runs already is told by the watch; of
// those that are done the outcome stands.
//
// It takes rows before the log's head is locked, in no order, and complete_jobs
// takes some after it. They cannot wait for each other in a circle: complete_jobs
// wants only rows that run, and a row that hasten holds does not run, because
// workers pass over rows that are locked.
const hasten = `
	UPDATE river_job AS j SET state = 'available', scheduled_at = now(), priority = 1
	FROM unnest($1::text[]) AS c(request)
	WHERE j.args->>'request' = c.request AND j.kind = 'answer'
	  AND j.state IN ('available', 'scheduled', 'retryable')`

// neverDiscard keeps the library from giving up by itself, which would leave
// a request without an outcome: the worker counts.
const neverDiscard = 10_000

// riverPriority maps a request's priority, 10 first, onto the queue's four,
// 1 first: 10 9 are 1, 8 7 6 are 2, 5 4 3 are 3, 2 1 are 4.
func riverPriority(p int) int {
	switch {
	case p >= 9:
		return 1
	case p >= 6:
		return 2
	case p >= 3:
		return 3
	default:
		return 4
	}
}

// backoff waits twice as long after each attempt, up to a minute, give or
// take a quarter so that what failed together does not come back together. It
// depends on the job and its attempt alone, so that it can be told beforehand.
type backoff struct{ first time.Duration }

// NextRetry implements river.ClientRetryPolicy.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	wait := maxBackoff
	if shift := max(job.Attempt, 1) - 1; shift < 16 {
		wait = min(b.first<<shift, maxBackoff)
	}
	draw := rand.New(rand.NewPCG(uint64(job.ID), uint64(job.Attempt))) //nolint:gosec // nobody gains by guessing it
	jitter := time.Duration((draw.Float64() - 0.5) / 2 * float64(wait))
	return time.Now().Add(wait + jitter)
}
