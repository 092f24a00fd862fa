package reactor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"sallyport/eventstore"
)

// Event is what a handler gets of an event of the log.
type Event struct {
	Seq    int64
	Origin string
	ID     string
	Stream string
	Type   string
	Corr   string
	Line   []byte
	// Target narrows what is to be done to one receiver, where a person has put
	// a failure of that one alone back into the queue. Empty: all of it.
	Target string
}

// Handler is one thing that follows from events.
type Handler struct {
	Name  string   // its key in reactor_offsets; it never changes
	Types []string // of the events that it wants
	// Handle is called at least once for each of them; it must bear to be called
	// again. Its error means that it is to be tried again.
	Handle func(context.Context, Event) error
	// HandleTx takes the place of Handle where all that follows from an event is
	// written to the database: what it does with tx is committed together with
	// the handler's place, and so takes place once, whatever is killed or lost.
	// It must not commit or roll back.
	HandleTx func(ctx context.Context, tx pgx.Tx, e Event) error
}

// Config is what a reactor needs. All fields are required.
type Config struct {
	Pool     *pgxpool.Pool // each handler holds one connection while it handles a page, and one more for HandleTx
	Log      *eventstore.Store
	Handlers []Handler
	Logger   *slog.Logger
}

// Reactor runs handlers on the log's events.
type Reactor struct {
	config   Config
	poison   *Poison
	poisoned atomic.Int64
}

// New returns a reactor, or says what its configuration lacks.
func New(c Config) (*Reactor, error) {
	if c.Pool == nil || c.Log == nil || len(c.Handlers) == 0 || c.Logger == nil {
		return nil, errors.New("a reactor needs Pool, Log, Handlers and Logger")
	}
	for _, h := range c.Handlers {
		if (h.Handle == nil) == (h.HandleTx == nil) {
			return nil, fmt.Errorf("the handler %s needs either Handle or HandleTx", h.Name)
		}
	}
	r := &Reactor{config: c, poison: NewPoison(c.Pool)}
	r.config.Handlers = slices.Clone(c.Handlers)
	for i, h := range c.Handlers {
		if h.HandleTx != nil {
			r.config.Handlers[i].Handle = func(ctx context.Context, e Event) error { return r.inTx(ctx, h, e) }
		}
	}
	return r, nil
}

// Poisoned returns how many events this reactor has given up since it was
// made.
func (r *Reactor) Poisoned() int64 { return r.poisoned.Load() }

// Run handles events until the context ends, and then returns nil. An error
// means that it could not begin. It may be run again.
func (r *Reactor) Run(ctx context.Context) error {
	if err := r.begin(ctx); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return fmt.Errorf("begin the reactor: %w", err)
	}
	log := slog.New(ending{r.config.Logger.Handler(), over(ctx)})
	logger := watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
	db := stdlib.OpenDBFromPool(r.config.Pool)
	defer func() {
		if err := db.Close(); err != nil { // the pool itself stays open
			r.config.Logger.WarnContext(ctx, "the reactor's view of the pool did not close", "error", err)
		}
	}()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, logger)
	if err != nil {
		return fmt.Errorf("make the reactor: %w", err)
	}
	router.AddMiddleware(middleware.CorrelationID)
	for _, h := range r.config.Handlers {
		if err := r.add(ctx, router, db, logger, h); err != nil {
			return fmt.Errorf("make the reactor %s: %w", h.Name, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var again sync.WaitGroup
	for _, h := range r.config.Handlers {
		again.Go(func() { r.requeue(ctx, h) })
	}
	err = router.Run(ctx)
	stopped := ctx.Err() != nil
	cancel()
	again.Wait()
	if err != nil && !stopped {
		return fmt.Errorf("run the reactor: %w", err)
	}
	return nil
}

// add gives a handler its own reader of the log and its own place in it.
func (r *Reactor) add(ctx context.Context, router *message.Router, db *sql.DB, logger watermill.LoggerAdapter, h Handler) error {
	var read progress
	subscriber, err := wsql.NewSubscriber(db, wsql.SubscriberConfig{
		ConsumerGroup: h.Name, SchemaAdapter: schema{types: h.Types, holes: &holes{log: r.config.Log}, read: &read}, OffsetsAdapter: offsets{},
		BackoffManager: &pace{ctx: ctx, log: r.config.Log, read: &read},
	}, logger)
	if err != nil {
		return err
	}
	giveUp, err := middleware.PoisonQueueWithFilter(poisoner{r, h.Name}, "poisoned", func(err error) bool {
		return ctx.Err() == nil && !errors.Is(err, context.Canceled) // else the reactor is being stopped
	})
	if err != nil {
		return err
	}
	router.AddConsumerHandler(h.Name, "events", subscriber, h.handle).AddMiddleware(giveUp, retry(logger).Middleware, middleware.Recoverer)
	return nil
}

// handle is what the router calls. Of what nobody wants it only hears to get
// past it.
func (h Handler) handle(msg *message.Message) error {
	if !slices.Contains(h.Types, msg.Metadata[metaType]) {
		return nil
	}
	seq, err := strconv.ParseInt(msg.Metadata[metaSeq], 10, 64)
	if err != nil {
		return fmt.Errorf("a message without a seq: %w", err)
	}
	return h.Handle(msg.Context(), Event{Seq: seq, Origin: msg.Metadata[metaOrigin], ID: msg.UUID, Stream: msg.Metadata[metaStream],
		Type: msg.Metadata[metaType], Corr: msg.Metadata[metaCorr], Line: msg.Payload})
}

func retry(logger watermill.LoggerAdapter) middleware.Retry {
	return middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond, Multiplier: 3,
		MaxInterval: time.Second, MaxElapsedTime: 2 * time.Second, Logger: logger,
		ShouldRetry: func(p middleware.RetryParams) bool { return !errors.Is(p.Err, context.Canceled) }}
}
