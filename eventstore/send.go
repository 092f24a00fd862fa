package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// What a server says of a statement that is no longer as it was prepared, or not
// prepared at all: see "PostgreSQL Error Codes" in its manual.
const (
	codeOutdated   = "0A000" // feature_not_supported: cached plan must not change result type
	codeUnprepared = "26000" // invalid_sql_statement_name
)

const (
	// mostKept is how much room is kept for what is sent next, in bytes.
	mostKept = 1 << 20
	// longestMessage is what a server takes of one, PostgreSQL's MaxAllocSize, and
	// leaves room for the end of what is copied.
	longestMessage = 1<<30 - 4
	// mostStatements bounds how many are sent before an answer is read: those of
	// more might fill what lies between, with either side waiting for the other.
	mostStatements = 500
)

// unsentError says that a statement could not be sent, and nothing with it: its
// transaction cannot commit.
type unsentError struct{ cause error }

func (e *unsentError) Error() string { return e.cause.Error() }

func (e *unsentError) Unwrap() error { return e.cause }

// room is memory in which statements were encoded before.
var room = sync.Pool{New: func() any { return new([]byte) }}

// Send sends statements of which nothing is read but that each was carried out,
// [Copy]'s among them, and waits for the answer:
//
//	Bind Execute Bind Execute CopyData CopyDone … Sync ──▶
//	                                                   ◀── … ReadyForQuery
//
// Up to 500 of them travel together; those of more have to be in a transaction to
// be carried out together. pgx would encode each one into memory of its own, copy
// that into its message and let go of both, and ask what rows there will be; and it
// copies nothing without asking first.
//
// It returns a [*pgconn.PgError] if one was refused, which ends the transaction. A
// connection that fails on the way is closed; so is one whose context ends while it
// waits, after the server was asked to cancel what it does.
func Send(ctx context.Context, conn *pgx.Conn, statements *pgx.Batch) error {
	if conn.IsClosed() || conn.PgConn().IsBusy() {
		return fmt.Errorf("send: nothing was sent on a connection that is closed or that somebody reads from: %w", net.ErrClosed)
	}
	kept := room.Get().(*[]byte) //nolint:forcetypeassert // nothing else is put there
	defer func() {
		if cap(*kept) <= mostKept {
			room.Put(kept)
		}
	}()
	for some := range slices.Chunk(statements.QueuedQueries, mostStatements) {
		sent, err := encode(ctx, (*kept)[:0], conn, some)
		if *kept = sent; err != nil {
			return err
		}
		commits := some[len(some)-1].SQL == "commit"
		if err := exchange(ctx, conn, sent, commits); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends what is encoded and waits for the answer.
func exchange(ctx context.Context, conn *pgx.Conn, sent []byte, commits bool) error {
	wire := conn.PgConn().Conn()
	given := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(given)
		_ = wire.SetDeadline(time.Unix(1, 0)) // what fails is reading and writing
	})
	_, err := wire.Write(sent)
	var refused *pgconn.PgError
	if err == nil {
		refused, err = answer(context.WithoutCancel(ctx), conn.PgConn(), commits) // whose end is seen to above
	}
	if !stop() {
		<-given
		err = errors.Join(err, wire.SetDeadline(time.Time{}))
	}
	switch {
	case err != nil:
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err, cancel(ctx, conn.PgConn()))
		}
		_ = conn.Close(ctx) // pgx does not know that it is of no use any more
		if refused != nil {
			err = errors.Join(refused, err)
		}
		return err
	case refused == nil:
		return nil
	case refused.Code == codeOutdated || refused.Code == codeUnprepared:
		_ = conn.Close(ctx)
	}
	return refused
}

// cancelTime bounds how long a server is asked to cancel.
const cancelTime = time.Second

// cancel keeps a server from going on, with all that it has locked, for somebody
// who has left.
func cancel(ctx context.Context, conn *pgconn.PgConn) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer done()
	return conn.CancelRequest(ctx)
}

func encode(ctx context.Context, to []byte, conn *pgx.Conn, statements []*pgx.QueuedQuery) ([]byte, error) {
	prepared, err := prepare(ctx, conn.PgConn(), statements)
	if err != nil {
		_ = conn.Close(ctx) // which of them the server knows is not known
		return to, err
	}
	for _, q := range statements {
		if to, err = appendQuery(to, conn.TypeMap(), prepared[q.SQL], q.Arguments); err != nil {
			return to, &unsentError{err}
		}
	}
	return (&pgproto3.Sync{}).Encode(to)
}

// descriptions is where a connection's prepared statements are kept with it, by
// their SQL.
const descriptions = "sallyport/prepared"

