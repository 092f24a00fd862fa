package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/projections"
)

// carrierShape is a bundle that carried an event.
type carrierShape struct {
	Direction string            `json:"direction"`
	Peer      string            `json:"peer"`
	Seq       int64             `json:"seq"`
	ID        string            `json:"id"` // empty until its file is written
	State     string            `json:"state"`
	At        *domain.Timestamp `json:"at"`
}

// storedAs is what an event's line does not tell.
type storedAs struct {
	Seq      int64            `json:"seq"`
	Origin   string           `json:"origin"`
	StoredAt domain.Timestamp `json:"stored_at"`
	Bundles  []carrierShape   `json:"bundles"`
}

// history shows the events of a request and of its answer, and which bundles
// carried each: to its owner, and to auditors, of whom it is recorded.
func (s *server) history(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	id, err := idIn(c)
	if err != nil {
		return answer{}, err
	}
	request, err := s.Reader.Request(ctx, id)
	if errors.Is(err, projections.ErrNotFound) {
		request, err = s.fromLog(ctx, id) // its history outlives it
	}
	if err != nil {
		return answer{}, err
	}
	theirs := request.User == c.user.ID
	if !theirs && !c.audits() {
		return answer{}, errNotFound
	}
	found, next, err := s.Reader.History(ctx, id, q.page)
	if err != nil {
		return answer{}, err
	}
	items := make([]json.RawMessage, 0, len(found))
	for _, p := range found {
		item, err := s.carried(ctx, p)
		if err != nil {
			return answer{}, err
		}
		items = append(items, item)
	}
	if !theirs {
		what := c.Method + " " + c.URL.RequestURI()
		if err := s.unlessReadOnly(ctx, c, what, s.Commands.Viewed(ctx, c.by(), what)); err != nil {
			return answer{}, err
		}
	}
	return list(c, items, next), nil
}

// audits reports whether a call may see what belongs to others.
func (c *call) audits() bool {
	return c.user.Role == domain.RoleAuditor && (c.key == nil || slices.Contains(c.key.Scopes, domain.ScopeAudit))
}

// carried is an event's line with what this site knows of it beside.
func (s *server) carried(ctx context.Context, p projections.Past) (json.RawMessage, error) {
	carriers, err := s.Bridge.Carriers(ctx, p.Origin, p.Pos)
	if err != nil {
		return nil, err
	}
	beside := storedAs{Seq: p.Seq, Origin: p.Origin, StoredAt: domain.Timestamp(p.StoredAt), Bundles: []carrierShape{}}
	for _, b := range carriers {
		beside.Bundles = append(beside.Bundles, shapeOfCarrier(b))
	}
	more, err := json.Marshal(beside)
	if err != nil {
		return nil, err
	}
	line, ok := bytes.CutSuffix(p.Line, []byte("}"))
	if !ok || len(line) < 2 {
		return nil, errors.New("a stored line is no object: run `sallyport audit verify`")
	}
	return slices.Concat(line, []byte(","), more[1:]), nil
}

func shapeOfCarrier(b bridge.Carrier) carrierShape {
	shown := carrierShape{Direction: b.Direction, Peer: b.Peer, Seq: b.Seq, ID: b.ID, State: b.State}
	if b.At != nil {
		at := domain.Timestamp(*b.At)
		shown.At = &at
	}
	return shown
}
