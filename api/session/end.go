package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// Close ends the session that a token belongs to and returns it, or
// [ErrInvalid] for a token that is none. To close twice is no error.
func (s *Store) Close(ctx context.Context, token string, by Caller) (Session, error) {
	t, err := find(ctx, s.pool, token)
	if err == nil && !t.closed {
		err = s.end(ctx, t.session, by, func(d domain.Session) []domain.Fact { return d.Close(domain.ClosedByLogout) })
	}
	switch {
	case errors.Is(err, ErrInvalid):
		return Session{}, ErrInvalid
	case err != nil:
		return Session{}, fmt.Errorf("close a session: %w", err)
	}
	return t.session, nil
}

// end records the end of a session; [Ends] closes the row with it. Somebody
// else who ends it at the same moment is as good.
func (s *Store) end(ctx context.Context, of Session, by Caller, decide func(domain.Session) []domain.Fact) error {
	stream := domain.SessionStream(of.ID)
	records, err := s.log.ReadStream(ctx, stream)
	if err != nil {
		return err
	}
	var state domain.Session
	for _, r := range records {
		state = state.Apply(r.Fact)
	}
	facts := decide(state)
	if len(facts) == 0 {
		return nil
	}
	_, err = s.log.Append(ctx, eventstore.Append{Actor: domain.UserStream(of.User), Corr: by.Corr, Writes: []eventstore.Write{{
		Stream: stream, Expected: eventstore.Version(len(records)), Facts: facts}}})
	var conflict *eventstore.ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil
	case isReadOnly(err):
		b := &pgx.Batch{}
		queueClose(b, []string{of.ID}, nil)
		err = s.pool.SendBatch(ctx, b).Close()
	}
	return err
}

// EndOthers returns the writes that record the end of all sessions of a user
// but one, for an append whose event ends them, and what that append must run
// so that the one goes on.
func (s *Store) EndOthers(ctx context.Context, user, kept string) (others []string, writes []eventstore.Write, with func(context.Context, pgx.Tx) error, err error) {
	rows, err := s.pool.Query(ctx, `SELECT id::text FROM sessions WHERE user_id = $1 AND closed_at IS NULL AND expires_at > $2
		AND id::text <> $3 ORDER BY opened_at DESC LIMIT $4`, user, s.now().UTC(), kept, maxTold)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("look for a user's sessions: %w", err)
	}
	if others, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, nil, fmt.Errorf("look for a user's sessions: %w", err)
	}
	for _, id := range others {
		writes = append(writes, eventstore.Write{Stream: domain.SessionStream(id), Expected: eventstore.Any,
			Facts: []domain.Fact{domain.SessionClosed{Reason: domain.ClosedByPasswordChange}}})
	}
	with = func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('sallyport.kept_sessions', coalesce(current_setting('sallyport.kept_sessions', true), '') || ' ' || $1, true)`, kept)
		return err
	}
	return others, writes, with, nil
}

// maxTold bounds the sessions whose end by one event is recorded. The others
// end all the same.
const maxTold = 100

// closeRows ends sessions by their ids, and those of users but for the ones
// that this transaction keeps.
const closeRows = `UPDATE sessions SET closed_at = clock_timestamp()
	WHERE closed_at IS NULL AND (id = ANY ($1::uuid[]) OR user_id = ANY ($2::text[])
		AND position(id::text in coalesce(current_setting('sallyport.kept_sessions', true), '')) = 0)`

// queueClose queues the end of sessions, and word of it for other processes.
func queueClose(b *pgx.Batch, sessions, users []string) {
	b.Queue(closeRows, sessions, users)
	eventstore.Tell(b, projections.RightsChanged)
}

// Ends is the projection that closes the rows of sessions with the events that
// end them, their own and their users', and has other processes told. It belongs into the list of the log's
// inline read models, and is asked by a [Watch] of the same process.
type Ends struct{ newest atomic.Int64 } // when all sessions of a user last ended, Unix nanoseconds

// endsUser are the events that end all sessions of a user.
var endsUser = []string{"user.password_changed", "user.deactivated"}

// Apply implements [eventstore.Projection].
func (e *Ends) Apply(b *pgx.Batch, records []eventstore.Record) error {
	var sessions, users []string
	for _, r := range records {
		if r.Type == (domain.SessionClosed{}).EventType() {
			sessions = append(sessions, strings.TrimPrefix(r.Stream, domain.SessionStream("")))
		} else if slices.Contains(endsUser, r.Type) {
			users = append(users, strings.TrimPrefix(r.Stream, domain.UserStream("")))
		}
	}
	if len(sessions)+len(users) > 0 {
		queueClose(b, sessions, users)
	}
	if len(users) > 0 {
		e.newest.Store(time.Now().UnixNano())
	}
	return nil
}

// lately reports whether a user's sessions ended a moment ago, which may not
// have been committed yet. Of a session that ended by itself its own call tells.
func (e *Ends) lately() bool {
	return within(time.Now(), time.Unix(0, e.newest.Load()), settled)
}

// settled is by when a transaction that ends a session has been committed.
const settled = 5 * time.Second

// CloseAll ends every session in the caller's transaction: of a site that was
// restored nobody knows which of them were closed since.
func CloseAll(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `UPDATE sessions SET closed_at = clock_timestamp() WHERE closed_at IS NULL`); err != nil {
		return fmt.Errorf("close all sessions: %w", err)
	}
	return nil
}