// prepare returns a connection's prepared statements. Those that come for the
// first time take one trip together.
func prepare(ctx context.Context, conn *pgconn.PgConn, statements []*pgx.QueuedQuery) (map[string]*pgconn.StatementDescription, error) {
	known, _ := conn.CustomData()[descriptions].(map[string]*pgconn.StatementDescription)
	if known == nil {
		known = map[string]*pgconn.StatementDescription{}
		conn.CustomData()[descriptions] = known
	}
	var unknown []string
	for _, q := range statements {
		if known[q.SQL] == nil && !slices.Contains(unknown, q.SQL) {
			unknown = append(unknown, q.SQL)
		}
	}
	if len(unknown) == 0 {
		return known, nil
	}
	trip := conn.StartPipeline(ctx)
	name := func(i int) string { return fmt.Sprint("sent_", i) }
	for i, sql := range unknown {
		trip.SendPrepare(name(len(known)+i), sql, nil)
	}
	err := trip.Sync()
	for i := 0; i < len(unknown) && err == nil; i++ {
		var result any
		if result, err = trip.GetResults(); err == nil {
			description := result.(*pgconn.StatementDescription) //nolint:forcetypeassert // it is what was asked for
			description.Name = name(len(known))
			known[unknown[i]] = description
		}
	}
	return known, errors.Join(err, trip.Close())
}

// appendQuery appends the messages Bind and Execute, see "Message Formats" in
// PostgreSQL's manual, and those of the rows to be copied.
func appendQuery(to []byte, types *pgtype.Map, prepared *pgconn.StatementDescription, args []any) ([]byte, error) {
	var rows copied
	if len(args) == 1 {
		if r, ok := args[0].(copied); ok {
			rows, args = r, nil
		}
	}
	if len(args) != len(prepared.ParamOIDs) {
		return to, fmt.Errorf("%d parameters for a statement of %d", len(args), len(prepared.ParamOIDs))
	}
	begin := len(to) + 1
	to = append(to, 'B', 0, 0, 0, 0)
	to = append(to, 0) // the portal without a name
	to = append(append(to, prepared.Name...), 0)
	to = appendCount(to, len(args))
	formats := len(to)
	for range args {
		to = appendCount(to, pgtype.TextFormatCode)
	}
	to = appendCount(to, len(args))
	for i, arg := range args {
		value, format, err := appendParameter(to, types, prepared.ParamOIDs[i], arg)
		if err != nil {
			return to, fmt.Errorf("encode parameter %d: %w", i+1, err)
		}
		to = value
		binary.BigEndian.PutUint16(to[formats+2*i:], uint16(format)) //nolint:gosec // 0 or 1
	}
	to = appendCount(to, 0) // results as text: nobody reads them
	if len(to)-begin > longestMessage {
		return to, fmt.Errorf("a statement of %d bytes is longer than a message may be", len(to)-begin)
	}
	setLength(to[begin:], len(to)-begin)
	to, err := (&pgproto3.Execute{}).Encode(to)
	if err != nil || rows == nil {
		return to, err
	}
	return rows.appendTo(to)
}

// appendParameter appends a value after its length, or NULL, and returns its
// format. As with pgx, what has no form in the type's preferred format is sent in
// the other one: an array of texts as one of UUIDs, for example.
func appendParameter(to []byte, types *pgtype.Map, oid uint32, arg any) ([]byte, int16, error) {
	format := types.FormatCodeForOID(oid)
	if _, text := arg.(string); text {
		format = pgtype.TextFormatCode
	}
	value, err := appendAs(to, types, oid, format, arg)
	if err == nil {
		return value, format, nil
	}
	other := pgtype.BinaryFormatCode - format
	if value, otherErr := appendAs(to, types, oid, other, arg); otherErr == nil {
		return value, other, nil
	}
	return to, format, err
}

func appendAs(to []byte, types *pgtype.Map, oid uint32, format int16, arg any) ([]byte, error) {
	at := len(to)
	to = append(to, 0xff, 0xff, 0xff, 0xff) // the length of NULL
	value, err := types.Encode(oid, format, arg, to)
	if err != nil || value == nil {
		return to, err
	}
	setLength(value[at:], len(value)-at-4)
	return value, nil
}

func appendCount(to []byte, n int) []byte {
	return binary.BigEndian.AppendUint16(to, uint16(n)) //nolint:gosec // a format, or a number of parameters or columns
}

func setLength(at []byte, n int) { binary.BigEndian.PutUint32(at, uint32(n)) } //nolint:gosec // see longestMessage

// answer waits for the answer to statements. It returns the server's refusal, and
// what the connection failed with.
func answer(ctx context.Context, from *pgconn.PgConn, commits bool) (refused *pgconn.PgError, err error) {
	committed := false
	for {
		message, err := from.ReceiveMessage(ctx)
		if err != nil {
			return refused, err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			if refused == nil {
				refused = pgconn.ErrorResponseToPgError(m)
			}
		case *pgproto3.CommandComplete:
			committed = string(m.CommandTag) == "COMMIT"
		case *pgproto3.ReadyForQuery:
			if refused == nil && commits && !committed {
				return nil, errors.New("the server is ready again and did not commit")
			}
			return refused, nil
		}
	}
}
