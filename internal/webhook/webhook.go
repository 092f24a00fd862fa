package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/reach"
	"sallyport/projections"
	"sallyport/projections/reactor"
)

// Config is what webhooks work on. Fields are required unless they say otherwise.
type Config struct {
	Log    *eventstore.Store
	Pool   *pgxpool.Pool
	Reader *projections.Reader
	Key    Key
	// Allow are networks that may be called though they are not public; may be
	// empty.
	Allow  []netip.Prefix
	Logger *slog.Logger
	// Backoff is the wait after each failed attempt; one attempt follows the
	// last. Nil: as the package says.
	Backoff []time.Duration
}

// backoff adds up to about 18 hours.
var backoff = []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour}

const (
	// offAfter is how many messages in a row are given up before a webhook is
	// switched off.
	offAfter    = 5
	queueName   = "webhooks"
	maxWorkers  = 16
	stopTimeout = 5 * time.Second
	fetchPoll   = time.Second
	// reactorName is the key of the reactor, in its offsets and the poison queue.
	reactorName = "webhooks"
)

// Webhooks keeps the webhooks of a request site and delivers to them. It is
// safe for concurrent use.
type Webhooks struct {
	config Config
	guard  reach.Guard
	client *http.Client
	poison *reactor.Poison
	queue  *river.Client[pgx.Tx]
}

// New prepares webhooks in a migrated database. Nothing runs before Run.
func New(c Config) (*Webhooks, error) {
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	w := &Webhooks{config: c, guard: reach.NewGuard(c.Allow), poison: reactor.NewPoison(c.Pool)}
	w.client = w.guard.Client(attemptTimeout, nil)
	queue, err := river.NewClient(riverpgxv5.New(c.Pool), w.riverConfig())
	if err != nil {
		return nil, fmt.Errorf("prepare the delivery of webhooks: %w", err)
	}
	w.queue = queue
	return w, nil
}

// riverConfig is that of a client which only adds jobs.
func (w *Webhooks) riverConfig() *river.Config {
	return &river.Config{MaxAttempts: len(w.config.Backoff) + 1, Logger: slog.New(warnings{w.config.Logger.Handler()})}
}

// warnings lets only warnings of the library through.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// Run delivers until ctx ends, then lets running attempts finish, and returns
// nil. An error means that it could not begin. It may be run again. join adds
// what else this process's client of the work queue works on; nil: nothing.
func (w *Webhooks) Run(ctx context.Context, join func(*river.Config)) error {
	c := w.riverConfig()
	c.Workers, c.Queues = river.NewWorkers(), map[string]river.QueueConfig{queueName: {MaxWorkers: maxWorkers}}
	river.AddWorker(c.Workers, &worker{Webhooks: w})
	c.FetchPollInterval, c.JobTimeout, c.RescueStuckJobsAfter = fetchPoll, 2*attemptTimeout, 4*attemptTimeout
	c.SoftStopTimeout = stopTimeout
	c.ReindexerIndexNames = []string{} // rebuilding indexes takes the owner's rights, which the program lacks
	if join != nil {
		join(c)
	}
	queue, err := river.NewClient(riverpgxv5.New(w.config.Pool), c)
	if err != nil {
		return fmt.Errorf("prepare the delivery of webhooks: %w", err)
	}
	if err := queue.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the delivery of webhooks: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopTimeout)
	defer cancel()
	defer w.client.CloseIdleConnections()
	if err := queue.Stop(stop); err != nil {
		return fmt.Errorf("stop the delivery of webhooks: %w", err)
	}
	return nil
}

// Announce is what makes deliveries of outcomes: one a webhook and event, in the
// transaction that gets past the event.
func (w *Webhooks) Announce() reactor.Handler {
	return reactor.Handler{Name: reactorName, Types: []string{"response.recorded", "response.failed"}, HandleTx: w.announce}
}

