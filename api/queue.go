package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"sallyport/domain"
	"sallyport/internal/periodic"
	"sallyport/projections"
	"sallyport/responders/queue"
)

// jobShape is a job of the work queue.
type jobShape struct {
	ID            int64             `json:"id"`
	Kind          string            `json:"kind"`
	Queue         string            `json:"queue"`
	State         string            `json:"state"`
	Attempt       int               `json:"attempt"`
	NextAttemptAt *domain.Timestamp `json:"next_attempt_at"` // null: it runs, or is done
	EnqueuedAt    domain.Timestamp  `json:"enqueued_at"`
	AttemptedAt   *domain.Timestamp `json:"attempted_at"`
	FinishedAt    *domain.Timestamp `json:"finished_at"`
	Worker        *string           `json:"worker"`
	LastError     *string           `json:"last_error"`
	LastErrorCode *string           `json:"last_error_code"` // null: none, or of what answers no request
	Job           *string           `json:"job"`             // the name of a periodic one
	RequestID     *string           `json:"request_id"`      // null, and all below, for what answers no request
	RequestStatus *domain.Status    `json:"request_status"`
	Type          *string           `json:"type"`
	UserID        *string           `json:"user_id"`
	Username      *string           `json:"username"`
	Priority      *int              `json:"priority"`
	AskedAt       *domain.Timestamp `json:"asked_at"`
}

// queueShape is a page of the queue, with what there is at a glance.
type queueShape struct {
	Items      []jobShape        `json:"items"`
	NextCursor *string           `json:"next_cursor"`
	Counts     map[string]int64  `json:"counts"` // jobs by state
	Periodic   []periodic.Status `json:"periodic"`
	Leader     *periodic.Leader  `json:"leader"` // null: nobody works
}

var jobStates = []string{"available", "scheduled", "running", "retryable", "pending", "completed", "cancelled", "discarded"}

// listQueue lists jobs, the newest first.
func (s *server) listQueue(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "state", "type")
	if err != nil {
		return answer{}, err
	}
	f := projections.JobFilter{State: q.values.Get("state"), Type: q.values.Get("type"), Page: q.page}
	if f.State != "" && !slices.Contains(jobStates, f.State) {
		return answer{}, badQuery("state", domain.FieldNotOneOf, "must be one of "+strings.Join(jobStates, ", "))
	}
	found, next, err := s.Reader.Jobs(ctx, f)
	if err != nil {
		return answer{}, err
	}
	a := list(c, []jobShape{}, next) // for its header
	shape := queueShape{Items: make([]jobShape, len(found)), Counts: map[string]int64{}}
	for i, j := range found {
		if shape.Items[i], err = s.shapeOfJob(ctx, j); err != nil {
			return answer{}, err
		}
	}
	shape.NextCursor = given(next)
	counts, err := queue.Counts(ctx, s.Pool)
	if err != nil {
		return answer{}, err
	}
	for _, n := range counts {
		shape.Counts[n.State] += n.Jobs
	}
	shape.Periodic, shape.Leader, err = periodic.List(ctx, s.Pool)
	a.value = shape
	return a, err
}

func (s *server) shapeOfJob(ctx context.Context, j projections.Job) (jobShape, error) {
	out := jobShape{ID: j.ID, Kind: j.Kind, Queue: j.Queue, State: j.State, Attempt: j.Attempt, EnqueuedAt: domain.Timestamp(j.CreatedAt),
		NextAttemptAt: unlessZero(j.NextAt), AttemptedAt: unlessZero(j.AttemptedAt), FinishedAt: unlessZero(j.FinishedAt), Worker: given(j.Worker),
		LastError: given(j.Error), Job: given(j.Subject), RequestID: given(j.Request), RequestStatus: given(j.Status), Type: given(j.Type),
		UserID: given(j.User), AskedAt: unlessZero(j.AskedAt)}
	if j.Request != "" {
		out.LastErrorCode = given(queue.FailureCode(j.Error))
	}
	if j.User == "" {
		return out, nil
	}
	out.Priority = &j.Priority
	user, err := s.Directory.User(ctx, j.User)
	if errors.Is(err, projections.ErrNotFound) {
		return out, nil
	}
	out.Username = &user.Username
	return out, err
}

