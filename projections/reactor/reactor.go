package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wsql "github.com/ThreeDotsLabs/watermill-sql/v3/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/projections/responsecache"
)

// Cache is where answers are put, see responsecache for what it promises.
type Cache interface {
	Set(ctx context.Context, requestID string, e responsecache.Entry) error
}

// Config is what a reactor needs. All fields are required.
type Config struct {
	Pool   *pgxpool.Pool // it holds one connection while it handles a page
	Log    *eventstore.Store
	Cache  Cache
	Reader *projections.Reader
	Logger *slog.Logger
}

// Reactor keeps the response cache warm.
type Reactor struct {
	config   Config
	poisoned atomic.Int64
}

// New returns a reactor, or says what its configuration lacks.
func New(c Config) (*Reactor, error) {
	if c.Pool == nil || c.Log == nil || c.Cache == nil || c.Reader == nil || c.Logger == nil {
		return nil, errors.New("a reactor needs Pool, Log, Cache, Reader and Logger")
	}
	return &Reactor{config: c}, nil
}

// Poisoned returns how many events this reactor has given up since it was
// made.
func (r *Reactor) Poisoned() int64 { return r.poisoned.Load() }

// name is the reactor's key in reactor_offsets and the router's handler.
const name = "response-cache"

// Run handles events until the context ends, and then returns nil. An error
// means that it could not begin. It may be run again.
func (r *Reactor) Run(ctx context.Context) error {
	logger := watermill.NewSlogLoggerWithLevelMapping(r.config.Logger, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
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
	subscriber, err := wsql.NewSubscriber(db, wsql.SubscriberConfig{
		ConsumerGroup: name, SchemaAdapter: schema{types: warmed}, OffsetsAdapter: offsets{},
		BackoffManager: &pace{ctx: ctx, log: r.config.Log},
	}, logger)
	if err != nil {
		return fmt.Errorf("make the reactor: %w", err)
	}
	router.AddMiddleware(middleware.CorrelationID, r.giveUp, retry(logger).Middleware, middleware.Recoverer)
	router.AddConsumerHandler(name, "events", subscriber, r.handle)
	if err := router.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run the reactor: %w", err)
	}
	return nil
}

func retry(logger watermill.LoggerAdapter) middleware.Retry {
	return middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond, Multiplier: 3,
		MaxInterval: time.Second, MaxElapsedTime: 2 * time.Second, Logger: logger,
		ShouldRetry: func(p middleware.RetryParams) bool { return !errors.Is(p.Err, context.Canceled) }}
}

// giveUp passes over what cannot be handled, unless that is because the
// reactor is being stopped.
func (r *Reactor) giveUp(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := next(msg)
		if err == nil || msg.Context().Err() != nil {
			return out, err
		}
		r.poisoned.Add(1)
		r.config.Logger.ErrorContext(msg.Context(), "an event could not be handled and was passed over; "+
			"the answer is still read from the read models", "error", err, "handler", name,
			"seq", msg.Metadata[metaSeq], "type", msg.Metadata[metaType], "corr", msg.Metadata[metaCorr])
		return nil, nil
	}
}
