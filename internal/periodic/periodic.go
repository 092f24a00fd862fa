// Package periodic does what a site does by itself once a day, on whichever of
// its processes can, by the work queue's leader.
//
//	leader ── at its time, and when it takes office ──▶ job ──▶ a process that can do it
//	                                                     │ done since it was due? then nothing
//	                                                     └ else do it, and note when and how it went
//
// # Promised
//
//   - Of all processes of a site one is the leader, and only it makes jobs. When
//     it dies another takes office within half a minute.
//   - A job whose time passed while nobody was there is done when somebody is.
//   - A job that fails is tried again after 1, 2, 4 and 8 minutes, and then the
//     next day. What it did and why it failed can be looked at.
//
// # Not promised
//
// A job whose process dies in the middle may be begun again: what it does must
// bear that.
package periodic

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"sallyport/domain"
)

// The names of jobs.
const (
	CleanBundles  = "clean-bundles"
	CleanRequests = "clean-requests"
)

// Job is what a site does by itself once a day.
type Job struct {
	Name string
	What string        // for people
	At   time.Duration // after midnight, UTC
}

var jobs = []Job{
	{CleanBundles, "clear outbox and archive of what is needed no more", 3 * time.Hour},
	{CleanRequests, "clear the read models of requests that were finished for long", 3*time.Hour + 30*time.Minute},
}

// Find returns the job of a name.
func Find(name string) (Job, bool) {
	for _, j := range jobs {
		if j.Name == name {
			return j, true
		}
	}
	return Job{}, false
}

const day = 24 * time.Hour

// Next returns when the job is due after a time. It implements
// [river.PeriodicSchedule].
func (j Job) Next(now time.Time) time.Time { return j.last(now).Add(day) }

// last returns when the job was due last.
func (j Job) last(now time.Time) time.Time {
	at := now.UTC().Truncate(day).Add(j.At)
	if at.After(now) {
		at = at.Add(-day)
	}
	return at
}

func (j Job) queue() string { return "periodic-" + j.Name }

// run is a job in the queue.
type run struct {
	Job string `json:"job" river:"unique"`
	// Asked says that a person wants it now, whether it is due or not.
	Asked bool `json:"asked,omitempty" river:"unique"`
}

// Kind implements river.JobArgs.
func (run) Kind() string { return "periodic" }

const maxAttempts = 5

// InsertOpts implements river.JobArgsWithInsertOpts: one at a time.
func (r run) InsertOpts() river.InsertOpts {
	j, _ := Find(r.Job)
	return river.InsertOpts{Queue: j.queue(), Priority: 4, MaxAttempts: maxAttempts, UniqueOpts: river.UniqueOpts{ByArgs: true,
		ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled}}}
}

// Outcome is what a job did.
type Outcome struct {
	Code    string           // stable, such as `bundles-cleared`
	Figures map[string]int64 // the numbers that the code speaks of; nil: none
	Text    string           // the same in a few words for people
}

// Do does a job.
type Do func(ctx context.Context) (Outcome, error)

// Periodic is one process's part in its site's periodic jobs.
type Periodic struct {
	pool   *pgxpool.Pool
	does   map[string]Do
	logger *slog.Logger
}

// New returns the part of a process that can do the jobs of these names.
func New(pool *pgxpool.Pool, does map[string]Do, logger *slog.Logger) *Periodic {
	return &Periodic{pool, does, logger}
}

// Join makes a client of the work queue do what this process can. If it may
// lead, it makes the jobs too: every client that may must have joined, since
// they all stand for the same office.
func (p *Periodic) Join(c *river.Config) {
	if c.Workers == nil {
		c.Workers = river.NewWorkers()
	}
	if c.Queues == nil {
		c.Queues = map[string]river.QueueConfig{}
	}
	if c.ID == "" {
		c.ID = identify()
	}
	river.AddWorker(c.Workers, &worker{Periodic: p, id: c.ID})
	for _, j := range jobs {
		if p.does[j.Name] != nil {
			c.Queues[j.queue()] = river.QueueConfig{MaxWorkers: 1, FetchCooldown: time.Second, FetchPollInterval: fetchPoll}
		}
		if !c.LeaderElectionDisabled {
			c.PeriodicJobs = append(c.PeriodicJobs, river.NewPeriodicJob(j,
				func() (river.JobArgs, *river.InsertOpts) { return run{Job: j.Name}, nil }, &river.PeriodicJobOpts{ID: j.Name, RunOnStart: true}))
		}
	}
}

// identify names a process so that people find it.
func identify() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unnamed"
	}
	return fmt.Sprintf("%.60s-%d-%s", host, os.Getpid(), rand.Text()[:6])
}

const (
	fetchPoll   = 5 * time.Second
	stopTimeout = 5 * time.Second
	timeLimit   = time.Hour
)

