package rebuild

import (
	"context"

	"sallyport/projections"
)

// window is how much of the log one statement folds, in positions.
const window = 20_000

// What follows gives the rows of one window, those of events with seq in
// ($1, $2], as all events through $3 make them.
const (
	foldRequests = `
	INSERT INTO readmodel_rebuild.requests (id, origin, pos, user_id, type, type_version, params, name, priority, created_at,
		cancelled_pos, retried_pos, retried_failure)
	SELECT substr(e.stream, length('request-') + 1), e.origin, e.pos, d."user", d.type, d.type_version, coalesce(d.params, 'null'),
	       coalesce(d.name, ''), d.priority, e.at, coalesce(m.cancelled, 0), coalesce(m.retried, 0), coalesce(m.failure, 0)
	FROM events AS e CROSS JOIN LATERAL json_to_record(event_data(e.line)) AS d("user" text, type text, type_version int, params json, name text, priority int)
	CROSS JOIN LATERAL (
		SELECT max(c.pos) FILTER (WHERE c.type = 'request.cancelled') AS cancelled,
		       max(c.pos) FILTER (WHERE c.type = 'request.retried') AS retried,
		       max((event_data(c.line)->>'failure')::bigint) FILTER (WHERE c.type = 'request.retried') AS failure
		FROM events AS c WHERE c.stream = e.stream AND c.ver > e.ver AND c.seq <= $3 AND c.type IN ('request.cancelled', 'request.retried')) AS m
	WHERE e.seq > $1 AND e.seq <= $2 AND e.type = 'request.submitted'`

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
	WHERE e.seq > $1 AND e.seq <= $2
	  AND e.type IN ` + projections.Answering + `
	  AND NOT EXISTS (SELECT FROM events AS l WHERE l.stream = e.stream AND l.seq <= $3 AND l.type IN ` + projections.Answering + `
	      AND (l.type = 'response.recorded', l.type = 'response.withdrawn', l.pos) > (e.type = 'response.recorded', e.type = 'response.withdrawn', e.pos))`
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
	told := r.telling(Filling, u, through)
	for at := int64(0); at < through; at += window {
		for _, fold := range []string{foldRequests, foldResponses} {
			sql, args := cleared.unlessCleared(fold, `substr(e.stream, strpos(e.stream, '-') + 1)`, at, min(at+window, through), through)
			if _, err := r.conn.Exec(ctx, sql, args...); err != nil {
				return err
			}
		}
		if err := told(min(at+window, through)); err != nil {
			return err
		}
	}
	if err := r.index(ctx, u.Models...); err != nil {
		return err
	}
	if err := r.replayWork(ctx, u, through, cleared); err != nil {
		return err
	}
	return r.replayRevived(ctx, u, through, cleared)
}
