package eventstore

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Copy queues rows that are new to a table, which is named with its columns, for
// [Send]: they are written to the database's pages many at a time, for half to four
// fifths of what inserting them costs. That takes defaults that are the same for
// all of them. write appends the columns' values in their order. A row that the
// table has already fails the transaction. The rows belong to the batch until it
// was sent.
func Copy[R any](b *pgx.Batch, into string, rows []R, write func(*Row, *R)) {
	if len(rows) > 0 {
		b.Queue("COPY "+into+" FROM STDIN (FORMAT binary)", &rowsOf[R]{rows, write})
	}
}

// copied is the argument of a statement that copies.
type copied interface {
	appendTo(to []byte) ([]byte, error)
}

type rowsOf[R any] struct {
	rows  []R
	write func(*Row, *R)
}

// Row is a row on its way to a table, in the "Binary Format" of COPY in
// PostgreSQL's manual: each value after its length, in the form in which its type
// is sent.
type Row struct {
	to     []byte
	values int
	err    error // the first value's that cannot be sent
}

// Text appends a value of type text or json.
func (r *Row) Text(s string) { r.to = append(r.begin(len(s)), s...) }

// Bytes appends a value of type text or json.
func (r *Row) Bytes(b []byte) { r.to = append(r.begin(len(b)), b...) }

// Bigint appends a value of type bigint.
func (r *Row) Bigint(n int64) {
	r.to = binary.BigEndian.AppendUint64(r.begin(8), uint64(n)) //nolint:gosec // its bits
}

// Int appends a value of type int.
func (r *Row) Int(n int) {
	if int(int32(n)) != n { //nolint:gosec // that is what is asked
		r.fail(fmt.Errorf("%d is beyond the range of an int", n))
	}
	r.to = binary.BigEndian.AppendUint32(r.begin(4), uint32(n)) //nolint:gosec // its bits
}

// Time appends a value of type timestamptz, without what is below a microsecond.
func (r *Row) Time(t time.Time) { r.Bigint(t.UnixMicro() - epochMicros) }

// epochMicros is where PostgreSQL's times begin: the year 2000.
var epochMicros = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// UUID appends a value of type uuid by its text.
func (r *Row) UUID(s string) {
	id, err := uuid.Parse(s)
	if err != nil {
		r.fail(fmt.Errorf("the id %q is no UUID", s))
	}
	r.to = append(r.begin(len(id)), id[:]...)
}

func (r *Row) begin(length int) []byte {
	r.values++
	return binary.BigEndian.AppendUint32(r.to, uint32(length)) //nolint:gosec // see longestMessage
}

func (r *Row) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("value %d of a row: %w", r.values+1, err)
	}
}

// longMessage is how long a message is before the next row begins another.
const longMessage = 64 << 10

func (c *rowsOf[R]) appendTo(to []byte) ([]byte, error) {
	to, begin := beginCopyData(to)
	row := Row{to: append(to, copyHeader...)}
	for i := range c.rows {
		if len(row.to)-begin >= longMessage {
			setLength(row.to[begin:], len(row.to)-begin)
			row.to, begin = beginCopyData(row.to)
		}
		count := len(row.to)
		row.to, row.values = append(row.to, 0, 0), 0
		c.write(&row, &c.rows[i])
		if row.err == nil && len(row.to)-begin > longestMessage {
			row.err = fmt.Errorf("a row of %d bytes is longer than a message may be", len(row.to)-count)
		}
		if row.err != nil {
			return row.to, row.err
		}
		binary.BigEndian.PutUint16(row.to[count:], uint16(row.values)) //nolint:gosec // columns
	}
	to = append(row.to, copyEnd...)
	setLength(to[begin:], len(to)-begin)
	return (&pgproto3.CopyDone{}).Encode(to)
}

// beginCopyData begins the message CopyData; its length goes to where it returns.
func beginCopyData(to []byte) ([]byte, int) {
	return append(to, 'd', 0, 0, 0, 0), len(to) + 1
}
