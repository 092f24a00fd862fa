package rebuild

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"sallyport/projections"
)

// window is how much of the log one statement folds, in positions, and folders
// how many of them are at it: more would be felt by those whom the site serves.
const (
	window  = 10_000
	folders = 2
)

// What follows gives the rows of one window, those of events with seq in
// ($1, $2], as all events through $3 make them.
const (
	foldRequests = `
	INSERT INTO readmodel_rebuild.requests (id, origin, pos, user_id, type, type_version, params, name, priority, created_at)
	SELECT substr(e.stream, length('request-') + 1), e.origin, e.pos, d."user", d.type, d.type_version, coalesce(d.params, 'null'),
	       coalesce(d.name, ''), d.priority, e.at
	FROM events AS e CROSS JOIN LATERAL json_to_record(event_data(e.line)) AS d("user" text, type text, type_version int, params json, name text, priority int)
	WHERE e.seq > $1 AND e.seq <= least($2::bigint, $3) AND e.type = 'request.submitted' AND e.ver = 1`

	// Of a stream the one event counts that [domain.Status.Supersedes] all others.
	foldResponses = `
	INSERT INTO readmodel_rebuild.responses (request_id, status, attempts, responder, result, result_count, took_ms, truncated, cached,
		content_type, error_code, error_detail, recorded_at, pos)
	SELECT substr(e.stream, length('response-') + 1), s.status, coalesce(p.attempts, 0),
	       coalesce(CASE s.status WHEN 'answered' THEN nullif(d.responder, '') END, p.responder, ''),
	       CASE s.status WHEN 'answered' THEN coalesce(d.result, 'null') END,
	       coalesce(d.result_count, 0), coalesce(d.took_ms, 0), coalesce(d.truncated, false), coalesce(d.cached, false), coalesce(d.content_type, ''),
	       CASE s.status WHEN 'failed' THEN coalesce(d.code, '') END, CASE s.status WHEN 'failed' THEN coalesce(d.error, '') END,
	       CASE WHEN s.status IN ('answered', 'failed') THEN e.at END, e.pos
	FROM events AS e CROSS JOIN LATERAL json_to_record(event_data(e.line)) AS d(responder text, result json, result_count int, took_ms bigint, truncated boolean, cached boolean,
		content_type text, code text, error text)
	CROSS JOIN LATERAL (SELECT CASE e.type WHEN 'response.recorded' THEN 'answered' WHEN 'response.failed' THEN 'failed'
		WHEN 'response.withdrawn' THEN 'withdrawn' WHEN 'response.started' THEN 'processing' ELSE 'pending' END AS status) AS s
	CROSS JOIN LATERAL (
		SELECT max(coalesce(l.data->>'attempt', l.data->>'attempts')::int) AS attempts,
		       (array_agg(l.data->>'responder' ORDER BY l.pos DESC) FILTER (WHERE l.type = 'response.started'))[1] AS responder
		FROM (SELECT l.type, l.pos, event_data(l.line) AS data FROM events AS l
		      WHERE l.stream = e.stream AND l.pos <= e.pos AND l.seq <= $3 AND l.type IN ('response.started', 'response.failed')) AS l) AS p
	WHERE e.seq > $1 AND e.seq <= least($2::bigint, $3)
	  AND e.type IN ` + projections.Answering + `
	  AND NOT EXISTS (SELECT FROM events AS l WHERE l.stream = e.stream AND l.seq <= $3 AND l.type IN ` + projections.Answering + `
	      AND (l.type = 'response.recorded', l.type = 'response.withdrawn', l.pos) > (e.type = 'response.recorded', e.type = 'response.withdrawn', e.pos))`

	// What was cancelled or asked again is little: it is told to the rows when all
	// are there.
	markRequests = `
	UPDATE readmodel_rebuild.requests AS q SET cancelled_pos = m.cancelled, retried_pos = m.retried, retried_failure = m.failure
	FROM (SELECT substr(c.stream, length('request-') + 1) AS id,
	             coalesce(max(c.pos) FILTER (WHERE c.type = 'request.cancelled'), 0) AS cancelled,
	             coalesce(max(c.pos) FILTER (WHERE c.type = 'request.retried'), 0) AS retried,
	             coalesce(max((event_data(c.line)->>'failure')::bigint) FILTER (WHERE c.type = 'request.retried'), 0) AS failure
	      FROM events AS c WHERE c.seq <= $1 AND c.type IN ('request.cancelled', 'request.retried') GROUP BY 1) AS m
	WHERE q.id = m.id`
)

