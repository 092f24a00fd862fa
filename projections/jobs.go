package projections

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/domain"
)

// Job is one job of the site's work queue, with the request that it is about.
type Job struct {
	ID      int64
	Kind    string // answer, webhook_delivery or periodic
	Queue   string
	State   string // available, scheduled, running, retryable, pending, completed, cancelled or discarded
	Subject string // of a periodic job: its name
	Attempt int    // of the newest attempt; 0: there was none
	// NextAt is when it is due; zero when it runs or is done.
	NextAt      time.Time
	CreatedAt   time.Time
	AttemptedAt time.Time // zero: never
	FinishedAt  time.Time // zero: not yet
	Worker      string    // who attempted it last
	Error       string    // of the last attempt that failed, as it may be shown
	// What follows is the request's; empty where there is none, or no more.
	Request  string
	Status   domain.Status
	Type     string
	User     string
	Priority int
	AskedAt  time.Time
}

// JobFilter says which jobs a list is of. The zero value is all that are not
// done: those that were given up wait for a person.
type JobFilter struct {
	State   string
	Type    string // of requests
	Request string // its id
	ID      int64
	All     bool // also those that are done
	Page
}

const selectJobs = `
	SELECT j.id, j.kind, j.queue, j.state::text, coalesce(j.args->>'job', ''), j.attempt, j.scheduled_at, j.created_at, j.attempted_at, j.finalized_at,
	       coalesce(j.attempted_by[array_upper(j.attempted_by, 1)], ''), coalesce(j.errors[array_upper(j.errors, 1)]->>'error', ''),
	       CASE j.kind WHEN 'answer' THEN coalesce(j.args->>'request', '') ELSE '' END,
	       CASE WHEN q.id IS NULL THEN '' ELSE ` + status + ` END, coalesce(q.type, ''), coalesce(q.user_id, ''), coalesce(q.priority, 0), q.created_at
	FROM river_job AS j
	LEFT JOIN readmodel.requests AS q ON j.kind = 'answer' AND q.id = j.args->>'request'
	LEFT JOIN readmodel.responses AS s ON s.request_id = q.id `

// Jobs returns a page of the jobs that the filter names, the newest first, and
// the cursor of the next page: empty at the end. A cursor that this method did
// not give is refused with [ErrCursor].
func (r *Reader) Jobs(ctx context.Context, f JobFilter) ([]Job, string, error) {
	first, second, err := f.after()
	if err != nil {
		return nil, "", err
	}
	after, err := strconv.ParseInt(first, 10, 64)
	if f.Cursor != "" && (err != nil || second != "jobs") {
		return nil, "", ErrCursor
	}
	var w conditions
	w.add(f.State == "" && !f.All, "j.state NOT IN ('completed', 'cancelled')")
	w.add(f.State != "", "j.state::text = ?", f.State)
	w.add(f.Type != "", "q.type = ?", text(f.Type))
	w.add(f.Request != "", "j.kind = 'answer' AND j.args->>'request' = ?", text(f.Request))
	w.add(f.ID != 0, "j.id = ?", f.ID)
	w.add(f.Cursor != "", "j.id < ?", after)
	w.args = append(w.args, f.limit()+1)
	found, err := many(ctx, r, scanJob, selectJobs+w.where()+fmt.Sprintf(` ORDER BY j.id DESC LIMIT $%d`, len(w.args)), w.args...)
	if err != nil || len(found) <= f.limit() {
		return found, "", err
	}
	found = found[:f.limit()]
	return found, cursor(strconv.FormatInt(found[len(found)-1].ID, 10), "jobs"), nil
}

func scanJob(row pgx.CollectableRow) (Job, error) {
	var j Job
	var next time.Time
	var attempted, finished, asked *time.Time
	err := row.Scan(&j.ID, &j.Kind, &j.Queue, &j.State, &j.Subject, &j.Attempt, &next, &j.CreatedAt, &attempted, &finished, &j.Worker, &j.Error,
		&j.Request, &j.Status, &j.Type, &j.User, &j.Priority, &asked)
	if j.State != "running" && finished == nil {
		j.NextAt = next
	}
	for to, from := range map[*time.Time]*time.Time{&j.AttemptedAt: attempted, &j.FinishedAt: finished, &j.AskedAt: asked} {
		if from != nil {
			*to = *from
		}
	}
	return j, err
}
