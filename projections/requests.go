package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
	"sallyport/eventstore"
)

// Request is one request and how far its answer has got.
type Request struct {
	ID          string
	Origin      string // the site where it was submitted
	Pos         int64  // in that site's log
	Seq         int64  // in the log of the site that is asked
	User        string // the id of who asked
	Type        string
	TypeVersion int
	Params      json.RawMessage
	Name        string // empty: none
	Priority    int
	CreatedAt   time.Time // when it was submitted, by that site's clock
	// Status is pending, processing, answered, failed or cancelled; the link's
	// cursors refine pending, see [Request.Crossed].
	Status domain.Status
	// RecordedAt is when the answer or failure was recorded; zero before that.
	RecordedAt time.Time
	// AskedPos is where it was last asked for: Pos, or that of its newest retry.
	AskedPos int64
}

// Crossed returns the status as the link's cursors refine it.
func (q Request) Crossed(exportedThrough, ackedThrough int64) domain.Status {
	return q.Status.CrossingStatus(q.AskedPos, exportedThrough, ackedThrough)
}

// submitted is a request's row before anything came of it.
type submitted struct {
	record                      *eventstore.Record
	id, user, typ, params, name string
	version, priority           int
}

func submittedBy(r *eventstore.Record, f domain.RequestSubmitted) (submitted, error) {
	params, err := compact(f.Params)
	if err != nil {
		return submitted{}, fmt.Errorf("parameters of %s: %w", r.Stream, err)
	}
	return submitted{record: r, id: strings.TrimPrefix(r.Stream, domain.RequestStream("")), user: text(f.User), typ: text(f.Type),
		version: f.TypeVersion, params: params, name: text(f.Name), priority: f.Priority}, nil
}

const requestRows = "readmodel.requests (id, origin, pos, user_id, type, type_version, params, name, priority, created_at)"

func writeRequest(to *eventstore.Row, q *submitted) {
	to.Text(q.id)
	to.Text(q.record.Origin)
	to.Bigint(q.record.Pos)
	to.Text(q.user)
	to.Text(q.typ)
	to.Int(q.version)
	to.Text(q.params)
	to.Text(q.name)
	to.Int(q.priority)
	to.Time(q.record.At)
}

const insertRequest = `INSERT INTO ` + requestRows + ` VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`

func (q *submitted) insert(b *pgx.Batch) {
	r := q.record
	b.Queue(insertRequest, q.id, r.Origin, r.Pos, q.user, q.typ, q.version, q.params, q.name, q.priority, r.At)
}

// applyRequests adds what was submitted. A request is what the first event of its
// stream says, whatever a peer writes behind it. Nearly all are being stored, and
// so are new for certain.
func applyRequests(b *pgx.Batch, records []eventstore.Record) error {
	var begun, others []submitted
	for i := range records {
		r := &records[i]
		f, ok := r.Fact.(domain.RequestSubmitted)
		if !ok || r.Ver != 1 {
			continue
		}
		q, err := submittedBy(r, f)
		if err != nil {
			return err
		}
		if !r.Begins() {
			others = append(others, q)
			continue
		}
		if begun == nil {
			begun = make([]submitted, 0, len(records)-i)
		}
		begun = append(begun, q)
	}
	eventstore.Copy(b, requestRows, begun, writeRequest)
	for i := range others {
		others[i].insert(b)
	}
	return nil
}

// applyAsked marks what was cancelled or asked again. Its request's stream has
// one origin, so that the row is there.
func applyAsked(b *pgx.Batch, records []eventstore.Record) error {
	var marks latest[mark]
	for _, r := range records {
		m := mark{}
		switch f := r.Fact.(type) {
		case domain.RequestCancelled:
			m.cancelled = r.Pos
		case domain.RequestRetried:
			m.retried, m.failure = r.Pos, f.Failure
		default:
			continue
		}
		marks.fold(strings.TrimPrefix(r.Stream, domain.RequestStream("")), m, mark.and)
	}
	if len(marks.keys) == 0 {
		return nil
	}
	var cancelled, retried, failure []int64
	for _, id := range marks.keys {
		m := marks.rows[id]
		cancelled, retried, failure = append(cancelled, m.cancelled), append(retried, m.retried), append(failure, m.failure)
	}
	b.Queue(markRequests, marks.keys, cancelled, retried, failure)
	return nil
}

