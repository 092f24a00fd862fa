package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/projections"
)

type newRequest struct {
	Type     string          `json:"type"`
	Params   json.RawMessage `json:"params"`
	Name     string          `json:"name"`     // empty: none
	Priority *int            `json:"priority"` // null: the user's
}

type requestShape struct {
	ID               string           `json:"id"`
	Type             string           `json:"type"`
	TypeVersion      int              `json:"type_version"`
	Status           domain.Status    `json:"status"`
	Params           json.RawMessage  `json:"params"`
	Priority         int              `json:"priority"`
	Name             *string          `json:"name"` // null: none
	CreatedAt        domain.Timestamp `json:"created_at"`
	Position         int64            `json:"position"`
	ExpectedCrossing expectedCrossing `json:"expected_crossing"`
}

// shapeOfRequest shows a request as its submitter sees it now.
func (s *server) shapeOfRequest(q projections.Request, link Crossing) requestShape {
	return shapeAt(q, q.Crossed(link.ExportedThrough, link.AckedThrough), s.Now(), link)
}

// firstShape shows a request as its submission was answered.
func firstShape(q projections.Request, link Crossing) requestShape {
	return shapeAt(q, domain.StatusPending, q.CreatedAt, link)
}

func shapeAt(q projections.Request, status domain.Status, now time.Time, link Crossing) requestShape {
	shown := requestShape{ID: q.ID, Type: q.Type, TypeVersion: q.TypeVersion, Params: q.Params, Priority: q.Priority,
		CreatedAt: domain.Timestamp(q.CreatedAt), Position: q.Seq, Status: status}
	if q.Name != "" {
		shown.Name = &q.Name
	}
	shown.ExpectedCrossing = link.expect(q, status, now)
	return shown
}

// submit stores a request. It is the busiest call: everything but the append
// comes from memory.
func (s *server) submit(ctx context.Context, c *call, in newRequest) (answer, error) {
	key, err := idempotencyKey(c)
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	meter := s.meter(c)
	fact, stored, err := s.Commands.SubmitRequest(ctx, c.by(), commands.NewRequest{User: c.user.ID,
		Type: in.Type, Params: in.Params, Name: in.Name, Priority: in.Priority, Key: key, Admit: meter.admit})
	meter.settle(ctx, stored.Replayed, err)
	if err != nil {
		return answer{}, err
	}
	if stored.Replayed {
		return s.replayed(ctx, stored.ID, link)
	}
	shown := firstShape(submitted(fact, stored), link)
	return answer{status: http.StatusAccepted, location: "/requests/" + stored.ID, position: stored.Seq, value: shown}, nil
}

// submitted is a request as it was just stored.
func submitted(f domain.RequestSubmitted, at commands.Stored) projections.Request {
	return projections.Request{ID: at.ID, Seq: at.Seq, Pos: at.Pos, AskedPos: at.Pos, Type: f.Type, TypeVersion: f.TypeVersion,
		Params: f.Params, Name: f.Name, Priority: f.Priority, CreatedAt: at.At}
}

// idempotencyKey returns the client's key, empty if there is none.
func idempotencyKey(c *call) (string, error) {
	given := c.Header["Idempotency-Key"]
	if len(given) == 0 {
		return "", nil
	}
	if len(given) > 1 || given[0] == "" {
		return "", domain.ErrIdempotencyKey
	}
	return given[0], nil
}

// replayed answers a repeated submission as the first one was.
func (s *server) replayed(ctx context.Context, id string, link Crossing) (answer, error) {
	q, err := s.Reader.Request(ctx, id)
	if errors.Is(err, projections.ErrNotFound) {
		q, err = s.fromLog(ctx, id)
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, location: "/requests/" + id, position: q.Seq, replay: true,
		value: firstShape(q, link)}, nil
}

// own returns a request of the one who asks; another's is not there.
func (s *server) own(ctx context.Context, c *call) (projections.Request, error) {
	id, err := idOf(c)
	if err != nil {
		return projections.Request{}, err
	}
	return s.ownOf(ctx, c, id)
}

func (s *server) ownOf(ctx context.Context, c *call, id string) (projections.Request, error) {
	q, err := s.Reader.Request(ctx, id)
	if errors.Is(err, projections.ErrNotFound) {
		return q, s.once(ctx, c, id)
	}
	if err == nil && q.User != c.user.ID {
		err = errNotFound
	}
	return q, err
}

// once says of a request that is not there whether the one who asks had it,
// once: the log knows it still.
func (s *server) once(ctx context.Context, c *call, id string) error {
	q, err := s.fromLog(ctx, id)
	if err != nil {
		return err
	}
	if q.User != c.user.ID {
		return errNotFound
	}
	return errCleared
}

// fromLog returns a request as it was submitted, also when it was cleared away
// since.
func (s *server) fromLog(ctx context.Context, id string) (projections.Request, error) {
	records, err := s.Log.ReadStream(ctx, domain.RequestStream(id))
	if err != nil {
		return projections.Request{}, err
	}
	if len(records) == 0 {
		return projections.Request{}, errNotFound
	}
	f, ok := records[0].Fact.(domain.RequestSubmitted)
	if !ok {
		return projections.Request{}, errNotFound
	}
	q := submitted(f, commands.Stored{ID: id, Seq: records[0].Seq, Pos: records[0].Pos, At: records[0].At})
	q.User = f.User
	return q, nil
}

func (s *server) listRequests(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "status", "type", "name", "from", "to")
	if err != nil {
		return answer{}, err
	}
	link, err := s.Crossing(ctx)
	if err != nil {
		return answer{}, err
	}
	f, err := q.requestFilter()
	if err != nil {
		return answer{}, err
	}
	f.User = c.user.ID
	empty, err := narrow(&f, domain.Status(q.values.Get("status")), link)
	if err != nil || empty {
		return list(c, []requestShape{}, ""), err
	}
	found, next, err := s.Reader.Requests(ctx, f)
	if err != nil {
		return answer{}, err
	}
	return s.requestList(c, found, next, link), nil
}

// requestFilter reads what narrows a list of requests, but for the status.
func (q query) requestFilter() (projections.RequestFilter, error) {
	f := projections.RequestFilter{Type: q.values.Get("type"), Name: q.values.Get("name"), Page: q.page}
	var err error
	if f.From, err = q.time("from"); err != nil {
		return f, err
	}
	f.To, err = q.time("to")
	return f, err
}

var statuses = []domain.Status{domain.StatusPending, domain.StatusExported, domain.StatusDelivered,
	domain.StatusProcessing, domain.StatusAnswered, domain.StatusFailed, domain.StatusCancelled}

// narrow makes a filter of a status: what is pending for the read model is
// told apart by the link's cursors. empty means that nothing can be in it.
func narrow(f *projections.RequestFilter, status domain.Status, link Crossing) (empty bool, err error) {
	switch status {
	case "":
	case domain.StatusPending:
		f.Status, f.After = domain.StatusPending, max(link.ExportedThrough, link.AckedThrough)
	case domain.StatusExported:
		f.Status, f.After, f.Through = domain.StatusPending, link.AckedThrough, link.ExportedThrough
		return link.ExportedThrough <= link.AckedThrough, nil
	case domain.StatusDelivered:
		f.Status, f.Through = domain.StatusPending, link.AckedThrough
		return link.AckedThrough == 0, nil
	default:
		if !slices.Contains(statuses, status) {
			return false, badQuery("status", domain.FieldNotOneOf, "must be one of pending, exported, delivered, processing, answered, failed, cancelled")
		}
		f.Status = status
	}
	return false, nil
}
