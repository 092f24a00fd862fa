package tally

import "strings"

// The statements below bear the same parameters: $1 is the seq of the place that
// is left, $2 and $3 the positions through which the log was exported and
// acknowledged there, $4 to $6 the same of the place that is reached, and $7 the
// site's name.

// touched are the requests that may have become something else between the two
// places. What crosses changes those that were last asked for there.
const touched = `
	SELECT substr(e.stream, strpos(e.stream, '-') + 1) AS id FROM events AS e
	WHERE e.seq > $1 AND e.seq <= $4 AND e.type IN ('request.submitted', 'request.cancelled', 'request.retried',
		'response.started', 'response.recorded', 'response.failed', 'response.retried', 'response.withdrawn')
	UNION
	SELECT substr(e.stream, strpos(e.stream, '-') + 1) FROM events AS e
	WHERE e.origin = $7 AND e.pos > least($2::bigint, $5) AND e.pos <= greatest($2::bigint, $5) AND e.type IN ('request.submitted', 'request.retried')
	UNION
	SELECT substr(e.stream, strpos(e.stream, '-') + 1) FROM events AS e
	WHERE e.origin = $7 AND e.pos > least($3::bigint, $6) AND e.pos <= greatest($3::bigint, $6) AND e.type IN ('request.submitted', 'request.retried')`

// story is what the events of a request t say up to a place m, in one row. The
// answer is the event that [domain.Status.Supersedes] all others of its stream:
// its rank, position and kind are one number, of which the greatest counts.
const story = `
	SELECT coalesce(bool_or(e.type = 'request.cancelled'), false) AS cancelled,
		max(e.pos) FILTER (WHERE e.type = 'request.retried') AS retried,
		max((event_data(e.line)->>'failure')::bigint) FILTER (WHERE e.type = 'request.retried') AS failure,
		max(CASE e.type WHEN 'response.recorded' THEN (2::bigint << 60) + (e.pos << 3) + 4 WHEN 'response.withdrawn' THEN (1::bigint << 60) + (e.pos << 3) + 3
			WHEN 'response.failed' THEN (e.pos << 3) + 2 WHEN 'response.started' THEN (e.pos << 3) + 1 WHEN 'response.retried' THEN e.pos << 3 END) AS answer,
		max(e.at) FILTER (WHERE e.type IN ('response.recorded', 'response.failed')) AS answered_at,
		max(e.stored_at) FILTER (WHERE e.type IN ('response.recorded', 'response.failed') AND e.origin <> $7) AS answer_came
	FROM events AS e WHERE e.stream = ANY (ARRAY['request-' || t.id, 'response-' || t.id]) AND e.seq <= m.seq`

// state is [domain.Asked.Status] in SQL, of a story s of a request q.
const state = `CASE WHEN s.cancelled OR s.answer & 7 = 3 THEN 'cancelled' WHEN s.answer & 7 = 4 THEN 'answered'
	WHEN s.answer & 7 = 2 AND coalesce(s.failure, 0) < (s.answer & ((1::bigint << 60) - 1)) >> 3 THEN 'failed' WHEN s.answer & 7 = 1 THEN 'processing'
	WHEN greatest(q.pos, s.retried) <= m.acked THEN 'delivered' WHEN greatest(q.pos, s.retried) <= m.exported THEN 'exported' ELSE 'pending' END`