// mark is what events after its submission add to a request's row.
type mark struct{ cancelled, retried, failure int64 }

func (m mark) and(n mark) mark {
	return mark{max(m.cancelled, n.cancelled), max(m.retried, n.retried), max(m.failure, n.failure)}
}

const markRequests = `
	UPDATE readmodel.requests AS q SET cancelled_pos = greatest(q.cancelled_pos, m.cancelled),
		retried_pos = greatest(q.retried_pos, m.retried), retried_failure = greatest(q.retried_failure, m.failure)
	FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS m(id, cancelled, retried, failure)
	WHERE q.id = m.id`

// status is [domain.Asked.Status] in SQL, of a request q and its answer s.
const status = `CASE WHEN q.cancelled_pos > 0 OR s.status = 'withdrawn' THEN 'cancelled'
	WHEN s.status = 'failed' AND q.retried_failure >= s.pos THEN 'pending' ELSE coalesce(s.status, 'pending') END`

// askedPos is where a request q was last asked for.
const askedPos = `greatest(q.pos, q.retried_pos)`

const selectRequests = `
	SELECT q.id, coalesce((SELECT seq FROM events AS e WHERE e.origin = q.origin AND e.pos = q.pos), 0), q.origin, q.pos, q.user_id, q.type, q.type_version, q.params, q.name, q.priority, q.created_at,
	       ` + status + `, s.recorded_at, ` + askedPos + `
	FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id `

func scanRequest(row pgx.CollectableRow) (Request, error) {
	var q Request
	var params []byte
	var recorded *time.Time
	err := row.Scan(&q.ID, &q.Seq, &q.Origin, &q.Pos, &q.User, &q.Type, &q.TypeVersion, &params, &q.Name, &q.Priority,
		&q.CreatedAt, &q.Status, &recorded, &q.AskedPos)
	q.Params, q.CreatedAt = params, q.CreatedAt.UTC()
	if recorded != nil {
		q.RecordedAt = recorded.UTC()
	}
	return q, err
}

// Request returns the request of an id, or [ErrNotFound].
func (r *Reader) Request(ctx context.Context, id string) (Request, error) {
	return one(ctx, r, scanRequest, selectRequests+`WHERE q.id = $1`, text(id))
}

// RequestsOf returns the requests of some ids, in the order of the ids; one
// that is not known is left out.
func (r *Reader) RequestsOf(ctx context.Context, ids []string) ([]Request, error) {
	return many(ctx, r, scanRequest, selectRequests+`WHERE q.id = ANY ($1) ORDER BY array_position($1, q.id)`, ids)
}

// Cancelled returns those of the requests that need no answer any more: they
// were cancelled, or there is an outcome.
func (r *Reader) Cancelled(ctx context.Context, ids []string) ([]string, error) {
	return many(ctx, r, pgx.RowTo[string], `SELECT q.id FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id
		WHERE q.id = ANY ($1) AND `+status+` IN ('cancelled', 'answered', 'failed')`, ids)
}

// RequestFilter says which requests a list is of. Fields left zero do not
// narrow it.
type RequestFilter struct {
	User   string        // the id of who asked
	Status domain.Status // pending, processing, answered, failed or cancelled
	Type   string
	Name   string
	From   time.Time // submitted at or after
	To     time.Time // submitted before
	// After and Through bound the position where it was last asked for
	// (exclusive, inclusive), so that the link's cursors can tell pending,
	// exported and delivered apart.
	After, Through int64
	// FirstPos and LastPos bound the position where it was submitted (inclusive):
	// what is known of that saves looking at all of a user's.
	FirstPos, LastPos int64
	Page
}

// conditions are a filter as SQL. Only constant text becomes SQL; values are
// arguments.
type conditions struct {
	sql  []string
	args []any
}

