package commands

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// CancelRequest ends a request that was not answered yet. What the other site
// makes of it later is kept, and changes nothing for the one who asked.
func (c *Commands) CancelRequest(ctx context.Context, by By, id, reason string) (Stored, error) {
	if err := c.only(domain.RequestSite, "requests are cancelled"); err != nil {
		return Stored{}, err
	}
	return c.changeRequest(ctx, by, id, domain.RequestCancelled{Reason: reason})
}

// RetryRequest asks again for what failed, if the one who asked may still use
// its type.
func (c *Commands) RetryRequest(ctx context.Context, by By, q projections.Request, reason string) (Stored, error) {
	if err := c.only(domain.RequestSite, "requests are asked again"); err != nil {
		return Stored{}, err
	}
	if err := c.mayStillUse(ctx, q.User, q.Type); err != nil {
		return Stored{}, err
	}
	return c.changeRequest(ctx, by, q.ID, domain.RequestRetried{Reason: reason})
}

func (c *Commands) mayStillUse(ctx context.Context, user, requestType string) error {
	rights, err := c.directory.Rights(ctx, user)
	if err != nil {
		return err
	}
	t, err := c.requestType(ctx, requestType)
	if err != nil {
		return err
	}
	return rights.MayUse(t.Name, t.Public)
}

// changeRequest decides under the lock of the log's head: no answer can arrive
// between the decision and its event. That is what makes an answer that was
// shown, or cached, final: only what is not answered yet is cancelled. What is
// refused anyway takes no lock.
func (c *Commands) changeRequest(ctx context.Context, by By, id string, command domain.Fact) (Stored, error) {
	state, _, err := projections.Asked(ctx, c.pool, id)
	if err != nil {
		return Stored{}, err
	}
	if _, err := state.Decide(command); err != nil {
		return Stored{}, err
	}
	tx, err := c.pool.Begin(ctx)
	if err != nil {
		return Stored{}, fmt.Errorf("change request %s: %w; nothing was changed", id, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // without effect after a commit
	last, err := c.changeIn(ctx, tx, by, id, command)
	if err != nil {
		return Stored{}, err
	}
	if err := tx.Commit(ctx); err != nil {
		if err := c.log.Committed(ctx, last.ID, err); err != nil {
			return Stored{}, fmt.Errorf("change request %s: %w", id, err)
		}
	}
	return Stored{ID: id, Seq: last.Seq, Pos: last.Pos, At: last.At}, nil
}

func (c *Commands) changeIn(ctx context.Context, tx pgx.Tx, by By, id string, command domain.Fact) (eventstore.Record, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM log_head FOR UPDATE`); err != nil {
		return eventstore.Record{}, fmt.Errorf("change request %s: %w; nothing was changed", id, err)
	}
	state, answer, err := projections.Asked(ctx, tx, id)
	if err != nil {
		return eventstore.Record{}, err
	}
	facts, err := state.Decide(command)
	if err != nil {
		return eventstore.Record{}, err
	}
	a := eventstore.Append{Actor: by.Actor, Corr: by.Corr,
		Writes: []eventstore.Write{{Stream: domain.RequestStream(id), Expected: eventstore.Any, Facts: facts}}}
	if _, retried := command.(domain.RequestRetried); retried {
		a.Cause = answer
	}
	records, err := c.log.AppendTx(ctx, tx, a)
	if err != nil {
		return eventstore.Record{}, err
	}
	return records[len(records)-1], nil
}