// What was asked again says nothing about how long an answer takes.
var moved = `
	SELECT minute, user_id, type, status, answer, crossing, sum(sign) AS n, min(pos) FILTER (WHERE new) AS first_pos, max(pos) FILTER (WHERE new) AS last_pos FROM (
		SELECT m.sign, q.seq > $1 AS new, date_trunc('minute', q.at, 'UTC') AS minute, d."user" AS user_id, d.type, q.pos, ` + state + ` AS status,
			CASE WHEN s.retried IS NULL AND s.answer & 7 IN (2, 4) THEN ` + bucketOf("s.answered_at - q.at") + ` END AS answer,
			CASE WHEN q.origin <> $7 THEN ` + bucketOf("q.stored_at - q.at") + ` WHEN s.answer & 7 IN (2, 4) THEN ` + bucketOf("s.answer_came - s.answered_at") + ` END AS crossing
		FROM touched AS t
		CROSS JOIN LATERAL (SELECT * FROM events AS e WHERE e.stream = 'request-' || t.id AND e.type = 'request.submitted' AND e.ver = 1 AND e.seq <= $4 LIMIT 1) AS q
		CROSS JOIN LATERAL json_to_record(event_data(q.line)) AS d("user" text, type text)
		JOIN (VALUES (-1, $1::bigint, $2::bigint, $3::bigint), (1, $4, $5, $6)) AS m(sign, seq, exported, acked) ON q.seq <= m.seq
		CROSS JOIN LATERAL (` + story + `) AS s) AS told
	GROUP BY minute, user_id, type, status, answer, crossing HAVING sum(sign) <> 0 OR bool_or(new)`

// bucketOf is the number of the bucket of a time: 4 of them double it, from a
// millisecond on. Two sites' clocks may say that something came before it left.
func bucketOf(interval string) string {
	return `floor(4 * ln(greatest(1000 * extract(epoch FROM ` + interval + `), 1)::float8) / ln(2::float8))::int`
}

// count takes the touched requests out of the rows where they were (-1) and puts
// them where they are (+1), and moves the place.
var count = `
	WITH touched AS MATERIALIZED (` + touched + `),
	moved AS MATERIALIZED (` + moved + `),
	counts AS (
		INSERT INTO readmodel.request_counts AS c (user_id, step, begins, type, ` + strings.Join(columns, ", ") + `, first_pos, last_pos)
		SELECT r.user_id, r.step, r.begins, r.type, ` + each(`coalesce(sum(m.n) FILTER (WHERE m.status = '{}'), 0)`) + `, coalesce(min(m.first_pos), 9223372036854775807), coalesce(max(m.last_pos), 0)
		FROM moved AS m CROSS JOIN LATERAL (VALUES
			('', 'ever', '-infinity'::timestamptz, m.type),
			(m.user_id, 'ever', '-infinity', m.type),
			(m.user_id, 'hour', date_trunc('hour', m.minute, 'UTC'), m.type),
			('', 'day', date_trunc('day', m.minute, 'UTC'), ''),
			('', 'hour', date_trunc('hour', m.minute, 'UTC'), ''),
			('', 'minute', m.minute, '')) AS r(user_id, step, begins, type)
		GROUP BY 1, 2, 3, 4
		ON CONFLICT (user_id, step, begins, type) DO UPDATE SET ` + each(`{} = c.{} + excluded.{}`) + `,
			first_pos = least(c.first_pos, excluded.first_pos), last_pos = greatest(c.last_pos, excluded.last_pos)),
	times AS (
		INSERT INTO readmodel.request_times AS c (step, begins, what, bucket, requests)
		SELECT step, date_trunc(step, m.minute, 'UTC'), what, bucket, sum(m.n)
		FROM moved AS m CROSS JOIN LATERAL (VALUES ('answer', m.answer), ('crossing', m.crossing)) AS took(what, bucket)
		CROSS JOIN unnest('{day,hour,minute}'::text[]) AS step
		WHERE bucket IS NOT NULL GROUP BY 1, 2, 3, 4 HAVING sum(m.n) <> 0
		ON CONFLICT (step, begins, what, bucket) DO UPDATE SET requests = c.requests + excluded.requests)
	UPDATE readmodel.requests_counted SET seq = $4, exported_through = $5, acked_through = $6`

// columns are the states, each a column of request_counts.
var columns = []string{"pending", "exported", "delivered", "processing", "answered", "failed", "cancelled"}

// each is an expression for each of the columns.
func each(expression string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = strings.ReplaceAll(expression, "{}", c)
	}
	return strings.Join(all, ", ")
}
