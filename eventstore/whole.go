package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// wholly sends whole transactions, from begin to commit, of which nothing is
// read but whether they took place:
//
//	Bind Execute Bind Execute … Sync ──▶
//	                                 ◀── … CommandComplete "COMMIT", ReadyForQuery
//
// pgx would encode each statement into memory of its own, copy that into its
// message and let go of both, and ask what rows there will be. Here parameters are
// encoded where they are sent from, and the memory is kept, which saves a busy
// site 3 to 10 % of its processor. The zero value is ready; it is not for several
// goroutines.
type wholly struct {
	sent []byte // the last transaction, for its room
}

// What a server says of a statement that is no longer as it was prepared, or not
// prepared at all: see "PostgreSQL Error Codes" in its manual.
const (
	codeOutdated   = "0A000" // feature_not_supported: cached plan must not change result type
	codeUnprepared = "26000" // invalid_sql_statement_name
)

const (
	// mostKept is how much room is kept for the next transaction, in bytes.
	mostKept = 1 << 20
	// longestMessage is what a server takes of one: PostgreSQL's MaxAllocSize.
	longestMessage = 1<<30 - 1
	// mostStatements bounds how many are sent before an answer is read: those of
	// more might fill what lies between, with either side waiting for the other.
	mostStatements = 500
)

// send sends a transaction and waits for the answer, however long that takes. A
// connection that fails on the way is closed, and so is one whose statements are
// not as they were prepared; one on which a statement was refused is left in the
// transaction.
func (w *wholly) send(ctx context.Context, conn *pgx.Conn, transaction *pgx.Batch) error {
	if err := w.encode(ctx, conn, transaction); err != nil {
		return err
	}
	_, err := conn.PgConn().Conn().Write(w.sent)
	if cap(w.sent) > mostKept {
		w.sent = nil
	}
	var refused *pgconn.PgError
	if err == nil {
		refused, err = answer(conn.PgConn().Frontend())
	}
	switch {
	case err != nil:
		_ = conn.Close(ctx) // pgx does not know that it is of no use any more
		if refused != nil {
			return errors.Join(refused, err)
		}
		return err
	case refused == nil:
		return nil
	case refused.Code == codeOutdated || refused.Code == codeUnprepared:
		_ = conn.Close(ctx)
	}
	return refused
}

func (w *wholly) encode(ctx context.Context, conn *pgx.Conn, transaction *pgx.Batch) error {
	w.sent = w.sent[:0]
	for _, q := range transaction.QueuedQueries {
		// What is prepared already is known without asking.
		prepared, err := conn.Prepare(ctx, q.SQL, q.SQL)
		if err != nil {
			return err
		}
		if w.sent, err = appendQuery(w.sent, conn.TypeMap(), prepared, q.Arguments); err != nil {
			return &refusedError{err} // nothing was sent
		}
	}
	var err error
	w.sent, err = (&pgproto3.Sync{}).Encode(w.sent)
	return err
}

// appendQuery appends the messages Bind and Execute, see "Message Formats" in
// PostgreSQL's manual.
func appendQuery(to []byte, types *pgtype.Map, prepared *pgconn.StatementDescription, args []any) ([]byte, error) {
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
	return (&pgproto3.Execute{}).Encode(to)
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
	return binary.BigEndian.AppendUint16(to, uint16(n)) //nolint:gosec // a format, or a number of parameters
}

func setLength(at []byte, n int) { binary.BigEndian.PutUint32(at, uint32(n)) } //nolint:gosec // see longestMessage

// answer waits for the answer to a transaction. It returns the server's refusal,
// and what the connection failed with.
func answer(from *pgproto3.Frontend) (refused *pgconn.PgError, err error) {
	committed := false
	for {
		message, err := from.Receive()
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
			if refused == nil && !committed {
				return nil, errors.New("the server is ready again and did not commit")
			}
			return refused, nil
		}
	}
}