func (w *conditions) add(given bool, condition string, values ...any) {
	if !given {
		return
	}
	for _, v := range values {
		w.args = append(w.args, v)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.sql = append(w.sql, condition)
}

func (w *conditions) where() string { return "WHERE " + strings.Join(append(w.sql, "true"), " AND ") }

func (f RequestFilter) conditions() (w conditions) {
	w.add(f.User != "", "q.user_id = ?", text(f.User))
	w.add(f.Status != "", status+" = ?", text(string(f.Status)))
	w.add(f.Type != "", "q.type = ?", text(f.Type))
	w.add(f.Name != "", "q.name = ?", text(f.Name))
	w.add(!f.From.IsZero(), "q.created_at >= ?", f.From)
	w.add(!f.To.IsZero(), "q.created_at < ?", f.To)
	w.add(f.After > 0, askedPos+" > ?", f.After)
	w.add(f.Through > 0, askedPos+" <= ?", f.Through)
	w.add(f.LastPos > 0, "q.pos BETWEEN ? AND ?", f.FirstPos, f.LastPos)
	return w
}

// order is that of a list, and the condition that continues it. Of one user the
// newest by position come first, of all those with the newest id, which bears a
// time: positions of different origins say nothing about each other.
func (f RequestFilter) order(w *conditions) (string, error) {
	first, second, err := f.after()
	if err != nil {
		return "", err
	}
	if f.User == "" {
		if f.Cursor != "" && second != "all" {
			return "", ErrCursor
		}
		w.add(f.Cursor != "", "q.id < ?", text(first))
		return "q.id DESC", nil
	}
	pos, err := strconv.ParseInt(first, 10, 64)
	if err != nil && f.Cursor != "" {
		return "", ErrCursor
	}
	w.add(f.Cursor != "", "(q.pos, q.origin) < (?, ?)", pos, text(second))
	return "q.pos DESC, q.origin DESC", nil
}

func (f RequestFilter) cursor(last Request) string {
	if f.User == "" {
		return cursor(last.ID, "all")
	}
	return cursor(strconv.FormatInt(last.Pos, 10), last.Origin)
}

// Requests returns a page of the requests that the filter names, newest first,
// and the cursor of the next page: empty at the end. What is submitted
// meanwhile neither repeats nor skips anything on the pages that follow. A
// cursor that this method did not give is refused with [ErrCursor].
func (r *Reader) Requests(ctx context.Context, f RequestFilter) ([]Request, string, error) {
	w := f.conditions()
	order, err := f.order(&w)
	if err != nil {
		return nil, "", err
	}
	w.args = append(w.args, f.limit()+1)
	found, err := many(ctx, r, scanRequest, selectRequests+w.where()+
		fmt.Sprintf(` ORDER BY %s LIMIT $%d`, order, len(w.args)), w.args...)
	if err != nil || len(found) <= f.limit() {
		return found, "", err
	}
	found = found[:f.limit()]
	return found, f.cursor(found[len(found)-1]), nil
}

// RequestCount says how many requests of one type are in one state.
type RequestCount struct {
	Type   string
	Status domain.Status
	Count  int64
}

// CountRequests counts the requests that a filter names, by type and by status
// as the link's cursors refine it; the filter's page has no meaning.
func (r *Reader) CountRequests(ctx context.Context, f RequestFilter, exportedThrough, ackedThrough int64) ([]RequestCount, error) {
	w := f.conditions()
	n := len(w.args)
	crossed := fmt.Sprintf(`CASE WHEN status <> 'pending' THEN status WHEN asked <= $%d THEN 'delivered'
		WHEN asked <= $%d THEN 'exported' ELSE 'pending' END`, n+1, n+2)
	return many(ctx, r, pgx.RowToStructByPos[RequestCount], `SELECT type, `+crossed+` AS crossed, count(*) FROM (
			SELECT q.type, `+status+` AS status, `+askedPos+` AS asked
			FROM readmodel.requests AS q LEFT JOIN readmodel.responses AS s ON s.request_id = q.id `+w.where()+`) AS found
		GROUP BY type, crossed ORDER BY type, crossed`, append(w.args, ackedThrough, exportedThrough)...)
}
