package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Outcome is where an answer or a failure stands in the log.
type Outcome struct {
	Seq     int64
	Request string // its id
}

const selectOutcomes = `
	SELECT seq, stream FROM events
	WHERE seq > $1 AND seq <= $1 + $2 AND type IN ('response.recorded', 'response.failed') ORDER BY seq`

// outcomesAtOnce is how much of the log is looked through for outcomes at once.
const outcomesAtOnce = 5_000

// Outcomes gives the outcomes that this site has stored since a time, in the
// order in which it did; one that was followed by another is given too. After an
// error nothing follows.
func (r *Reader) Outcomes(ctx context.Context, since time.Time, each func(Outcome) error) error {
	after, err := seqAt(ctx, r.pool, since)
	if err != nil {
		return fmt.Errorf("look for what was stored since %s: %w", since.Format(time.RFC3339), err)
	}
	for {
		head, err := one(ctx, r, pgx.RowTo[int64], `SELECT seq FROM log_head`)
		if err != nil || after >= head {
			return err
		}
		found, err := many(ctx, r, pgx.RowToStructByPos[Outcome], selectOutcomes, after, outcomesAtOnce)
		if err != nil {
			return err
		}
		for _, o := range found {
			o.Request, _ = domain.RequestOf(o.Request)
			if err := each(o); err != nil {
				return err
			}
		}
		after += outcomesAtOnce
	}
}
