package reactor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
)

// Poison is the queue of events that handlers gave up: each stays until a
// person puts it back or drops it.
type Poison struct{ pool *pgxpool.Pool }

// NewPoison returns the queue in a migrated database.
func NewPoison(pool *pgxpool.Pool) *Poison { return &Poison{pool} }

// Poisoned is an event that a handler gave up.
type Poisoned struct {
	ID       int64            `json:"id"`
	Reactor  string           `json:"reactor"`
	Target   string           `json:"target"` // the one receiver it failed for; empty: all that the reactor does
	Seq      int64            `json:"seq"`    // of the event
	EventID  string           `json:"event_id"`
	Origin   string           `json:"origin"`
	Stream   string           `json:"stream"`
	Type     string           `json:"type"`
	Corr     string           `json:"corr"`
	Reason   string           `json:"reason"`   // of the last failure
	Failures int              `json:"failures"` // how often it was given up
	FirstAt  domain.Timestamp `json:"first_at"`
	LastAt   domain.Timestamp `json:"last_at"`
	// RequeuedAt is when it was put back, until it was tried; null: it waits for
	// a decision.
	RequeuedAt *domain.Timestamp `json:"requeued_at"`
	// Event is the event's line. Lists leave it out, and so does what holds a secret.
	Event json.RawMessage `json:"event,omitempty"`
}

// ErrNotPoisoned says that nothing of an id is in the queue.
var ErrNotPoisoned = &domain.Error{Kind: domain.NotFound, Code: "not-found",
	Detail: "nothing of this id is in the poison queue: it was handled or dropped meanwhile, or never there"}

const (
	maxReason = 2000

	putPoison = `
		INSERT INTO poisoned (reactor, seq, target, reason) VALUES ($1, $2, $3, $4)
		ON CONFLICT (reactor, seq, target) DO UPDATE
		SET reason = excluded.reason, failures = poisoned.failures + 1, last_at = clock_timestamp(), requeued_at = NULL`

	selectPoison = `SELECT p.id, p.reactor, p.target, p.seq, e.id::text, e.origin, e.stream, e.type, e.corr, p.reason, p.failures,
		p.first_at, p.last_at, p.requeued_at, e.line FROM poisoned AS p JOIN events AS e USING (seq) `
)

// Put adds an event, or counts one more failure of it.
func (p *Poison) Put(ctx context.Context, reactor string, seq int64, target, reason string) error {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	if _, err := p.pool.Exec(ctx, putPoison, reactor, seq, target, strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", " "), " ")); err != nil {
		return fmt.Errorf("put event %d into the poison queue: %w", seq, err)
	}
	return nil
}

func scanPoisoned(row pgx.CollectableRow) (Poisoned, error) {
	var p Poisoned
	var first, last time.Time
	var requeued *time.Time
	var line string
	err := row.Scan(&p.ID, &p.Reactor, &p.Target, &p.Seq, &p.EventID, &p.Origin, &p.Stream, &p.Type, &p.Corr, &p.Reason, &p.Failures,
		&first, &last, &requeued, &line)
	p.FirstAt, p.LastAt = domain.Timestamp(first.UTC()), domain.Timestamp(last.UTC())
	if requeued != nil {
		at := domain.Timestamp(requeued.UTC())
		p.RequeuedAt = &at
	}
	if k, known := domain.KindOf(p.Type); known && !k.Secret {
		p.Event = json.RawMessage(line)
	}
	return p, err
}

// List returns those behind an id, in the order in which they came, at most
// limit of them.
func (p *Poison) List(ctx context.Context, after int64, limit int) ([]Poisoned, error) {
	all, err := p.query(ctx, `WHERE p.id > $1 ORDER BY p.id LIMIT $2`, after, limit)
	for i := range all {
		all[i].Event = nil
	}
	return all, err
}

// Depth returns how many wait for a decision.
func (p *Poison) Depth(ctx context.Context) (n int64, err error) {
	if err = p.pool.QueryRow(ctx, `SELECT count(*) FROM poisoned WHERE requeued_at IS NULL`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the poison queue: %w", err)
	}
	return n, nil
}

// Show returns one with its event, or [ErrNotPoisoned].
func (p *Poison) Show(ctx context.Context, id int64) (Poisoned, error) {
	all, err := p.query(ctx, `WHERE p.id = $1`, id)
	if err == nil && len(all) == 0 {
		err = ErrNotPoisoned
	}
	if err != nil {
		return Poisoned{}, err
	}
	return all[0], nil
}

