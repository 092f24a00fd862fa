package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// lease is a worker's sign of life: an advisory lock of a session of its own,
// which PostgreSQL drops the moment the process is gone. Who holds a lease
// also frees the jobs of those whose lease is gone, so that a killed process
// delays nobody for the minutes that a time-out would take.
//
// A lease lost with its connection is taken again; meanwhile another process
// may free jobs that are still being worked on. That costs a second question
// to the responder, never a second outcome.
type lease struct {
	pool   *pgxpool.Pool
	conn   *pgxpool.Conn
	id     string
	queues []string // that this process works on
	logger *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
}

const (
	sweepEvery   = 5 * time.Second
	sweepTimeout = 5 * time.Second
)

// leaseClass is the first key of all leases' locks, "sall" in ASCII.
const leaseClass = 0x73616c6c

const takeLock = `SELECT pg_advisory_lock($1::int, hashtext($2))`

// A job is held by the last who attempted it. What is not locked by anybody
// is free again at once; its attempt counts.
const freeOrphans = `
	UPDATE river_job SET state = 'available', scheduled_at = now()
	WHERE id IN (
		SELECT j.id FROM river_job AS j
		WHERE j.state = 'running' AND (j.queue = $2 OR j.queue LIKE $2 || '-%') AND NOT EXISTS (
			SELECT FROM pg_locks AS l
			WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
			  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			  AND l.classid::bigint = $1
			  AND l.objid::bigint = hashtext(j.attempted_by[array_upper(j.attempted_by, 1)])::bigint & 4294967295)
		FOR UPDATE SKIP LOCKED)`

// takeLease must come before the worker's first job. end ends it.
func takeLease(ctx context.Context, pool *pgxpool.Pool, id string, queues []string, logger *slog.Logger) (*lease, error) {
	l := &lease{pool: pool, id: id, queues: queues, logger: logger, done: make(chan struct{})}
	if err := l.renew(ctx); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	l.cancel = cancel
	go l.keep(run)
	return l, nil
}

// end gives the lease up and waits until it is. Call it when no job runs.
func (l *lease) end() {
	l.cancel()
	<-l.done
}

func (l *lease) keep(ctx context.Context) {
	defer close(l.done)
	defer l.drop(context.WithoutCancel(ctx))
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := l.sweep(ctx); err != nil && ctx.Err() == nil {
			l.logger.WarnContext(ctx, "the queue's sign of life is lost and will be taken anew", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep renews a lost lease and frees what dead workers held.
func (l *lease) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if err := l.renew(ctx); err != nil {
		return err
	}
	tag, err := l.conn.Exec(ctx, freeOrphans, int64(leaseClass), queueName)
	if err != nil {
		return fmt.Errorf("free the jobs of dead workers: %w", err)
	}
	if n := tag.RowsAffected(); n > 0 {
		l.logger.InfoContext(ctx, "jobs of a dead worker are free again", slog.Int64("jobs", n))
	}
	if _, err := l.conn.Exec(ctx, returnStrays, queueName, l.queues); err != nil {
		return fmt.Errorf("bring back jobs from queues that nobody works on: %w", err)
	}
	return nil
}

func (l *lease) renew(ctx context.Context) error {
	if l.conn != nil && !l.conn.Conn().IsClosed() {
		return nil
	}
	l.drop(ctx)
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("take a worker's lease: %w", err)
	}
	if _, err := conn.Exec(ctx, takeLock, int64(leaseClass), l.id); err != nil {
		conn.Release()
		return fmt.Errorf("take a worker's lease: %w", err)
	}
	l.conn = conn
	return nil
}

// drop ends the session and its lock with it, rather than give back to the
// pool a connection that still holds it.
func (l *lease) drop(ctx context.Context) {
	if l.conn == nil {
		return
	}
	conn := l.conn.Hijack()
	l.conn = nil
	if err := conn.Close(ctx); err != nil && !conn.IsClosed() {
		l.logger.WarnContext(ctx, "a worker's session did not end in order", slog.String("error", err.Error()))
	}
}
