package eventstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Queries is a pool, a connection or a transaction.
type Queries interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// As in selectLines, the sum is made of the lengths alone.
const selectSome = `
	SELECT seq, origin, stored_at, line FROM (
		SELECT seq, origin, stored_at, line, octet_length(line) AS bytes,
		       sum(octet_length(line)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS through_here
		FROM (SELECT seq, origin, stored_at, line FROM events
		      WHERE seq > $1 AND seq <= $2 AND %s = ANY ($3) ORDER BY seq LIMIT $4) AS page) AS measured
	WHERE through_here <= $5 OR through_here = bytes ORDER BY seq`

// Part bounds a page of events: those with seq in (After, Through], at most
// [MaxPage] and no more than MaxBytes of lines, but one event at least.
type Part struct {
	After, Through, MaxBytes int64
}

// ReadTypes returns events of some types, in the order in which the site stored
// them. Only an empty page means that the part holds no more.
func ReadTypes(ctx context.Context, from Queries, types []string, p Part) ([]Record, error) {
	return readSome(ctx, from, "type", types, p)
}

// ReadStreams returns events of some streams, as ReadTypes does.
func ReadStreams(ctx context.Context, from Queries, streams []string, p Part) ([]Record, error) {
	return readSome(ctx, from, "stream", streams, p)
}

func readSome(ctx context.Context, from Queries, column string, values []string, p Part) ([]Record, error) {
	rows, err := from.Query(ctx, fmt.Sprintf(selectSome, column), p.After, p.Through, values, MaxPage, p.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	records, err := pgx.CollectRows(rows, scanRecord)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return records, nil
}
