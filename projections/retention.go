package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/domain"
	"sallyport/eventstore"
)

// outcomes are the types of events after which a request is finished, unless a
// failure is taken back.
const outcomes = `('response.recorded', 'response.failed', 'response.withdrawn')`

// Answering are the types of the events that an answer's row is made of, as SQL.
// Others of its stream only tell more of its history.
const Answering = `('response.started', 'response.recorded', 'response.failed', 'response.retried', 'response.withdrawn')`

// finishedBy says, of a request q and its answer s, that it was finished with an
// outcome up to a position of the answering site's log.
const finishedBy = `s.status IN ('answered', 'failed', 'withdrawn') AND NOT (s.status = 'failed' AND q.retried_failure >= s.pos) AND s.pos <= `

// A site clears away what its own events say, whatever its peers do with
// theirs. The outcomes are looked up in the log: what was cleared away before
// costs nothing again.
const clearFinished = `
	WITH ended AS (
		SELECT substr(e.stream, length('response-') + 1) AS id, e.pos FROM events AS e
		WHERE e.origin = $2 AND e.pos <= $3 AND e.type IN ` + outcomes + `
		  AND e.pos > coalesce((SELECT r.through FROM readmodel.retention AS r WHERE r.site = $1 AND r.log = $2), 0)
		  AND EXISTS (SELECT FROM log_head WHERE site = $1)),
	gone AS (
		DELETE FROM readmodel.responses AS s USING ended AS e, readmodel.requests AS q
		WHERE s.request_id = e.id AND s.pos = e.pos AND q.id = e.id AND ` + finishedBy + `$3
		RETURNING s.request_id),
	done AS (DELETE FROM readmodel.work AS w USING gone WHERE w.request_id = gone.request_id)
	DELETE FROM readmodel.requests AS q USING gone WHERE q.id = gone.request_id`

const markRetention = `
	INSERT INTO readmodel.retention AS r (site, log, through, before, pos) VALUES ($1, $2, $3, $4, $5)
	ON CONFLICT (site) DO UPDATE SET log = excluded.log, through = excluded.through, before = excluded.before, pos = excluded.pos
	WHERE excluded.pos > r.pos`

// applyRetention clears away what the site's own events say, and remembers how
// far each site has got. Among its own events, it comes where it was written:
// every outcome that it speaks of is before it.
func applyRetention(b *pgx.Batch, records []eventstore.Record) error {
	for _, r := range records {
		f, ok := r.Fact.(domain.RetentionApplied)
		if !ok {
			continue
		}
		b.Queue(clearFinished, r.Origin, f.Log, f.Through)
		b.Queue(markRetention, r.Origin, f.Log, f.Through, time.Time(f.Before), r.Pos)
	}
	return nil
}

// What was cleared away as failed can be asked again by the site that has not
// cleared it away yet. Then it is there again, as the log tells it: the log
// holds all events of this batch already.
const (
	reviveRequests = `
		INSERT INTO readmodel.requests (id, origin, pos, user_id, type, type_version, params, name, priority, created_at,
			cancelled_pos, retried_pos, retried_failure)
		SELECT substr(e.stream, length('request-') + 1), e.origin, e.pos, d->>'user', d->>'type', (d->>'type_version')::int, d->'params',
		       coalesce(d->>'name', ''), (d->>'priority')::int, e.at,
		       coalesce(m.cancelled, 0), coalesce(m.retried, 0), coalesce(m.failure, 0)
		FROM events AS e
		CROSS JOIN LATERAL (SELECT event_data(e.line) AS d) AS data
		CROSS JOIN LATERAL (
			SELECT max(c.pos) FILTER (WHERE c.type = 'request.cancelled') AS cancelled,
			       max(c.pos) FILTER (WHERE c.type = 'request.retried') AS retried,
			       max((event_data(c.line)->>'failure')::bigint) FILTER (WHERE c.type = 'request.retried') AS failure
			FROM events AS c WHERE c.stream = e.stream AND c.type IN ('request.cancelled', 'request.retried')) AS m
		WHERE e.stream = ANY ($1) AND e.type = 'request.submitted' AND e.ver = 1
		  AND NOT EXISTS (SELECT FROM readmodel.requests AS q WHERE q.id = substr(e.stream, length('request-') + 1))`

	reviveResponses = `
		INSERT INTO readmodel.responses (request_id, status, attempts, responder, result, result_count, took_ms, truncated, cached,
			content_type, error_code, error_detail, recorded_at, pos)
		SELECT substr(e.stream, length('response-') + 1), s.status, m.attempts,
		       coalesce(d->>'responder', m.responder), CASE s.status WHEN 'answered' THEN d->'result' END,
		       coalesce((d->>'result_count')::int, 0), coalesce((d->>'took_ms')::bigint, 0), coalesce((d->>'truncated')::boolean, false),
		       coalesce((d->>'cached')::boolean, false), coalesce(d->>'content_type', ''),
		       d->>'code', d->>'error', CASE WHEN s.status IN ('answered', 'failed') THEN e.at END, e.pos
		FROM (SELECT DISTINCT unnest($1::text[])) AS asked(stream)
		CROSS JOIN LATERAL (
			SELECT * FROM events AS l WHERE l.stream = asked.stream AND l.type IN ` + Answering + `
			ORDER BY l.type = 'response.recorded' DESC, l.type = 'response.withdrawn' DESC, l.pos DESC LIMIT 1) AS e
		CROSS JOIN LATERAL (SELECT event_data(e.line) AS d) AS data
		CROSS JOIN LATERAL (SELECT CASE e.type WHEN 'response.recorded' THEN 'answered' WHEN 'response.failed' THEN 'failed'
			WHEN 'response.withdrawn' THEN 'withdrawn' WHEN 'response.started' THEN 'processing' ELSE 'pending' END AS status) AS s
		CROSS JOIN LATERAL (
			SELECT coalesce(max(coalesce(p->>'attempt', p->>'attempts')::int), 0) AS attempts,
			       coalesce((array_agg(p->>'responder' ORDER BY pos DESC) FILTER (WHERE type = 'response.started'))[1], '') AS responder
			FROM (SELECT l.pos, l.type, event_data(l.line) AS p FROM events AS l
			      WHERE l.stream = asked.stream AND l.type IN ('response.started', 'response.failed')) AS past) AS m
		WHERE NOT EXISTS (SELECT FROM readmodel.responses AS s WHERE s.request_id = substr(e.stream, length('response-') + 1))`
)

