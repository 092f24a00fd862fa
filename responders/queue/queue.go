package queue

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/responders"
	"sallyport/schema"
)

// Case is all that deciding about one request takes, as the read models hold
// it at this moment. What they do not hold is nil.
type Case struct {
	Request domain.RequestSubmitted
	// Cancelled says that nobody waits for the answer any more.
	Cancelled bool
	// Active says that the user exists and may work.
	Active bool
	Rights domain.Rights               // the user's
	Type   *domain.RequestTypeDefined  // the request's, as it is now, also if it was retired
	Asked  *domain.RequestTypeDefined  // the same, in the version that the request was asked by
	Config *domain.ResponderConfigured // the type's
}

// Cases looks up what is known about a request. A request that is unknown is
// an error: its job came with it.
type Cases interface {
	Case(ctx context.Context, request string) (Case, error)
	// Cancelled returns those of the requests that need no answer any more.
	Cancelled(ctx context.Context, requests []string) ([]string, error)
	// WithPeople returns those of the requests, as the transaction sees them, that
	// lie with people or are of a type that people answer.
	WithPeople(ctx context.Context, tx pgx.Tx, requests []string) ([]string, error)
}

// Responder answers questions, as package responders promises.
type Responder interface {
	// Respond returns an answer or a [*responders.Failure]; any other error
	// counts as one that is worth another attempt and is told to nobody.
	Respond(ctx context.Context, q responders.Question) (responders.Answer, error)
}

// Config is what the queue needs to know.
type Config struct {
	// Pool is the site's database. Workers hold two connections of it for
	// themselves. Required.
	Pool *pgxpool.Pool
	// Log, Cases, Responders and Parameters are required to work; of them, Cases
	// also to enqueue, and Log to overrule.
	Log        *eventstore.Store
	Cases      Cases
	Responders map[domain.ResponderKind]Responder
	Parameters *schema.ParameterCache
	// Workers is how many questions are asked at once, up to 1,000; 0 only
	// enqueues. Four times as many jobs are at hand.
	Workers int
	// Known returns an answer that is there already. It is asked when a source has
	// no turn free, so that such an answer waits for none; nil: nothing is kept.
	Known func(ctx context.Context, q responders.Question) (responders.Answer, bool)
	// Concurrency is how many questions a source is asked at once by this process,
	// by its [SourceKey], so that a slow one keeps no other waiting. Sources that
	// it does not name share Workers.
	Concurrency map[string]int
	// MaxAttempts bounds how often a responder is asked; 0 means 5.
	MaxAttempts int
	// Backoff is the wait before the second attempt; 0 means 1 s.
	Backoff time.Duration
	// StopTimeout is how long Stop lets running questions finish before it
	// interrupts them; 0 means 10 s. An interrupted one is asked again later.
	StopTimeout time.Duration
	// Join adds what else this process's client of the work queue works on; nil:
	// nothing.
	Join func(*river.Config)
	// Logger is told of what fails. Required.
	Logger *slog.Logger
}

const (
	queueName       = "answers"
	defaultAttempts = 5
	defaultBackoff  = time.Second
	maxBackoff      = time.Minute
	defaultStop     = 10 * time.Second
	maxWorkers      = 1000
	// Each worker has jobs at hand while it waits for its responder: fetching
	// them one by one, and storing them in small groups, would cost more than
	// answering them.
	jobsPerWorker = 4
	maxAtHand     = 10_000 // the library's own limit
	// jobTimeout is longer than any responder may take for all jobs at hand, from
	// both queues that lead to it, and rescueAfter longer than any job.
	responderTimeout = domain.MaxTimeoutMS*time.Millisecond + timeLimitGrace
	jobTimeout       = 2*jobsPerWorker*responderTimeout + 20*time.Second
	rescueAfter      = 2 * jobTimeout
	// What is finished is in the log; its job is only looked at for a while.
	keepCompleted = time.Hour
	// River's default of 100 ms would cap eight workers at 80 requests a second.
	fetchCooldown = 5 * time.Millisecond
	fetchPoll     = 250 * time.Millisecond
)

