package projections

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// RoundTrip says how long requests took of late, from their submission until
// their answer was stored here, by this site's clock. The zero value means that
// none came back lately.
type RoundTrip struct {
	Half time.Duration // of one half
	Most time.Duration // of nine of ten
}

// Of the newest answers so many count, among so many of the log's newest
// events: what is asked must cost the same however long the log is.
const (
	roundTrips  = 50
	recentTrips = 20_000
)

const selectRoundTrip = `
	WITH recent AS (
		SELECT e.stream, e.stored_at FROM log_head AS h, events AS e
		WHERE e.seq > h.seq - $2 AND e.type IN ('response.recorded', 'response.failed')
		ORDER BY e.seq DESC LIMIT $1),
	took AS (
		SELECT extract(epoch FROM r.stored_at - asked.stored_at)::float8 AS seconds
		FROM recent AS r JOIN readmodel.requests AS q ON q.id = substr(r.stream, length('response-') + 1)
		JOIN events AS asked ON asked.origin = q.origin AND asked.pos = q.pos
		WHERE q.retried_pos = 0)
	SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), 0),
	       coalesce(percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds), 0) FROM took`

// RoundTrip measures how long requests take. On a response site it is zero,
// or says nothing of use.
func (r *Reader) RoundTrip(ctx context.Context) (RoundTrip, error) {
	return one(ctx, r, func(row pgx.CollectableRow) (RoundTrip, error) {
		var half, most float64
		err := row.Scan(&half, &most)
		return RoundTrip{Half: seconds(half), Most: seconds(most)}, err
	}, selectRoundTrip, roundTrips, recentTrips)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