func (w *Webhooks) announce(ctx context.Context, tx pgx.Tx, e reactor.Event) error {
	id, _ := domain.RequestOf(e.Stream)
	q, err := w.config.Reader.Request(ctx, id)
	switch {
	case errors.Is(err, projections.ErrNotFound):
		return nil // a request of another site
	case err != nil:
		return fmt.Errorf("announce the outcome of request %s: %w", id, err)
	case q.Origin != w.config.Log.Site() || q.Status == domain.StatusCancelled:
		return nil
	}
	hooks, err := w.config.Reader.Webhooks(ctx, q.User)
	if err != nil || len(hooks) == 0 {
		return err
	}
	m, err := newMessage(e.Type, e.Line, q)
	if err != nil {
		return err
	}
	var jobs []river.InsertManyParams
	for _, h := range hooks {
		if h.State == projections.WebhookActive && slices.Contains(h.Events, m.Type) && (e.Target == "" || e.Target == h.ID) {
			jobs = append(jobs, river.InsertManyParams{Args: delivery{Webhook: h.ID, Event: e.ID, Seq: e.Seq, Message: m}})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	if _, err := w.queue.InsertManyFastTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("announce the outcome of request %s: %w", id, err)
	}
	return nil
}

// Register makes a webhook of a user and returns it with its secret, which is
// told this once. A refusal is a [*domain.Error].
func (w *Webhooks) Register(ctx context.Context, actor, corr string, c domain.RegisterWebhook) (projections.Webhook, string, error) {
	var none projections.Webhook
	have, err := w.config.Reader.Webhooks(ctx, c.User)
	if err != nil {
		return none, "", err
	}
	c.Have = len(have)
	facts, err := domain.Webhook{}.Decide(c)
	if err != nil {
		return none, "", err
	}
	if err := w.checkURL(c.URL); err != nil {
		return none, "", &domain.Error{Kind: domain.Invalid, Code: "invalid-webhook", Detail: "/url: " + err.Error() + " (webhooks.allow); nothing was stored",
			Fields: []domain.FieldError{{Pointer: "/url", Code: domain.FieldRefused, Detail: err.Error()}}}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return none, "", fmt.Errorf("make a webhook's id: %w", err)
	}
	secret, err := w.config.Key.Secret(id.String())
	if err != nil {
		return none, "", err
	}
	records, err := w.append(ctx, actor, corr, id.String(), 0, facts)
	if err != nil {
		return none, "", err
	}
	f := facts[0].(domain.WebhookRegistered)
	return projections.Webhook{ID: id.String(), User: f.User, URL: f.URL, Events: f.Events, State: projections.WebhookActive,
		CreatedAt: records[0].At, Pos: records[0].Seq}, secret, nil
}

// Remove ends a webhook of a user and returns the place of that in the log;
// another's is not there. What waits to be delivered to it is dropped.
func (w *Webhooks) Remove(ctx context.Context, actor, corr, user, id string) (seq int64, err error) {
	records, err := w.change(ctx, actor, corr, id, domain.RemoveWebhook{User: user, Reason: "its owner removed it"})
	if err != nil {
		return 0, err
	}
	return records[0].Seq, nil
}

func (w *Webhooks) change(ctx context.Context, actor, corr, id string, command any) ([]eventstore.Record, error) {
	var state domain.Webhook
	history, err := w.config.Log.ReadStream(ctx, domain.WebhookStream(id))
	if err != nil {
		return nil, fmt.Errorf("look up webhook %s: %w", id, err)
	}
	for _, r := range history {
		state = state.Apply(r.Fact)
	}
	facts, err := state.Decide(command)
	if err != nil || len(facts) == 0 {
		return nil, err
	}
	return w.append(ctx, actor, corr, id, eventstore.Version(len(history)), facts)
}

func (w *Webhooks) append(ctx context.Context, actor, corr, id string, version eventstore.Version, facts []domain.Fact) ([]eventstore.Record, error) {
	records, err := w.config.Log.Append(ctx, eventstore.Append{Actor: actor, Corr: corr,
		Writes: []eventstore.Write{{Stream: domain.WebhookStream(id), Expected: version, Facts: facts}}})
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		return nil, &domain.Error{Kind: domain.Conflict, Code: "changed-meanwhile", Detail: "the webhook was changed at the same moment; look again; nothing was stored"}
	}
	return records, err
}
