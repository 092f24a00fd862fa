package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Work is what an analyst is asked to do about one request. It stays on the
// response site.
type Work struct {
	Request     string
	Type        string
	TypeVersion int
	Priority    int
	Question    string // see [domain.Question]
	Task        domain.ManualTask
	OpenedAt    time.Time
	OpenedPos   int64
	Holder      string        // whose claim is the last; empty: nobody's
	Until       time.Time     // when that claim ends
	Outcome     domain.Status // answered, failed or withdrawn; empty: it is open
	ClosedAt    time.Time     // zero: not yet
	ClosedBy    string        // an actor
	// What follows is the request's.
	Params  json.RawMessage
	User    string
	Origin  string // the site where it was submitted
	AskedAt time.Time
}

// WorkState says what may be done with work.
type WorkState string

// The states of work.
const (
	WorkIsOpen    WorkState = "open" // for anybody
	WorkIsClaimed WorkState = "claimed"
	WorkIsClosed  WorkState = "closed"
)

// State is that of the work at a time: a claim ends by itself.
func (w Work) State(now time.Time) WorkState {
	switch {
	case w.Outcome != "":
		return WorkIsClosed
	case w.Holder != "" && now.Before(w.Until):
		return WorkIsClaimed
	}
	return WorkIsOpen
}

// What was closed is opened anew by the same event: all is as if it were new.
const openWork = `
	INSERT INTO readmodel.work AS w (request_id, request_type, type_version, priority, question, task, opened_at, opened_pos, pos)
	VALUES ($1, $2, $3, $4, $5, $6::text::json, $7, $8, $8)
	ON CONFLICT (request_id) DO UPDATE SET request_type = excluded.request_type, type_version = excluded.type_version,
		priority = excluded.priority, question = excluded.question, task = excluded.task, opened_at = excluded.opened_at,
		opened_pos = excluded.opened_pos, holder = NULL, until = NULL, outcome = NULL, closed_at = NULL, closed_by = NULL, pos = excluded.pos
	WHERE excluded.pos > w.pos`

const (
	holdWork  = `UPDATE readmodel.work SET holder = $2, until = $3, pos = $4 WHERE request_id = $1 AND pos < $4`
	closeWork = `UPDATE readmodel.work SET holder = NULL, until = NULL, outcome = $2, closed_at = $3, closed_by = $4, pos = $5
		WHERE request_id = $1 AND pos < $5`
)

// applyWork queues one statement an event: people make few, and they come from
// this site alone, in their order.
func applyWork(b *pgx.Batch, records []eventstore.Record) error {
	for _, r := range records {
		id := strings.TrimPrefix(r.Stream, domain.WorkStream(""))
		switch f := r.Fact.(type) {
		case domain.WorkOpened:
			task, err := json.Marshal(f.Task)
			if err != nil {
				return fmt.Errorf("task of %s: %w", r.Stream, err)
			}
			b.Queue(openWork, id, text(f.RequestType), f.TypeVersion, f.Priority, text(f.Question), string(task), r.At, r.Pos)
		case domain.WorkClaimed:
			b.Queue(holdWork, id, text(f.Holder), time.Time(f.Until), r.Pos)
		case domain.WorkReleased:
			b.Queue(holdWork, id, nil, nil, r.Pos)
		case domain.WorkClosed:
			b.Queue(closeWork, id, string(f.Outcome), r.At, text(r.Actor), r.Pos)
		}
	}
	return nil
}

const selectWork = `
	SELECT w.request_id, w.request_type, w.type_version, w.priority, w.question, w.task, w.opened_at, w.opened_pos, coalesce(w.holder, ''), w.until,
	       coalesce(w.outcome, ''), w.closed_at, coalesce(w.closed_by, ''), q.params, q.user_id, q.origin, q.created_at
	FROM readmodel.work AS w JOIN readmodel.requests AS q ON q.id = w.request_id `

func scanWork(row pgx.CollectableRow) (Work, error) {
	var w Work
	var task, params []byte
	var until, closed *time.Time
	err := row.Scan(&w.Request, &w.Type, &w.TypeVersion, &w.Priority, &w.Question, &task, &w.OpenedAt, &w.OpenedPos, &w.Holder, &until,
		&w.Outcome, &closed, &w.ClosedBy, &params, &w.User, &w.Origin, &w.AskedAt)
	if err != nil {
		return w, err
	}
	w.Params, w.OpenedAt, w.Until, w.ClosedAt, w.AskedAt = params, w.OpenedAt.UTC(), orZero(until), orZero(closed), w.AskedAt.UTC()
	return w, json.Unmarshal(task, &w.Task)
}

// Work returns the work on a request, or [ErrNotFound].
func (r *Reader) Work(ctx context.Context, request string) (Work, error) {
	return one(ctx, r, scanWork, selectWork+`WHERE w.request_id = $1`, text(request))
}

// WorkFilter says which work a list is of. The zero value is all that is not
// closed.
type WorkFilter struct {
	State  WorkState
	Type   string
	Holder string    // whose claim lasts; of what is closed, who closed it
	Now    time.Time // by which claims end
	Page
}

