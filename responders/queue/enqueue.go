package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"sallyport/domain"
)

// answer is a job: one request to be answered.
type answer struct {
	Request string `json:"request"`
}

// Kind implements river.JobArgs.
func (answer) Kind() string { return "answer" }

// Enqueue makes a job for each request among the events, in the transaction
// that stores them: with both or neither, no request is forgotten and none
// has two jobs. facts are the events' own, as many.
func (q *Queue) Enqueue(ctx context.Context, tx pgx.Tx, events []domain.Event, facts []domain.Fact) error {
	var jobs []river.InsertManyParams
	for i, f := range facts {
		submitted, ok := f.(domain.RequestSubmitted)
		if !ok {
			continue
		}
		id, ok := domain.RequestOf(events[i].Stream)
		if !ok {
			return fmt.Errorf("enqueue: stream %s holds a request but names none", events[i].Stream)
		}
		jobs = append(jobs, river.InsertManyParams{Args: answer{Request: id}, InsertOpts: &river.InsertOpts{
			Queue: queueName, Priority: riverPriority(submitted.Priority), MaxAttempts: neverDiscard}})
	}
	if len(jobs) == 0 {
		return nil
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("enqueue %d requests: %w; nothing was stored", len(jobs), err)
	}
	return nil
}

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
// take a quarter so that what failed together does not come back together.
type backoff struct{ first time.Duration }

// NextRetry implements river.ClientRetryPolicy.
func (b backoff) NextRetry(job *rivertype.JobRow) time.Time {
	wait := maxBackoff
	if shift := max(job.Attempt, 1) - 1; shift < 16 {
		wait = min(b.first<<shift, maxBackoff)
	}
	jitter := time.Duration((rand.Float64() - 0.5) / 2 * float64(wait)) //nolint:gosec // nobody gains by guessing it
	return time.Now().Add(wait + jitter)
}