func (p *Poison) query(ctx context.Context, where string, args ...any) ([]Poisoned, error) {
	rows, err := p.pool.Query(ctx, selectPoison+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the poison queue: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanPoisoned)
	if err != nil {
		return nil, fmt.Errorf("read the poison queue: %w", err)
	}
	return all, nil
}

// Requeue has an event handled once more, within seconds, by a process of the
// site that works. It fails with [ErrNotPoisoned].
func (p *Poison) Requeue(ctx context.Context, id int64) error {
	return change(ctx, p.pool, `UPDATE poisoned SET requeued_at = coalesce(requeued_at, clock_timestamp()) WHERE id = $1`, id)
}

// Drop takes an event out of the queue: what it would have led to never
// happens. It fails with [ErrNotPoisoned].
func (p *Poison) Drop(ctx context.Context, id int64) error {
	return change(ctx, p.pool, `DELETE FROM poisoned WHERE id = $1`, id)
}

func change(ctx context.Context, on executor, sql string, id int64) error {
	tag, err := on.Exec(ctx, sql, id)
	if err != nil {
		return fmt.Errorf("change the poison queue: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotPoisoned
	}
	return nil
}

// poisoner is where the router publishes what a handler gave up.
type poisoner struct {
	*Reactor
	handler string
}

// Publish implements [message.Publisher].
func (p poisoner) Publish(_ string, messages ...*message.Message) error {
	for _, msg := range messages {
		seq, err := strconv.ParseInt(msg.Metadata[metaSeq], 10, 64)
		if err != nil {
			return fmt.Errorf("a message without a seq: %w", err)
		}
		reason := msg.Metadata[middleware.ReasonForPoisonedKey]
		if err := p.poison.Put(msg.Context(), p.handler, seq, "", reason); err != nil {
			return err
		}
		p.poisoned.Add(1)
		p.config.Logger.ErrorContext(msg.Context(), "an event could not be handled and is in the poison queue: see `sallyport poison list`",
			"error", reason, "handler", p.handler, "seq", seq, "type", msg.Metadata[metaType], "corr", msg.Metadata[metaCorr])
	}
	return nil
}

// Close implements [message.Publisher].
func (poisoner) Close() error { return nil }

// requeueEvery is how often a handler looks for what was put back.
const requeueEvery = time.Second

// requeue handles what people put back, until the context ends.
func (r *Reactor) requeue(ctx context.Context, h Handler) {
	tick := time.NewTicker(requeueEvery)
	defer tick.Stop()
	for {
		if err := r.requeued(ctx, h); err != nil && ctx.Err() == nil {
			r.config.Logger.WarnContext(ctx, "what was put back from the poison queue could not be handled; it is tried again", "handler", h.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// requeued handles, one after the other, what was put back by now. Another
// process may do the same at the same moment: handlers bear it.
func (r *Reactor) requeued(ctx context.Context, h Handler) error {
	all, err := r.poison.query(ctx, `WHERE p.reactor = $1 AND p.requeued_at IS NOT NULL ORDER BY p.requeued_at, p.id LIMIT 100`, h.Name)
	if err != nil {
		return err
	}
	for _, p := range all {
		failed := r.again(ctx, h, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case failed != nil && !errors.Is(failed, ErrNotPoisoned):
			err = r.poison.Put(ctx, h.Name, p.Seq, p.Target, failed.Error())
		case failed == nil && h.HandleTx == nil:
			err = handled(ctx, r.config.Pool, p.ID)
		}
		if err != nil && !errors.Is(err, ErrNotPoisoned) {
			return err
		}
	}
	return nil
}

// again handles one event that was put back. A handler that writes to the
// database alone takes it out of the queue in the same transaction.
func (r *Reactor) again(ctx context.Context, h Handler, p Poisoned) error {
	e := Event{Seq: p.Seq, Origin: p.Origin, ID: p.EventID, Stream: p.Stream, Type: p.Type, Corr: p.Corr, Line: p.Event, Target: p.Target}
	if h.HandleTx == nil {
		return h.Handle(ctx, e)
	}
	return pgx.BeginFunc(ctx, r.config.Pool, func(tx pgx.Tx) error {
		if err := handled(ctx, tx, p.ID); err != nil {
			return err // another process was first
		}
		return h.HandleTx(ctx, tx, e)
	})
}

// executor is a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// handled removes what was put back and done, unless it failed anew meanwhile.
func handled(ctx context.Context, on executor, id int64) error {
	return change(ctx, on, `DELETE FROM poisoned WHERE id = $1 AND requeued_at IS NOT NULL`, id)
}
