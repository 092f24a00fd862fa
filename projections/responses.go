package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Response is the answer to one request, as far as it has got.
type Response struct {
	RequestID string
	Origin    string // the site that asked
	Owner     string // the id of the user who asked
	// Status is that of the request: pending, processing, answered, failed or
	// cancelled. What is below tells of the answer's newest event.
	Status      domain.Status
	Attempts    int // begun so far
	Responder   domain.ResponderKind
	Result      json.RawMessage // nil unless answered
	ResultCount int
	TookMS      int64 // how long the responder took, in milliseconds
	Truncated   bool  // a limit cut the result
	Cached      bool  // the responder had the result already
	ContentType string
	ErrorCode   string    // empty unless failed
	ErrorDetail string    // for the one who asked
	RecordedAt  time.Time // zero unless answered or failed
	Pos         int64     // of the event that gave it this status; 0 while pending
}

// Final reports whether there is an answer, or the reason why there is none.
// An answer stays; a failure may be taken back.
func (r Response) Final() bool {
	return r.Status == domain.StatusAnswered || r.Status == domain.StatusFailed
}

// A response's events come from one origin, hence in order: attempts, then
// the one outcome that the domain lets be written, and attempts again after a
// failure that was taken back. What an outcome does not say is kept from the
// attempts. The condition is [domain.Status.Supersedes] in SQL.
const upsertResponses = `
	INSERT INTO readmodel.responses AS r (request_id, status, attempts, responder, result, result_count, took_ms,
		truncated, cached, content_type, error_code, error_detail, recorded_at, pos)
	SELECT request_id, status, attempts, responder, result::json, result_count, took_ms,
	       truncated, cached, content_type, error_code, error_detail, recorded_at, pos
	FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::int[], $7::bigint[],
	            $8::bool[], $9::bool[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::bigint[])
	     AS e(request_id, status, attempts, responder, result, result_count, took_ms,
	          truncated, cached, content_type, error_code, error_detail, recorded_at, pos)
	ON CONFLICT (request_id) DO UPDATE SET status = excluded.status,
		attempts = greatest(r.attempts, excluded.attempts),
		responder = coalesce(nullif(excluded.responder, ''), r.responder),
		result = excluded.result, result_count = excluded.result_count, took_ms = excluded.took_ms,
		truncated = excluded.truncated, cached = excluded.cached, content_type = excluded.content_type,
		error_code = excluded.error_code, error_detail = excluded.error_detail,
		recorded_at = excluded.recorded_at, pos = excluded.pos
	WHERE (excluded.status = 'answered', excluded.status = 'withdrawn', excluded.pos)
	    > (r.status = 'answered', r.status = 'withdrawn', r.pos)`

func applyResponses(b *pgx.Batch, records []eventstore.Record) error {
	var rows latest[Response]
	for _, r := range records {
		row := Response{RequestID: strings.TrimPrefix(r.Stream, domain.ResponseStream("")), Pos: r.Pos}
		switch f := r.Fact.(type) {
		case domain.ResponseStarted:
			row.Status, row.Attempts, row.Responder = domain.StatusProcessing, f.Attempt, f.Responder
		case domain.ResponseRecorded:
			result, err := compact(f.Result)
			if err != nil {
				return fmt.Errorf("result of %s: %w", r.Stream, err)
			}
			row.Status, row.Responder, row.Result, row.RecordedAt = domain.StatusAnswered, f.Responder, json.RawMessage(result), r.At
			row.ResultCount, row.TookMS, row.Truncated = f.ResultCount, f.TookMS, f.Truncated
			row.Cached, row.ContentType = f.Cached, f.ContentType
		case domain.ResponseFailed:
			row.Status, row.Attempts, row.RecordedAt = domain.StatusFailed, f.Attempts, r.At
			row.ErrorCode, row.ErrorDetail = f.Code, f.Error
		case domain.ResponseRetried:
			row.Status = domain.StatusPending
		case domain.ResponseWithdrawn:
			row.Status = domain.StatusWithdrawn
		default:
			continue
		}
		rows.fold(row.RequestID, row, mergeResponses)
	}
	if len(rows.keys) > 0 {
		queueResponses(b, rows)
	}
	return nil
}

// mergeResponses is the rule of upsertResponses, in memory.
func mergeResponses(before, after Response) Response {
	if !after.Status.Supersedes(after.Pos, before.Status, before.Pos) {
		return before
	}
	after.Attempts = max(before.Attempts, after.Attempts)
	if after.Responder == "" {
		after.Responder = before.Responder
	}
	return after
}

// responseColumns are the rows of one statement, turned on their side.
type responseColumns struct {
	status, responder, contentType []string
	result, code, detail           []*string
	attempts, count                []int
	took, pos                      []int64
	truncated, cached              []bool
	recorded                       []*time.Time
}

func queueResponses(b *pgx.Batch, rows latest[Response]) {
	var c responseColumns
	for _, id := range rows.keys {
		c.add(rows.rows[id])
	}
	b.Queue(upsertResponses, rows.keys, c.status, c.attempts, c.responder, c.result, c.count, c.took,
		c.truncated, c.cached, c.contentType, c.code, c.detail, c.recorded, c.pos)
}

func (c *responseColumns) add(r Response) {
	var result, code, detail *string
	var recorded *time.Time
	switch r.Status {
	case domain.StatusAnswered:
		result, recorded = new(string(r.Result)), &r.RecordedAt
	case domain.StatusFailed:
		code, detail, recorded = new(text(r.ErrorCode)), new(text(r.ErrorDetail)), &r.RecordedAt
	}
	c.status, c.responder = append(c.status, string(r.Status)), append(c.responder, text(string(r.Responder)))
	c.contentType = append(c.contentType, text(r.ContentType))
	c.result, c.code, c.detail = append(c.result, result), append(c.code, code), append(c.detail, detail)
	c.attempts, c.count = append(c.attempts, r.Attempts), append(c.count, r.ResultCount)
	c.took, c.pos = append(c.took, r.TookMS), append(c.pos, r.Pos)
	c.truncated, c.cached = append(c.truncated, r.Truncated), append(c.cached, r.Cached)
	c.recorded = append(c.recorded, recorded)
}

const selectResponse = `
	SELECT q.id, q.origin, q.user_id, ` + status + `, coalesce(s.attempts, 0), coalesce(s.responder, ''),
	       s.result, coalesce(s.result_count, 0), coalesce(s.took_ms, 0), coalesce(s.truncated, false),
	       coalesce(s.cached, false), coalesce(s.content_type, ''), coalesce(s.error_code, ''),
	       coalesce(s.error_detail, ''), s.recorded_at, coalesce(s.pos, 0)
	FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id
	WHERE q.id = $1`

// Response returns the answer to a request together with who may see it; its
// status is pending while there is none. [ErrNotFound] means that the request
// itself is not known here.
func (r *Reader) Response(ctx context.Context, requestID string) (Response, error) {
	return one(ctx, r, scanResponse, selectResponse, text(requestID))
}

func scanResponse(row pgx.CollectableRow) (Response, error) {
	var s Response
	var result []byte
	var recorded *time.Time
	err := row.Scan(&s.RequestID, &s.Origin, &s.Owner, &s.Status, &s.Attempts, &s.Responder,
		&result, &s.ResultCount, &s.TookMS, &s.Truncated, &s.Cached, &s.ContentType, &s.ErrorCode,
		&s.ErrorDetail, &recorded, &s.Pos)
	s.Result = result
	if recorded != nil {
		s.RecordedAt = recorded.UTC()
	}
	return s, err
}