// given is null for what is empty.
func given[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}

// unlessZero is null for a time that there is not.
func unlessZero(t time.Time) *domain.Timestamp {
	if t.IsZero() {
		return nil
	}
	at := domain.Timestamp(t)
	return &at
}

// target is what an act on the queue is about: a request, another job, or a
// periodic job by its name.
type target struct {
	request string
	job     int64
	name    string
}

var errAnsweredElsewhere = &domain.Error{Kind: domain.NotFound, Code: "not-found",
	Detail: "requests are answered on the response site: see to them there; nothing was changed"}

// targetOf reads the path: a request's id, a job's number, or the name of a
// periodic job. The number of a job that answers a request names that request.
func (s *server) targetOf(ctx context.Context, c *call) (target, error) {
	text := strings.ToLower(mux.Vars(c.Request)["id"])
	if _, is := periodic.Find(text); is {
		return target{name: text}, nil
	}
	if len(text) == 36 && uuid.Validate(text) == nil {
		if s.role != domain.ResponseSite {
			return target{}, errAnsweredElsewhere
		}
		return target{request: text}, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return target{}, errNotFound
	}
	request, err := s.Queue.RequestOf(ctx, id)
	return target{request: request, job: id}, err
}

func (t target) String() string {
	switch {
	case t.request != "":
		return "request " + t.request
	case t.name != "":
		return t.name
	}
	return "job " + strconv.FormatInt(t.job, 10)
}

func (s *server) retryJob(ctx context.Context, c *call, in reasonGiven) (answer, error) {
	t, err := s.targetOf(ctx, c)
	if err == nil {
		err = s.acted(ctx, c, "queue.retry", t.String())
	}
	if err != nil {
		return answer{}, err
	}
	switch {
	case t.name != "":
		err = periodic.Ask(ctx, s.Pool, t.name)
	case t.request != "":
		err = s.Queue.RetryAnswer(ctx, t.request, s.decision(c, in))
	default:
		err = s.Queue.RetryJob(ctx, t.job)
	}
	return s.seenTo(ctx, t, http.StatusAccepted, err)
}

func (s *server) cancelJob(ctx context.Context, c *call, in reasonGiven) (answer, error) {
	t, err := s.targetOf(ctx, c)
	if err == nil && t.name != "" {
		err = &domain.Error{Kind: domain.Conflict, Code: "wrong-state", Detail: "a periodic job comes again: cancel the one that is under way by its number; nothing was changed"}
	}
	if err == nil {
		err = s.acted(ctx, c, "queue.cancel", t.String())
	}
	if err != nil {
		return answer{}, err
	}
	if t.request != "" {
		err = s.Queue.CancelAnswer(ctx, t.request, s.decision(c, in))
	} else {
		err = s.Queue.CancelJob(ctx, t.job)
	}
	return s.seenTo(ctx, t, http.StatusOK, err)
}

func (s *server) decision(c *call, in reasonGiven) queue.Decision {
	by := c.by()
	return queue.Decision{Actor: by.Actor, Corr: by.Corr, Reason: in.Reason}
}

// seenTo shows the newest job of what was acted on; null: it has none any more.
func (s *server) seenTo(ctx context.Context, t target, status int, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	var shown struct {
		Job *jobShape `json:"job"`
	}
	if t.name == "" {
		f := projections.JobFilter{Request: t.request, All: true, Page: projections.Page{Limit: 1}}
		if t.request == "" {
			f.ID = t.job
		}
		found, _, err := s.Reader.Jobs(ctx, f)
		if err != nil {
			return answer{}, err
		}
		if len(found) > 0 {
			shape, err := s.shapeOfJob(ctx, found[0])
			if err != nil {
				return answer{}, err
			}
			shown.Job = &shape
		}
	}
	return s.behind(ctx, answer{status: status, value: shown}, nil)
}
