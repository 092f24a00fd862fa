package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Count is how many jobs of a queue are in a state that is not their end:
// available, scheduled, running, retryable, pending or discarded. A discarded
// one waits for a person.
type Count struct {
	Queue string `json:"queue"`
	State string `json:"state"`
	Jobs  int64  `json:"jobs"`
}

const selectCounts = `
	SELECT queue, state, sum(jobs)::bigint FROM (
		SELECT queue, state::text, count(*) AS jobs FROM river_job WHERE state NOT IN ('completed', 'cancelled') GROUP BY 1, 2
		UNION ALL SELECT '` + queueName + `', unnest('{available,running,retryable,discarded}'::text[]), 0
	) AS counts GROUP BY 1, 2 ORDER BY 1, 2`

// Counts returns the depths of a site's queues. A state without jobs is left
// out, but for those of the answers that people watch.
func Counts(ctx context.Context, pool *pgxpool.Pool) ([]Count, error) {
	rows, err := pool.Query(ctx, selectCounts)
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Count])
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	return counts, nil
}

const selectOldest = `SELECT min(created_at) FROM river_job WHERE state IN ('available', 'retryable')`

// Oldest is since when the oldest job waits that could be worked on; zero:
// none waits.
func Oldest(ctx context.Context, pool *pgxpool.Pool) (time.Time, error) {
	var at *time.Time
	if err := pool.QueryRow(ctx, selectOldest).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("find the oldest job: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return at.UTC(), nil
}
