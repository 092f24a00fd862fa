package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"sallyport/domain"
	"sallyport/projections"
	"sallyport/responders/manual"
)

// workShape is work as a list has it: without what was asked.
type workShape struct {
	ID           string                `json:"id"` // the request's
	Type         string                `json:"type"`
	TypeVersion  int                   `json:"type_version"`
	State        projections.WorkState `json:"state"`
	Priority     int                   `json:"priority"`
	UserID       string                `json:"user_id"`  // who asked
	Username     *string               `json:"username"` // null: this site does not know the user
	Origin       string                `json:"origin"`   // the site where it was submitted
	AskedAt      domain.Timestamp      `json:"asked_at"`
	OpenedAt     domain.Timestamp      `json:"opened_at"`
	ClaimedBy    *string               `json:"claimed_by"` // null: nobody's claim lasts
	ClaimedUntil *domain.Timestamp     `json:"claimed_until"`
	Mine         bool                  `json:"mine"`    // the claim that lasts is the caller's
	Outcome      *domain.Status        `json:"outcome"` // null: it is not closed
	ClosedAt     *domain.Timestamp     `json:"closed_at"`
	ClosedBy     *string               `json:"closed_by"`
}

// workDetail is all that an analyst needs.
type workDetail struct {
	workShape
	Title        *string         `json:"title"` // of the request type; null: it is not known here
	Description  *string         `json:"description"`
	Params       json.RawMessage `json:"params"`
	Instructions string          `json:"instructions"`
	ResultSchema json.RawMessage `json:"result_schema"` // null: any JSON will do
	ClaimMinutes int             `json:"claim_minutes"`
	Earlier      []earlierShape  `json:"earlier_answers"`
	Answer       *answerShape    `json:"answer"`  // of what was answered
	Failure      *failureShape   `json:"failure"` // of what failed
}

// earlierShape is an earlier answer to the same question. Who asked it is not
// shown.
type earlierShape struct {
	ID          string           `json:"id"` // of the work, to look at it
	AnsweredAt  domain.Timestamp `json:"answered_at"`
	AnsweredBy  *string          `json:"answered_by"`
	ContentType string           `json:"content_type"`
	Bytes       int64            `json:"bytes"`  // of the result
	Result      json.RawMessage  `json:"result"` // null: it is too long for a list
}

type answerShape struct {
	ContentType string          `json:"content_type"`
	Result      json.RawMessage `json:"result"`
}

type failureShape struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// listWork lists what waits for analysts, or was done.
func (s *server) listWork(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "state", "type", "mine")
	if err != nil {
		return answer{}, err
	}
	f := projections.WorkFilter{State: projections.WorkState(q.values.Get("state")), Type: q.values.Get("type"), Now: s.Now(), Page: q.page}
	switch f.State {
	case "", projections.WorkIsOpen, projections.WorkIsClaimed, projections.WorkIsClosed:
	default:
		return answer{}, badQuery("state", domain.FieldNotOneOf, "must be one of open, claimed, closed")
	}
	switch q.values.Get("mine") {
	case "", "false":
	case "true":
		f.Holder = c.by().Actor
	default:
		return answer{}, badQuery("mine", domain.FieldNotOneOf, "must be true or false")
	}
	found, next, err := s.Reader.Works(ctx, f)
	if err != nil {
		return answer{}, err
	}
	items := make([]workShape, len(found))
	for i, w := range found {
		if items[i], err = s.shapeOfWork(ctx, c, w); err != nil {
			return answer{}, err
		}
	}
	return list(c, items, next), nil
}

func (s *server) shapeOfWork(ctx context.Context, c *call, w projections.Work) (workShape, error) {
	now := s.Now()
	out := workShape{ID: w.Request, Type: w.Type, TypeVersion: w.TypeVersion, State: w.State(now), Priority: w.Priority, UserID: w.User,
		Origin: w.Origin, AskedAt: domain.Timestamp(w.AskedAt), OpenedAt: domain.Timestamp(w.OpenedAt), Outcome: given(w.Outcome), ClosedAt: unlessZero(w.ClosedAt)}
	var err error
	if out.Username, err = s.usernameOf(ctx, w.User); err != nil {
		return out, err
	}
	if out.State == projections.WorkIsClaimed {
		out.ClaimedUntil, out.Mine = unlessZero(w.Until), w.Holder == c.by().Actor
		if out.ClaimedBy, err = s.personOf(ctx, w.Holder); err != nil {
			return out, err
		}
	}
	out.ClosedBy, err = s.personOf(ctx, w.ClosedBy)
	return out, err
}

