package projections

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Past is one event of a request's history, as this site stores it.
type Past struct {
	Seq      int64
	Origin   string
	Pos      int64 // in the origin's log
	StoredAt time.Time
	Line     []byte
}

// History returns a page of the events of a request and of its answer, in the
// order in which this site stored them, and the cursor of the next page: empty
// at the end. A cursor that this method did not give is refused with
// [ErrCursor].
func (r *Reader) History(ctx context.Context, request string, p Page) ([]Past, string, error) {
	first, second, err := p.after()
	if err != nil {
		return nil, "", err
	}
	var after int64
	if p.Cursor != "" {
		if after, err = strconv.ParseInt(first, 10, 64); err != nil || second != "history" {
			return nil, "", ErrCursor
		}
	}
	found, err := many(ctx, r, pgx.RowToStructByPos[Past], `SELECT seq, origin, pos, stored_at, line FROM events
		WHERE stream = ANY ($1) AND seq > $2 ORDER BY seq LIMIT $3`,
		[]string{domain.RequestStream(text(request)), domain.ResponseStream(text(request))}, after, p.limit()+1)
	if err != nil || len(found) <= p.limit() {
		return found, "", err
	}
	found = found[:p.limit()]
	return found, cursor(strconv.FormatInt(found[len(found)-1].Seq, 10), "history"), nil
}
