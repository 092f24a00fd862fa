package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Querier is a pool or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const selectAsked = `
	SELECT q.cancelled_pos > 0, q.retried_failure, coalesce(s.status, ''), coalesce(s.pos, 0),
	       coalesce((SELECT id::text FROM events AS e WHERE e.stream = 'response-' || q.id AND e.pos = s.pos), '')
	FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id
	WHERE q.id = $1`

// Asked returns what the rules about a request need to know, and the id of the
// event that its answer's state comes from, empty if there is none.
// [ErrNotFound] means that the request is not known here.
func Asked(ctx context.Context, from Querier, id string) (a domain.Asked, answerEvent string, err error) {
	var cancelled bool
	var retried, pos int64
	var answer domain.Status
	err = from.QueryRow(ctx, selectAsked, text(id)).Scan(&cancelled, &retried, &answer, &pos, &answerEvent)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return a, "", ErrNotFound
	case err != nil:
		return a, "", fmt.Errorf("read the state of request %s: %w", id, err)
	}
	return domain.AskedSoFar(cancelled, retried, answer, pos), answerEvent, nil
}