// foldRequests makes requests, responses, work and retention as the events
// through a seq give them.
//
// What was cleared away is left out from the start: a site that clears after a
// month need not fold years. A request that was asked again may have been
// cleared, been brought back by that, and been cleared anew; such ones are few
// and are replayed event by event.
func (r *run) foldRequests(ctx context.Context, u projections.Unit, through int64) error {
	cleared, err := r.cleared(ctx, through)
	if err != nil {
		return err
	}
	if err := r.foldWindows(ctx, u, through, cleared); err != nil {
		return err
	}
	if err := r.index(ctx, u); err != nil {
		return err
	}
	rare, err := r.rare(ctx, u, through)
	if err != nil {
		return err
	}
	if rare.any("request.") {
		if err := r.mark(ctx, through); err != nil {
			return err
		}
	}
	if rare.any("work.") {
		if err := r.replayWork(ctx, u, through, cleared); err != nil {
			return err
		}
	}
	return r.replayRevived(ctx, u, through, cleared, rare)
}

// kinds are types of events that the log holds.
type kinds []string

func (k kinds) any(prefix string) bool {
	return slices.ContainsFunc(k, func(t string) bool { return strings.HasPrefix(t, prefix) })
}

const selectKinds = `SELECT DISTINCT type FROM events WHERE type = ANY ($1) AND seq <= $2`

// rare returns which types the log holds of those that are not folded by
// windows: where there are none, it is not gone through for them.
func (r *run) rare(ctx context.Context, u projections.Unit, through int64) (found kinds, err error) {
	sought := slices.Concat([]string{"request.cancelled", "request.retried"}, ofTypes(u, "work."), ofTypes(u, "retention."))
	err = r.sparsely(ctx, func(tx pgx.Tx) (err error) {
		found, err = column(ctx, tx, selectKinds, sought, through)
		return err
	})
	return found, err
}

func (r *run) mark(ctx context.Context, through int64) error {
	return r.sparsely(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, markRequests, through)
		return err
	})
}

// sparsely lets statements that want few events of the whole log, and all of
// them at once, find them by the index of types.
func (r *run) sparsely(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL enable_bitmapscan = on`); err != nil {
			return err
		}
		return do(tx)
	})
}

// foldWindows folds the log's windows, several at once on connections of the
// pool. Whoever is told is told by one at a time.
func (r *run) foldWindows(ctx context.Context, u projections.Unit, through int64, c cleared) error {
	var telling sync.Mutex
	var done int64
	told := r.telling(Filling, u, through)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(folders)
	for at := int64(0); at < through; at += window {
		group.Go(func() error {
			if err := r.foldWindow(ctx, at, through, c); err != nil {
				return err
			}
			telling.Lock()
			defer telling.Unlock()
			done = min(done+window, through)
			return told(done)
		})
	}
	return group.Wait()
}

func (r *run) foldWindow(ctx context.Context, after, through int64, c cleared) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off`); err != nil {
			return err
		}
		for _, fold := range []string{foldRequests, foldResponses} {
			sql, args := c.unlessCleared(fold, `substr(e.stream, strpos(e.stream, '-') + 1)`, after, after+window, through)
			if _, err := tx.Exec(ctx, sql, args...); err != nil {
				return err
			}
		}
		return nil
	})
}