// applyRevived comes before what the batch does to the rows. What begins in the
// batch was never cleared away.
func applyRevived(b *pgx.Batch, records []eventstore.Record) error {
	var requests, responses []string
	var begun map[string]bool
	for _, r := range records {
		switch r.Fact.(type) {
		case domain.RequestRetried, domain.ResponseRetried:
			if begun == nil {
				begun = streamsBegun(records)
			}
			id, _ := domain.RequestOf(r.Stream)
			if request := domain.RequestStream(id); !begun[request] {
				requests, responses = append(requests, request), append(responses, domain.ResponseStream(id))
			}
		}
	}
	if len(requests) > 0 {
		b.Queue(reviveRequests, requests)
		b.Queue(reviveResponses, responses)
	}
	return nil
}

func streamsBegun(records []eventstore.Record) map[string]bool {
	begun := map[string]bool{}
	for i := range records {
		if records[i].Begins() {
			begun[records[i].Stream] = true
		}
	}
	return begun
}

// Retained says how far a site has cleared its read models.
func Retained(ctx context.Context, from Querier, site string) (domain.Retention, error) {
	var log string
	var through int64
	err := from.QueryRow(ctx, `SELECT log, through FROM readmodel.retention WHERE site = $1`, site).Scan(&log, &through)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return domain.Retention{}, fmt.Errorf("read what was cleared away: %w", err)
	}
	return domain.RetainedSoFar(log, through), nil
}

// selectFinished finds, among the outcomes that come next, the last of a
// number; those stored after the site's seq $2 are too young.
const selectFinished = `
	SELECT coalesce(max(pos), 0), count(*) FROM (
		SELECT e.pos FROM events AS e
		WHERE e.origin = $1 AND e.type IN ` + outcomes + `
		  AND e.pos > coalesce((SELECT r.through FROM readmodel.retention AS r WHERE r.site = (SELECT site FROM log_head) AND r.log = $1), 0)
		  AND e.pos <= (SELECT l.pos FROM events AS l WHERE l.origin = $1 AND l.seq <= $2 ORDER BY l.seq DESC LIMIT 1)
		ORDER BY e.pos LIMIT $3) AS found`

// Finished returns the position of the last of at most limit outcomes that
// this site stored before a time and has not cleared away, in the log of the
// site that answers, and how many there are. A position of 0 means none.
func Finished(ctx context.Context, pool *pgxpool.Pool, log string, before time.Time, limit int) (through int64, found int, err error) {
	seq, err := seqAt(ctx, pool, before)
	if err == nil {
		err = pool.QueryRow(ctx, selectFinished, log, seq, limit).Scan(&through, &found)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("look for what was finished before %s: %w", before.Format(time.RFC3339), err)
	}
	return through, found, nil
}

// seqAt returns the largest seq that was stored before a time, found by
// halving: no index of times is kept for it.
func seqAt(ctx context.Context, pool *pgxpool.Pool, before time.Time) (int64, error) {
	var low, high int64 // low was stored before, what is above high was not
	if err := pool.QueryRow(ctx, `SELECT seq FROM log_head`).Scan(&high); err != nil {
		return 0, err
	}
	for low < high {
		middle := low + (high-low+1)/2
		var early bool
		err := pool.QueryRow(ctx, `SELECT stored_at < $2 FROM events WHERE seq <= $1 ORDER BY seq DESC LIMIT 1`, middle, before).Scan(&early)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return 0, err
		}
		if early || errors.Is(err, pgx.ErrNoRows) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}
