package sqlresponder

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/responders"
)

// grace is how much longer than the statement's own time limit a whole
// question may take: waiting for a connection, the trip, the rows.
const grace = 2 * time.Second

const contentType = "application/json"

// Respond answers one question. Every error is a [*responders.Failure].
func (r *Responder) Respond(ctx context.Context, q responders.Question) (responders.Answer, error) {
	pool, ok := r.sources[q.Config.Source]
	if !ok {
		return responders.Answer{}, errUnknownSource.By(nil)
	}
	args, err := bind(q.Params)
	if err != nil {
		// The parser's words may quote the value.
		return responders.Answer{}, errBadParameter.By(errors.New("the parameters are no JSON object"))
	}
	limit := q.Config.TimeLimit()
	ctx, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	answer, err := ask(ctx, pool, q, args, limit)
	if err != nil {
		return responders.Answer{}, failure(ctx, err)
	}
	return answer, nil
}

// ask runs the statement in a transaction of its own, in one trip.
func ask(ctx context.Context, pool *pgxpool.Pool, q responders.Question, args pgx.NamedArgs, limit time.Duration) (responders.Answer, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return responders.Answer{}, err
	}
	defer release(ctx, conn)
	b := &pgx.Batch{}
	b.Queue(`begin transaction read only`)
	b.Queue(`select set_config('statement_timeout', $1, true)`, strconv.FormatInt(limit.Milliseconds(), 10))
	b.Queue(wrap(q.Config.Statement, q.MaxResults+1), args)
	b.Queue(`rollback`)
	results := conn.SendBatch(ctx, b)
	answer, whole, err := read(results, q)
	if err == nil && !whole {
		// What has no room may be without end: it is given up with its connection.
		_ = conn.Conn().Close(ctx)
		_ = results.Close()
		return answer, nil
	}
	return answer, errors.Join(err, results.Close())
}

// release gives the connection back outside of any transaction, so that a
// refused statement does not cost a new connection.
func release(ctx context.Context, conn *pgxpool.Conn) {
	if c := conn.Conn(); !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
		// Should this fail, the pool drops the connection, which has the same effect.
		_, _ = conn.Exec(ctx, "rollback")
	}
	conn.Release()
}

// wrap makes the statement a sub-select: PostgreSQL admits nothing there that
// changes data, and encodes the rows itself. The line feed ends a comment that
// the statement may end with.
func wrap(statement string, limit int) string {
	return fmt.Sprintf("select to_json(r) from (%s\n) r limit %d", bare(statement), limit)
}

// bare drops the semicolon that people end a statement with.
func bare(statement string) string {
	return strings.TrimRight(statement, "; \t\r\n")
}

// read returns the answer, and whether all that the source sends was read.
func read(results pgx.BatchResults, q responders.Question) (a responders.Answer, whole bool, err error) {
	for range 2 { // begin, set_config
		if _, err := results.Exec(); err != nil {
			return responders.Answer{}, false, err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return responders.Answer{}, false, err
	}
	a, whole = collect(rows, q.MaxResults, q.MaxBytes)
	if !whole {
		return a, false, nil
	}
	rows.Close()
	if errors.As(rows.Err(), new(*pgproto3.ExceededMaxBodyLenErr)) {
		a.Truncated = true
		return a, false, nil
	}
	return a, true, rows.Err()
}

// collect writes the rows as one JSON array until a limit is reached. whole is
// false where the bytes ran out; else at most one row is left to be read.
func collect(rows pgx.Rows, maxRows, maxBytes int) (a responders.Answer, whole bool) {
	a, whole = responders.Answer{ContentType: contentType}, true
	result := []byte{'['}
	for rows.Next() {
		row := rows.RawValues()[0]
		whole = len(result)+len(row)+len(",]") <= maxBytes
		if a.Truncated = a.Count == maxRows || !whole; a.Truncated {
			break
		}
		if a.Count > 0 {
			result = append(result, ',')
		}
		result = append(result, row...)
		a.Count++
	}
	a.Result = append(result, ']')
	return a, whole
}
