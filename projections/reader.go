package projections

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	// ErrNotFound says that the read model has no such row.
	ErrNotFound = errors.New("not found")
	// ErrCursor refuses a cursor that no list has given.
	ErrCursor = errors.New("the cursor was not given by this list: begin without one")
)

// Reader answers questions from the read models, as committed at the moment
// of asking. It is safe for concurrent use and owns nothing.
type Reader struct {
	pool *pgxpool.Pool
}

// NewReader returns a reader of the database that pool connects to.
func NewReader(pool *pgxpool.Pool) *Reader { return &Reader{pool: pool} }

// Bounds of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
	maxCursor    = 1024
)

// Page is a part of a list. The zero value is its beginning.
type Page struct {
	Limit  int    // rows; 0: DefaultLimit; more than MaxLimit: MaxLimit
	Cursor string // what the page before gave; empty: from the beginning
}

func (p Page) limit() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// after returns the two keys that the page follows.
func (p Page) after() (string, string, error) {
	if p.Cursor == "" {
		return "", "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	first, second, ok := strings.Cut(string(b), "\n")
	if err != nil || !ok || len(b) > maxCursor {
		return "", "", ErrCursor
	}
	return first, second, nil
}

func cursor(first, second string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(first + "\n" + second))
}

func one[R any](ctx context.Context, r *Reader, scan pgx.RowToFunc[R], sql string, args ...any) (R, error) {
	var none R
	rows, err := r.pool.Query(ctx, sql, args...)
	if err != nil {
		return none, fmt.Errorf("read a read model: %w", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, scan)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return none, ErrNotFound
	case err != nil:
		return none, fmt.Errorf("read a read model: %w", err)
	}
	return row, nil
}

func many[R any](ctx context.Context, r *Reader, scan pgx.RowToFunc[R], sql string, args ...any) ([]R, error) {
	rows, err := r.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read a read model: %w", err)
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read a read model: %w", err)
	}
	return all, nil
}