// Run is for a process that has no other client: it does what it can until ctx
// ends, and never leads.
func (p *Periodic) Run(ctx context.Context) error {
	c := &river.Config{Logger: slog.New(slog.DiscardHandler), LeaderElectionDisabled: true, PollOnly: true, SoftStopTimeout: time.Millisecond}
	p.Join(c)
	client, err := river.NewClient(riverpgxv5.New(p.pool), c)
	if err != nil {
		return fmt.Errorf("prepare periodic jobs: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start periodic jobs: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := client.Stop(stop); err != nil {
		return fmt.Errorf("stop periodic jobs: %w", err)
	}
	return nil
}

// ErrUnknown is the refusal of a job that there is not.
var ErrUnknown = &domain.Error{Kind: domain.NotFound, Code: "not-found", Detail: "there is no periodic job of this name; nothing was changed"}

// Ask has a job done now, whether it is due or not.
func Ask(ctx context.Context, pool *pgxpool.Pool, name string) error {
	if _, known := Find(name); !known {
		return ErrUnknown
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		return fmt.Errorf("ask for %s: %w", name, err)
	}
	if _, err := client.Insert(ctx, run{Job: name, Asked: true}, nil); err != nil {
		return fmt.Errorf("ask for %s: %w; nothing was changed", name, err)
	}
	return nil
}

type worker struct {
	river.WorkerDefaults[run]
	*Periodic
	id string
}

// Timeout implements river.Worker.
func (*worker) Timeout(*river.Job[run]) time.Duration { return timeLimit }

// NextRetry implements river.Worker.
func (*worker) NextRetry(job *river.Job[run]) time.Time {
	return time.Now().Add(time.Minute << (min(max(job.Attempt, 1), maxAttempts) - 1))
}

const (
	lastDone = `SELECT coalesce(max(done_at), 'epoch') FROM periodic_runs WHERE job = $1`
	began    = `INSERT INTO periodic_runs (job, began_at, worker) VALUES ($1, $2, $3)
		ON CONFLICT (job) DO UPDATE SET began_at = excluded.began_at, ended_at = NULL, result = '', result_code = '', figures = '{}', failed = false, worker = excluded.worker`
	ended = `UPDATE periodic_runs SET ended_at = $3, result = $4, failed = $5, result_code = $6, figures = $7,
		done_at = CASE WHEN $5 THEN done_at ELSE $2 END
		WHERE job = $1 AND began_at = $2`
)

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[run]) error {
	j, known := Find(job.Args.Job)
	if !known {
		return river.JobCancel(ErrUnknown)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	var done time.Time
	if err := w.pool.QueryRow(ctx, lastDone, j.Name).Scan(&done); err != nil {
		return fmt.Errorf("look whether %s is due: %w", j.Name, err)
	}
	if !job.Args.Asked && !done.Before(j.last(now)) {
		return nil
	}
	if _, err := w.pool.Exec(ctx, began, j.Name, now, w.id); err != nil {
		return fmt.Errorf("note that %s begins: %w", j.Name, err)
	}
	did, err := w.does[j.Name](ctx)
	if ctx.Err() != nil {
		return ctx.Err() // being stopped: the library gives the job back
	}
	if err != nil {
		did = Outcome{Text: err.Error()}
		w.logger.ErrorContext(ctx, "a periodic job failed and will be tried again", "job", j.Name, "attempt", job.Attempt, "error", err)
	} else {
		w.logger.InfoContext(ctx, "a periodic job was done", "job", j.Name, "result", did.Text)
	}
	if did.Figures == nil {
		did.Figures = map[string]int64{}
	}
	if _, failed := w.pool.Exec(ctx, ended, j.Name, now, time.Now(), did.Text, err != nil, did.Code, did.Figures); failed != nil {
		err = errors.Join(err, fmt.Errorf("note that %s ended: %w", j.Name, failed))
	}
	return err
}

// Status is how a periodic job goes.
type Status struct {
	Job      string            `json:"job"`
	What     string            `json:"what"`
	NextAt   domain.Timestamp  `json:"next_at"`
	BeganAt  *domain.Timestamp `json:"began_at"` // the newest run; null: never
	EndedAt  *domain.Timestamp `json:"ended_at"` // null: it runs, or was broken off
	Failed   bool              `json:"failed"`
	Result   string            `json:"result"`    // what it did, or why it failed
	Worker   string            `json:"worker"`    // which process did it
	LastDone *domain.Timestamp `json:"last_done"` // when a run that succeeded began

	// ResultCode and Figures are what it did for programs, see [Outcome]; empty:
	// it failed, or has done nothing.
	ResultCode string           `json:"result_code"`
	Figures    map[string]int64 `json:"figures"`
}

// Leader is the process that makes the jobs.
type Leader struct {
	ID    string           `json:"id"`
	Since domain.Timestamp `json:"since"`
}

const selectRun = `SELECT began_at, ended_at, done_at, failed, result, worker, result_code, figures FROM periodic_runs WHERE job = $1`

// List returns how all jobs go, and who leads; nil: nobody, now.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Status, *Leader, error) {
	now := time.Now()
	all := make([]Status, len(jobs))
	for i, j := range jobs {
		s := &all[i]
		*s = Status{Job: j.Name, What: j.What, NextAt: domain.Timestamp(j.Next(now)), Figures: map[string]int64{}}
		var began, ended, done *time.Time
		err := pool.QueryRow(ctx, selectRun, j.Name).Scan(&began, &ended, &done, &s.Failed, &s.Result, &s.Worker, &s.ResultCode, &s.Figures)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, nil, fmt.Errorf("read how periodic jobs go: %w", err)
		}
		s.BeganAt, s.EndedAt, s.LastDone = stamp(began), stamp(ended), stamp(done)
	}
	leads, err := leader(ctx, pool)
	return all, leads, err
}

func leader(ctx context.Context, pool *pgxpool.Pool) (*Leader, error) {
	var l Leader
	var since time.Time
	err := pool.QueryRow(ctx, `SELECT leader_id, elected_at FROM river_leader WHERE expires_at > now()`).Scan(&l.ID, &since)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // as promised
	case err != nil:
		return nil, fmt.Errorf("read who leads: %w", err)
	}
	l.Since = domain.Timestamp(since.UTC())
	return &l, nil
}

func stamp(t *time.Time) *domain.Timestamp {
	if t == nil {
		return nil
	}
	at := domain.Timestamp(t.UTC())
	return &at
}
