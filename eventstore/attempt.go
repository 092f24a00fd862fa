package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// attempt is one transaction of the writer. It speaks to the connection itself
// so that its statements travel together: begin, lock and look-up in one trip,
// events, projections and commit in another; or all of it in a single one,
// when it is foreseen what the look-up would find.
type attempt struct {
	store    *Store
	conn     *pgxpool.Conn
	begun    time.Time // when the connection was had
	open     bool
	foreseen *expectation // nil: lock and look up first
	head     Head
	vers     map[string]int64
	batch    *batch
	rejected []*pending
}

// reject takes an append out of the group.
func (t *attempt) reject(p *pending, err error) {
	p.records, p.err = nil, err
	t.rejected = append(t.rejected, p)
}

// begin runs the callers' own statements, then locks the head and reads the
// streams' versions. It returns the appends that go on.
func (t *attempt) begin(ctx context.Context, group []*pending) ([]*pending, error) {
	t.open = true
	if t.foreseen != nil {
		t.head, t.vers = t.foreseen.head, t.foreseen.after()
		return group, nil
	}
	lead := &pgx.Batch{}
	if hasWith(group) {
		tx, err := t.conn.Begin(ctx)
		if err != nil {
			return group, fmt.Errorf("append: begin: %w; nothing was stored", err)
		}
		if group = t.runWith(ctx, tx, group); len(group) == 0 {
			return nil, nil
		}
	} else {
		lead.Queue("begin")
	}
	queueAlso(lead, group)
	var err error
	t.head, t.vers, err = t.store.lockHead(ctx, t.conn, lead, streamsOf(group))
	return group, err
}

// queueAlso queues the statements that travel with the log's own, each once for
// all appends that bring it.
func queueAlso(to *pgx.Batch, group []*pending) {
	var order []string
	columns := map[string][][]string{}
	for _, p := range group {
		also := p.append.Also
		if also == nil {
			continue
		}
		if columns[also.SQL] == nil {
			order = append(order, also.SQL)
			columns[also.SQL] = make([][]string, len(also.Args))
		}
		for i, arg := range also.Args {
			columns[also.SQL][i] = append(columns[also.SQL][i], arg)
		}
	}
	for _, sql := range order {
		args := make([]any, len(columns[sql]))
		for i, column := range columns[sql] {
			args[i] = column
		}
		to.Queue(sql, args...)
	}
}

func hasWith(group []*pending) bool {
	return slices.ContainsFunc(group, func(p *pending) bool { return p.append.With != nil })
}

// runWith runs each append's own statements in a savepoint; who fails leaves.
func (t *attempt) runWith(ctx context.Context, tx pgx.Tx, group []*pending) []*pending {
	nested := context.WithValue(ctx, nestedKey{}, true)
	left := make([]*pending, 0, len(group))
	for _, p := range group {
		if p.append.With != nil {
			run := func(sp pgx.Tx) error { return p.append.With(nested, sp) }
			if err := pgx.BeginFunc(ctx, tx, run); err != nil {
				t.reject(p, err)
				continue
			}
		}
		left = append(left, p)
	}
	return left
}

// fold gives each append its places in the log. retry is true when a rejected
// append's own statements must be undone with the whole transaction. Whether
// an append is to be rejected is never told from what is only foreseen.
func (t *attempt) fold(group []*pending) (left []*pending, retry bool, err error) {
	t.batch = newBatch(t.store, t.head, t.vers)
	if t.foreseen != nil {
		t.foreseen.queue(t.batch.statements, group)
	}
	t.batch.records = make([]Record, 0, draftsIn(group))
	for _, p := range group {
		if err := t.batch.add(p); err != nil {
			if t.foreseen != nil {
				return group, false, errUnforeseen
			}
			retry = retry || p.append.With != nil || p.append.Also != nil
			t.reject(p, err)
			continue
		}
		left = append(left, p)
	}
	if retry || len(left) == 0 {
		return left, retry, nil
	}
	t.head = t.batch.head
	if err := t.batch.queue(); err != nil {
		return left, false, &refusedError{err}
	}
	return left, false, nil
}

func draftsIn(group []*pending) int {
	n := 0
	for _, p := range group {
		n += len(p.drafts)
	}
	return n
}

func (t *attempt) commit(ctx context.Context) error {
	t.batch.statements.Queue("commit")
	if err := t.send(ctx); err != nil {
		return err
	}
	t.open = false
	return nil
}

func (t *attempt) send(ctx context.Context) error {
	err := Send(ctx, t.conn.Conn(), t.batch.statements)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == codeUnforeseen:
		return errUnforeseen
	case errors.As(err, new(*unsentError)):
		return &refusedError{err}
	}
	return err
}

// lost returns the server whose connection was lost, and makes room in the pool
// for who inquires after it; none if the connection is there.
func (t *attempt) lost() server {
	if !t.conn.Conn().IsClosed() {
		return server{}
	}
	gone := server{t.conn.Conn().PgConn().PID(), t.begun}
	t.open = false
	t.conn.Release()
	return gone
}

func (t *attempt) rollback(ctx context.Context) {
	if t.open && !t.conn.Conn().IsClosed() {
		// Should this fail, the pool drops the connection, which has the same effect.
		_, _ = t.conn.Exec(context.WithoutCancel(ctx), "rollback")
	}
}
