package rebuild

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// cleared is how far the site has cleared its read models by its own events:
// through which position of which log. Retention is a matter of each site, so
// that what peers say of theirs has no part in it.
type cleared struct {
	logs    []string
	through []int64
}

func (c cleared) any() bool { return len(c.logs) > 0 }

const selectCleared = `
	SELECT coalesce(array_agg(log), '{}'), coalesce(array_agg(through), '{}') FROM (
		SELECT e.line::json->'data'->>'log' AS log, max((e.line::json->'data'->>'through')::bigint) AS through
		FROM events AS e JOIN log_head AS h ON h.site = e.origin
		WHERE e.stream = 'site-' || h.site AND e.type = 'retention.applied' AND e.seq <= $1 GROUP BY 1) AS own`

func (r *run) cleared(ctx context.Context, through int64) (c cleared, err error) {
	err = r.conn.QueryRow(ctx, selectCleared, through).Scan(&c.logs, &c.through)
	return c, err
}

// unlessCleared extends a condition of a fold, whose parameters come before: it
// leaves out what the site may have cleared away, because its retention speaks
// of an outcome of that request. An answer to a request that is not known here
// stays.
func (c cleared) unlessCleared(statement, request string, args ...any) (string, []any) {
	if !c.any() {
		return statement, args
	}
	n := len(args)
	return statement + " AND NOT " + fmt.Sprintf(mayBeCleared, request, n, n+1, n+2), append(args, c.logs, c.through)
}

// The parameter before the last two is the seq through which events count.
const mayBeCleared = `EXISTS (
	SELECT FROM events AS o WHERE o.stream = 'response-' || %[1]s AND o.seq <= $%[2]d
	AND o.type IN ('response.recorded', 'response.failed', 'response.withdrawn')
	AND o.pos <= coalesce((SELECT max(t.through) FROM unnest($%[3]d::text[], $%[4]d::bigint[]) AS t(log, through) WHERE t.log = o.origin), 0)
	AND EXISTS (SELECT FROM events AS q WHERE q.stream = 'request-' || %[1]s AND q.type = 'request.submitted' AND q.ver = 1 AND q.seq <= $%[2]d))`

// replayWork makes analysts' work, which people make little of, but for what
// may have been cleared away with its request.
func (r *run) replayWork(ctx context.Context, u projections.Unit, through int64, c cleared) error {
	if err := replay(ctx, r.conn, ofTypes(u, "work."), u.Inline, 0, through, r.telling(Filling, u, through)); err != nil || !c.any() {
		return err
	}
	_, err := r.conn.Exec(ctx, `DELETE FROM readmodel_rebuild.work AS w WHERE `+fmt.Sprintf(mayBeCleared, "w.request_id", 1, 2, 3), through, c.logs, c.through)
	return err
}

// Those of which may have been cleared away and were asked again: that brought
// them back if they were, and then they may have been cleared away anew.
var selectRevived = `
	SELECT DISTINCT substr(e.stream, strpos(e.stream, '-') + 1) FROM events AS e
	WHERE e.type IN ('request.retried', 'response.retried') AND e.seq <= $1
	  AND ` + fmt.Sprintf(mayBeCleared, `substr(e.stream, strpos(e.stream, '-') + 1)`, 1, 2, 3)

const selectClearing = `SELECT DISTINCT stream FROM events WHERE stream LIKE 'site-%' AND type = 'retention.applied' AND seq <= $1`

// replayRevived makes what is known of retention and, event by event, the
// requests that were left out though they may be there: they are few.
func (r *run) replayRevived(ctx context.Context, u projections.Unit, through int64, c cleared, rare kinds) error {
	if !rare.any("retention.") {
		return nil
	}
	var ids, streams []string
	err := r.sparsely(ctx, func(tx pgx.Tx) (err error) {
		if c.any() {
			if ids, err = column(ctx, tx, selectRevived, through, c.logs, c.through); err != nil {
				return err
			}
		}
		streams, err = column(ctx, tx, selectClearing, through)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		streams = append(streams, domain.RequestStream(id), domain.ResponseStream(id), domain.WorkStream(id))
	}
	return r.replayStreams(ctx, u, streams, through)
}

// column returns what a query gives in its one column.
func column(ctx context.Context, on eventstore.Queries, sql string, args ...any) ([]string, error) {
	rows, err := on.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// replayStreams applies each event of some streams by itself.
func (r *run) replayStreams(ctx context.Context, u projections.Unit, streams []string, through int64) error {
	for after := int64(0); len(streams) > 0; {
		records, err := eventstore.ReadStreams(ctx, r.conn, streams, eventstore.Part{After: after, Through: through, MaxBytes: pageBytes})
		if err != nil || len(records) == 0 {
			return err
		}
		var b pgx.Batch
		for i := range records {
			for _, m := range u.Inline {
				if err := m.Apply(&b, records[i:i+1]); err != nil {
					return err
				}
			}
		}
		elsewhere(&b)
		if err := eventstore.Send(ctx, r.conn, &b); err != nil {
			return err
		}
		after = records[len(records)-1].Seq
		if err := r.tell(Progress{Doing: Filling, Models: u.Models, Done: after, Total: through}); err != nil {
			return err
		}
	}
	return nil
}

// ofTypes keeps those types of a unit's events that begin with a prefix.
func ofTypes(u projections.Unit, prefix string) (types []string) {
	for _, t := range u.Types {
		if strings.HasPrefix(t, prefix) {
			types = append(types, t)
		}
	}
	return types
}
