package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Stored reports whether this site has written an event. It waits for whoever
// holds the head: a commit whose answer was lost is over by then, one way or the
// other.
func (s *Store) Stored(ctx context.Context, id string) (yes bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := scanHead(tx.QueryRow(ctx, selectHead+` FOR UPDATE`)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM events WHERE id = $1 AND origin = $2)`,
			id, s.site.Site).Scan(&yes)
	})
	return yes, err
}

// Committed finds out what became of a transaction with an AppendTx whose
// commit failed with cause: nil if the event of that id is stored after all,
// the cause if it is not, or [*UnknownError] if the database stays away.
func (s *Store) Committed(ctx context.Context, id string, cause error) error {
	return s.resolve(context.WithoutCancel(ctx), id, server{}, cause)
}

// resolve finds out what became of a commit whose answer was lost, by waiting
// for the head that it held and then looking for its first event. lost is the
// server that was to commit, and is ended first: it may have the transaction
// still to read from a connection that is no more. An ERROR is an answer; a FATAL
// is none, for a server that is being shut down may send it after the commit took
// place.
func (s *Store) resolve(ctx context.Context, id string, lost server, cause error) error {
	if refused := refusal(cause); errors.As(refused, new(*refusedError)) {
		return refused
	}
	ctx, cancel := context.WithTimeout(ctx, s.writer.patience)
	defer cancel()
	for {
		var stored bool
		err := s.end(ctx, lost)
		if err == nil {
			stored, err = s.Stored(ctx, id)
		}
		switch {
		case err == nil && stored:
			return nil
		case err == nil:
			return fmt.Errorf("append: %w; nothing was stored", cause)
		}
		select {
		case <-ctx.Done():
			return &UnknownError{ID: id, Cause: cause}
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// server is the process of the database at the other end of a connection that
// was lost. The zero value is none: the connection is there, or whoever had it
// holds the head, which is waited for.
type server struct {
	pid  uint32
	busy time.Time // a moment when it was there
}

// What has no row has ended. Its number may be another's by now, which began
// later: how long ago the server was there is told by our clock, and how old a
// process is by the database's, so that they need not agree.
const endServer = `
	SELECT coalesce(bool_and(pg_terminate_backend(pid, 500)), true) FROM pg_stat_activity
	WHERE pid = $1 AND usename = session_user AND datname = current_database() AND pid <> pg_backend_pid()
	  AND backend_start < clock_timestamp() - make_interval(secs => $2)`

// end returns when the server has ended.
func (s *Store) end(ctx context.Context, lost server) error {
	if lost == (server{}) {
		return nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var ended bool
	// In one trip, for the time passes on the way.
	err = conn.QueryRow(ctx, endServer, pgx.QueryExecModeExec, lost.pid, time.Since(lost.busy).Seconds()).Scan(&ended)
	if err == nil && !ended {
		err = fmt.Errorf("the database's process %d does not end", lost.pid)
	}
	return err
}

// The events of one append lie together.
const selectAppended = selectRecords + `
	WHERE seq >= (SELECT seq FROM events WHERE origin = $1 AND id = $2) ORDER BY seq LIMIT $3`

// recall returns what was stored when an append under the same id succeeded,
// or the refusal if none did.
func (s *Store) recall(ctx context.Context, p *pending, refusal error) ([]Record, error) {
	if errors.Is(refusal, ErrOverloaded) || errors.Is(refusal, ErrClosed) || errors.Is(refusal, ErrUnknown) || ctx.Err() != nil {
		return nil, refusal
	}
	records, err := s.query(ctx, selectAppended, s.site.Site, p.append.ID, len(p.drafts))
	switch {
	case err != nil:
		return nil, &UnknownError{ID: p.append.ID, Cause: errors.Join(refusal, err)}
	case len(records) == 0:
		return nil, refusal
	case !p.made(records):
		return nil, &IDTakenError{ID: p.append.ID, Seq: records[0].Seq}
	}
	for i := range records {
		records[i].StoredAt = time.Time{}
	}
	return records, nil
}

// made reports whether the append could have led to these events.
func (p *pending) made(records []Record) bool {
	if len(records) != len(p.drafts) {
		return false
	}
	for i, d := range p.drafts {
		r := records[i]
		if r.Stream != d.event.Stream || r.Type != d.event.Type || !bytes.Equal(r.Data, d.event.Data) {
			return false
		}
	}
	return true
}