// Queue enqueues requests and answers them. It is safe for concurrent use.
type Queue struct {
	config Config
	id     string // names this worker in the log and in the queue
	client *river.Client[pgx.Tx]
	watch  *watch
	lanes  lanes

	mu      sync.Mutex
	lease   *lease // nil unless working
	unwatch func() // ends the watch and waits until it has; nil unless working
	closed  bool
}

// Open prepares the queue in a migrated database. Nothing runs before Start.
func Open(_ context.Context, c Config) (*Queue, error) {
	if c.Workers < 0 || c.Workers > maxWorkers {
		return nil, fmt.Errorf("%d workers are refused: 0 to %d are allowed", c.Workers, maxWorkers)
	}
	for key, n := range c.Concurrency {
		if n < 1 || n > maxWorkers {
			return nil, fmt.Errorf("%d questions at once to %s are refused: 1 to %d are allowed", n, key, maxWorkers)
		}
	}
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = defaultAttempts
	}
	if c.Known == nil {
		c.Known = func(context.Context, responders.Question) (responders.Answer, bool) {
			return responders.Answer{}, false
		}
	}
	if c.Backoff <= 0 {
		c.Backoff = defaultBackoff
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = defaultStop
	}
	q := &Queue{config: c, id: "worker-" + strings.ToLower(uuid.NewString()[:8]), watch: newWatch(c.Cases, c.Logger), lanes: newLanes(c)}
	client, err := river.NewClient(riverpgxv5.New(c.Pool), q.riverConfig())
	if err != nil {
		return nil, fmt.Errorf("prepare the work queue: %w", err)
	}
	q.client = client
	return q, nil
}

func (q *Queue) riverConfig() *river.Config {
	c := &river.Config{ID: q.id, Logger: slog.New(quiet{q.config.Logger.Handler()})}
	if q.config.Workers == 0 {
		return c
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{Config: q.config, id: q.id, lanes: q.lanes, watch: q.watch})
	c.Workers = workers
	c.Queues = q.lanes.queues()
	c.FetchCooldown, c.FetchPollInterval = fetchCooldown, fetchPoll
	c.JobTimeout, c.RescueStuckJobsAfter = jobTimeout, rescueAfter
	c.CompletedJobRetentionPeriod = keepCompleted
	c.SoftStopTimeout = q.config.StopTimeout
	c.RetryPolicy = backoff{first: q.config.Backoff}
	// Rebuilding indexes takes the owner's rights, which the program lacks.
	c.ReindexerIndexNames = []string{}
	if q.config.Join != nil {
		q.config.Join(c)
	}
	return c
}

// Start begins to work and returns. Only Stop ends it, not ctx. A queue
// without workers starts nothing.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.config.Workers == 0 || q.lease != nil || q.closed {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	l, err := takeLease(ctx, q.config.Pool, q.id, q.lanes.names(), q.config.Logger)
	if err != nil {
		return fmt.Errorf("start the work queue: %w", err)
	}
	if err := q.client.Start(ctx); err != nil {
		l.end()
		return fmt.Errorf("start the work queue: %w", err)
	}
	q.lease = l
	watching, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); q.watch.run(watching) }()
	q.unwatch = func() { end(); <-ended }
	return nil
}

// Stop takes no new work, lets running questions finish for StopTimeout,
// interrupts the rest and waits for them. It may be called before Start and
// more than once; a stopped queue does not start again. When ctx ends first
// its error is returned and the rest ends by itself.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.lease == nil {
		return nil
	}
	if err := q.client.Stop(ctx); err != nil {
		return fmt.Errorf("stop the work queue: %w", err)
	}
	q.unwatch()
	q.lease.end()
	q.lease = nil
	return nil
}

// quiet lets only warnings of the library through: what it tells of single
// jobs, the workers tell better.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
