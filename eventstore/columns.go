package eventstore

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Columns of rows are what set-based statements take: an array of each field.
// These are such parameters, read off the rows when they are sent. No array is
// made, and no element is: pgx is shown one and the same cell for all of them.
// A column and its rows belong to the statement that it was queued with.

// Texts is a parameter of type text[].
func Texts[R any](rows []R, of func(*R) string) pgtype.ArrayGetter {
	return &texts[R]{column: over(rows), of: of}
}

// Numbers is a parameter of type bigint[] or, within its range, int[].
func Numbers[R any](rows []R, of func(*R) int64) pgtype.ArrayGetter {
	return &numbers[R]{column: over(rows), of: of}
}

// Times is a parameter of type timestamptz[].
func Times[R any](rows []R, of func(*R) time.Time) pgtype.ArrayGetter {
	return &times[R]{column: over(rows), of: of}
}

type column[R any] struct {
	rows []R
	size [1]pgtype.ArrayDimension
}

func over[R any](rows []R) column[R] {
	return column[R]{rows, [1]pgtype.ArrayDimension{{Length: int32(len(rows)), LowerBound: 1}}} //nolint:gosec // rows of one statement
}

// Dimensions implements [pgtype.ArrayGetter].
func (c *column[R]) Dimensions() []pgtype.ArrayDimension { return c.size[:] }

type texts[R any] struct {
	column[R]
	of   func(*R) string
	cell textCell
}

type textCell string

func (t *textCell) TextValue() (pgtype.Text, error) {
	return pgtype.Text{String: string(*t), Valid: true}, nil
}

func (c *texts[R]) IndexType() any { return &c.cell }

func (c *texts[R]) Index(i int) any {
	c.cell = textCell(c.of(&c.rows[i]))
	return &c.cell
}

type numbers[R any] struct {
	column[R]
	of   func(*R) int64
	cell numberCell
}

type numberCell int64

func (n *numberCell) Int64Value() (pgtype.Int8, error) {
	return pgtype.Int8{Int64: int64(*n), Valid: true}, nil
}

func (c *numbers[R]) IndexType() any { return &c.cell }

func (c *numbers[R]) Index(i int) any {
	c.cell = numberCell(c.of(&c.rows[i]))
	return &c.cell
}

type times[R any] struct {
	column[R]
	of   func(*R) time.Time
	cell timeCell
}

type timeCell time.Time

func (t *timeCell) TimestamptzValue() (pgtype.Timestamptz, error) {
	return pgtype.Timestamptz{Time: time.Time(*t), Valid: true}, nil
}

func (c *times[R]) IndexType() any { return &c.cell }

func (c *times[R]) Index(i int) any {
	c.cell = timeCell(c.of(&c.rows[i]))
	return &c.cell
}

// ids is a parameter of type uuid[]: the records' ids.
type ids struct {
	column[Record]
	cell idCell
}

type idCell string

func (t *idCell) UUIDValue() (pgtype.UUID, error) {
	id, err := parseID(string(*t))
	return pgtype.UUID{Bytes: id, Valid: err == nil}, err
}

func (c *ids) IndexType() any { return &c.cell }

func (c *ids) Index(i int) any {
	c.cell = idCell(c.rows[i].ID)
	return &c.cell
}

// lines is a parameter of type text[]: the records' lines, which are bytes.
type lines struct{ column[Record] }

func (c *lines) IndexType() any { return []byte{} }

func (c *lines) Index(i int) any { return c.rows[i].Line }