// usernameOf is nil for a user that this site does not know.
func (s *server) usernameOf(ctx context.Context, id string) (*string, error) {
	user, err := s.Directory.User(ctx, id)
	if errors.Is(err, projections.ErrNotFound) {
		return nil, nil
	}
	return &user.Username, err
}

// personOf names an actor as people know them; nil for none.
func (s *server) personOf(ctx context.Context, actor string) (*string, error) {
	if id, isUser := strings.CutPrefix(actor, domain.UserStream("")); isUser {
		if name, err := s.usernameOf(ctx, id); name != nil || err != nil {
			return name, err
		}
	}
	return given(actor), nil
}

// work shows one piece of work with all that it takes to answer it.
func (s *server) work(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	w, err := s.Reader.Work(ctx, id)
	if err != nil {
		return answer{}, err
	}
	out := workDetail{Params: w.Params, Instructions: w.Task.Instructions, ResultSchema: w.Task.ResultSchema,
		ClaimMinutes: w.Task.ClaimMinutes, Earlier: []earlierShape{}}
	if out.workShape, err = s.shapeOfWork(ctx, c, w); err != nil {
		return answer{}, err
	}
	switch t, err := s.Directory.KnownRequestType(ctx, w.Type); {
	case err == nil:
		out.Title, out.Description = &t.Title, &t.Description
	case !errors.Is(err, projections.ErrNotFound):
		return answer{}, err
	}
	if err := errors.Join(s.addEarlier(ctx, &out, w), s.addOutcome(ctx, &out, w)); err != nil {
		return answer{}, err
	}
	return answer{value: out}, nil
}

func (s *server) addEarlier(ctx context.Context, out *workDetail, w projections.Work) error {
	earlier, err := s.Reader.EarlierAnswers(ctx, w)
	if err != nil {
		return err
	}
	for _, a := range earlier {
		by, err := s.personOf(ctx, a.AnsweredBy)
		if err != nil {
			return err
		}
		out.Earlier = append(out.Earlier, earlierShape{ID: a.Request, AnsweredAt: domain.Timestamp(a.AnsweredAt), AnsweredBy: by,
			ContentType: a.ContentType, Bytes: a.Bytes, Result: a.Result})
	}
	return nil
}

func (s *server) addOutcome(ctx context.Context, out *workDetail, w projections.Work) error {
	if w.Outcome == "" {
		return nil
	}
	r, err := s.Reader.Response(ctx, w.Request)
	if err != nil {
		return err
	}
	switch w.Outcome {
	case domain.StatusAnswered:
		out.Answer = &answerShape{ContentType: r.ContentType, Result: r.Result}
	case domain.StatusFailed:
		out.Failure = &failureShape{Code: r.ErrorCode, Detail: r.ErrorDetail}
	}
	return nil
}

func (c *call) analyst() manual.Analyst {
	by := c.by()
	return manual.Analyst{Actor: by.Actor, Corr: by.Corr}
}

// doneWork shows work as it is after something was done about it.
func (s *server) doneWork(ctx context.Context, c *call, do func(id string) (seq int64, err error)) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	seq, err := do(id)
	if err != nil {
		return answer{}, err
	}
	w, err := s.Reader.Work(ctx, id)
	if err != nil {
		return answer{}, err
	}
	shown, err := s.shapeOfWork(ctx, c, w)
	return answer{status: http.StatusOK, position: seq, value: shown}, err
}

func (s *server) claimWork(ctx context.Context, c *call) (answer, error) {
	return s.doneWork(ctx, c, func(id string) (int64, error) { return s.Desk.Claim(ctx, c.analyst(), id) })
}

func (s *server) releaseWork(ctx context.Context, c *call, in reasonGiven) (answer, error) {
	return s.doneWork(ctx, c, func(id string) (int64, error) { return s.Desk.Release(ctx, c.analyst(), id, in.Reason, false) })
}

// workAnswer is what an analyst sends: one of the two.
type workAnswer struct {
	Result json.RawMessage    `json:"result"`
	File   *domain.AnswerFile `json:"file"`
}

// answerBounds are for a file of 8 MiB as base64, and what stands around it, on a
// slow line.
var answerBounds = bounds{body: 12 << 20, time: 10 * time.Minute}

func (s *server) answerWork(ctx context.Context, c *call, in workAnswer) (answer, error) {
	return s.doneWork(ctx, c, func(id string) (int64, error) {
		return s.Desk.Answer(ctx, c.analyst(), id, manual.Answer{Result: in.Result, File: in.File})
	})
}

func (s *server) failWork(ctx context.Context, c *call, in reasonGiven) (answer, error) {
	return s.doneWork(ctx, c, func(id string) (int64, error) { return s.Desk.Fail(ctx, c.analyst(), id, in.Reason) })
}