// Works returns a page of the work that the filter names and the cursor of the
// next page: empty at the end. What is to be done comes by priority, then by
// age; what is closed with the last first. A cursor that this method did not
// give is refused with [ErrCursor].
func (r *Reader) Works(ctx context.Context, f WorkFilter) ([]Work, string, error) {
	var w conditions
	closed := f.State == WorkIsClosed
	w.add(closed, "w.outcome IS NOT NULL")
	w.add(!closed, "w.outcome IS NULL")
	w.add(f.State == WorkIsClaimed, "w.until > ?", f.Now)
	w.add(f.State == WorkIsOpen, "(w.until IS NULL OR w.until <= ?)", f.Now)
	w.add(f.Type != "", "w.request_type = ?", text(f.Type))
	w.add(f.Holder != "" && closed, "w.closed_by = ?", text(f.Holder))
	w.add(f.Holder != "" && !closed, "w.holder = ? AND w.until > ?", text(f.Holder), f.Now)
	order, err := f.order(&w, closed)
	if err != nil {
		return nil, "", err
	}
	w.args = append(w.args, f.limit()+1)
	found, err := many(ctx, r, scanWork, selectWork+w.where()+fmt.Sprintf(` ORDER BY %s LIMIT $%d`, order, len(w.args)), w.args...)
	if err != nil || len(found) <= f.limit() {
		return found, "", err
	}
	found = found[:f.limit()]
	last := found[len(found)-1]
	if closed {
		return found, cursor(last.ClosedAt.Format(time.RFC3339Nano), last.Request), nil
	}
	return found, cursor(strconv.Itoa(last.Priority), strconv.FormatInt(last.OpenedPos, 10)), nil
}

// order is that of a list, and the condition that continues it.
func (f WorkFilter) order(w *conditions, closed bool) (string, error) {
	first, second, err := f.after()
	if err != nil {
		return "", err
	}
	if closed {
		at, err := time.Parse(time.RFC3339Nano, first)
		if err != nil && f.Cursor != "" {
			return "", ErrCursor
		}
		w.add(f.Cursor != "", "(w.closed_at, w.request_id) < (?, ?)", at, text(second))
		return "w.closed_at DESC, w.request_id DESC", nil
	}
	priority, err1 := strconv.ParseInt(first, 10, 32)
	pos, err2 := strconv.ParseInt(second, 10, 64)
	if errors.Join(err1, err2) != nil && f.Cursor != "" {
		return "", ErrCursor
	}
	w.add(f.Cursor != "", "(-w.priority, w.opened_pos) > (?, ?)", -priority, pos)
	return "w.priority DESC, w.opened_pos", nil
}

// Desk is what waits for analysts, at a glance.
type Desk struct {
	Open, Claimed int64     // nobody's, and somebody's whose claim lasts
	Oldest        time.Time // since when the first of them waits; zero: nothing does
}

// WorkWaiting counts the work that is not closed, by a time at which claims end.
// It costs as much as there is of that, however much was ever done.
func (r *Reader) WorkWaiting(ctx context.Context, now time.Time) (Desk, error) {
	return one(ctx, r, func(row pgx.CollectableRow) (d Desk, err error) {
		var oldest *time.Time
		err = row.Scan(&d.Open, &d.Claimed, &oldest)
		d.Oldest = orZero(oldest)
		return d, err
	}, `SELECT count(*) FILTER (WHERE until IS NULL OR until <= $1), count(*) FILTER (WHERE until > $1), min(opened_at) FROM readmodel.work WHERE outcome IS NULL`, now)
}

// EarlierAnswer is what was answered to the same question before, to whomever.
type EarlierAnswer struct {
	Request     string
	AnsweredAt  time.Time
	AnsweredBy  string // an actor
	ContentType string
	Bytes       int64           // of the result
	Result      json.RawMessage // nil: it is longer than [MaxEarlierResult]
}

// Bounds of what is shown of earlier answers.
const (
	maxEarlier = 5
	// MaxEarlierResult is the longest result that comes with a list of them.
	MaxEarlierResult = 64 << 10
)

const selectEarlier = `
	SELECT w.request_id, w.closed_at, w.closed_by, s.content_type, octet_length(s.result::text),
	       CASE WHEN octet_length(s.result::text) <= $4 THEN s.result END
	FROM readmodel.work AS w JOIN readmodel.responses AS s ON s.request_id = w.request_id AND s.status = 'answered'
	WHERE w.question = $1 AND w.outcome = 'answered' AND w.request_id <> $2 ORDER BY w.pos DESC LIMIT $3`

// EarlierAnswers returns the newest answers that analysts gave to the same
// question, but for that to the work itself.
func (r *Reader) EarlierAnswers(ctx context.Context, w Work) ([]EarlierAnswer, error) {
	return many(ctx, r, func(row pgx.CollectableRow) (EarlierAnswer, error) {
		var a EarlierAnswer
		var result []byte
		err := row.Scan(&a.Request, &a.AnsweredAt, &a.AnsweredBy, &a.ContentType, &a.Bytes, &result)
		a.AnsweredAt, a.Result = a.AnsweredAt.UTC(), result
		return a, err
	}, selectEarlier, w.Question, w.Request, maxEarlier, MaxEarlierResult)
}

const selectWithPeople = `
	SELECT q.id FROM readmodel.requests AS q WHERE q.id = ANY ($1) AND (
		EXISTS (SELECT FROM readmodel.work AS w WHERE w.request_id = q.id AND w.outcome IS NULL)
		OR EXISTS (SELECT FROM readmodel.responder_configs AS c WHERE c.request_type = q.type AND c.definition->>'kind' = $2))`

// WithPeople returns those of the requests, as a transaction sees them, that lie
// with analysts or are of a type that they answer.
func (r *Reader) WithPeople(ctx context.Context, tx pgx.Tx, requests []string) ([]string, error) {
	rows, err := tx.Query(ctx, selectWithPeople, requests, domain.ResponderManual)
	if err != nil {
		return nil, fmt.Errorf("read a read model: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
