package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Span is a stretch of a series, with what became of the requests that were
// submitted in it.
type Span struct {
	From, To time.Time
	Counts   map[domain.Status]int64
	// Answer is how long it took from the submission until the answer, and
	// Crossing how long what came from the other site was under way, by the two
	// sites' clocks. Both are of the newest requests of the span, see [sampled].
	Answer, Crossing Took
}

// Took is how long something took: half and nine of ten of a number of times.
type Took struct {
	Half, Most time.Duration
	Of         int64 // 0: it did not happen
}

// sampled is how many requests of a span are looked at to say how long they
// took: what is asked costs the same however busy the span was.
const sampled = 200

// An id bears the time at which it was made, so that the primary key finds a
// span's requests, however many there are before and after it.
const (
	selectSpanCounts = `
	SELECT n, CASE WHEN status <> 'pending' THEN status WHEN asked <= $4 THEN 'delivered' WHEN asked <= $5 THEN 'exported' ELSE 'pending' END AS crossed, count(*)
	FROM (SELECT width_bucket(q.id, $1::text[]) AS n, ` + status + ` AS status, ` + askedPos + ` AS asked
		FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id
		WHERE q.id >= $2 AND q.id < $3) AS found
	GROUP BY n, crossed`

	// What crosses to a response site are requests, and to a request site answers:
	// the event that has another origin tells when it came.
	selectSpanTimes = `
	SELECT b.n, count(t.answer), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.answer), 0), coalesce(percentile_cont(0.9) WITHIN GROUP (ORDER BY t.answer), 0),
		count(t.crossing), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.crossing), 0), coalesce(percentile_cont(0.9) WITHIN GROUP (ORDER BY t.crossing), 0)
	FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS b(first, past, n), LATERAL (
		SELECT extract(epoch FROM q.answered - q.created_at)::float8 AS answer, extract(epoch FROM e.stored_at - e.at)::float8 AS crossing
		FROM (SELECT q.id, q.origin, q.pos, q.created_at, q.retried_pos, CASE WHEN q.retried_pos = 0 THEN s.recorded_at END AS answered, s.pos AS answer_pos
			FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id AND s.recorded_at IS NOT NULL
			WHERE q.id >= b.first AND q.id < b.past ORDER BY q.id DESC LIMIT $3) AS q
		LEFT JOIN events AS e ON e.origin = CASE WHEN q.origin = $4 THEN $5 ELSE q.origin END AND e.pos = CASE WHEN q.origin = $4 THEN q.answer_pos ELSE q.pos END
	) AS t GROUP BY b.n`
)

// Link is what refines a request's status and tells where answers come from.
type Link struct {
	Site, Peer                    string // this site, and the one that answers it; empty: none does
	ExportedThrough, AckedThrough int64
}

// Series counts the requests that were submitted in spans of a length, from a
// moment on, and measures how long they took. Requests are found by the time
// that their id bears, which is that of their submission.
func (r *Reader) Series(ctx context.Context, from time.Time, step time.Duration, n int, link Link) ([]Span, error) {
	spans, bounds := make([]Span, n), make([]string, n+1)
	for i := range bounds {
		bounds[i] = firstID(from.Add(time.Duration(i) * step))
	}
	for i := range spans {
		spans[i] = Span{From: from.Add(time.Duration(i) * step), To: from.Add(time.Duration(i+1) * step), Counts: map[domain.Status]int64{}}
	}
	_, err := many(ctx, r, func(row pgx.CollectableRow) (struct{}, error) {
		var at int
		var status domain.Status
		var count int64
		err := row.Scan(&at, &status, &count)
		if err == nil {
			spans[at-1].Counts[status] += count
		}
		return struct{}{}, err
	}, selectSpanCounts, bounds[:n], bounds[0], bounds[n], link.AckedThrough, link.ExportedThrough)
	if err != nil {
		return nil, fmt.Errorf("count requests over time: %w", err)
	}
	_, err = many(ctx, r, func(row pgx.CollectableRow) (struct{}, error) {
		var at int
		var answer, crossing Took
		var half, most, inHalf, inMost float64
		err := row.Scan(&at, &answer.Of, &half, &most, &crossing.Of, &inHalf, &inMost)
		if err == nil {
			answer.Half, answer.Most, crossing.Half, crossing.Most = seconds(half), seconds(most), seconds(inHalf), seconds(inMost)
			spans[at-1].Answer, spans[at-1].Crossing = answer, crossing
		}
		return struct{}{}, err
	}, selectSpanTimes, bounds[:n], bounds[1:], sampled, link.Site, link.Peer)
	if err != nil {
		return nil, fmt.Errorf("measure requests over time: %w", err)
	}
	return spans, nil
}

// firstID is the least id that can have been made at a moment: RFC 9562,
// version 7.
func firstID(at time.Time) string {
	var id uuid.UUID
	ms := at.UnixMilli()
	for i := range 6 {
		id[5-i] = byte(ms >> (8 * i))
	}
	return id.String()
}
