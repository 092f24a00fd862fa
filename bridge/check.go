package bridge

import (
	"context"
	"errors"
	"fmt"

	"sallyport/bridge/bundle"
	"sallyport/domain"
	"sallyport/schema"
)

// Checker decides about the lines of one sender what the format itself cannot
// know: that the type may come from that role, in that stream, in that shape.
type Checker struct {
	From    string
	Role    domain.Role
	Schemas *schema.Events
	// All lets in what does not cross to a peer too: the lines are for people.
	All bool
}

// admits reports whether the sender may show this kind in this stream.
func (c Checker) admits(k domain.Kind, stream string) bool {
	if c.All {
		return k.MayBeIn(stream, c.From)
	}
	return k.MayArrive(stream, c.From, c.Role)
}

// Check returns the event, as it would be written today, and its fact, or a
// *bundle.Error without a line.
func (c Checker) Check(l bundle.Line) (domain.Event, domain.Fact, error) {
	e := domain.Event{Pos: l.Event.Pos, ID: l.Event.ID, Stream: l.Event.Stream, Ver: l.Event.Ver, Type: l.Event.Type,
		Schema: int(l.Event.Schema), At: l.Event.At, Actor: l.Event.Actor, Corr: l.Event.Corr, Cause: l.Event.Cause, Data: l.Event.Data}
	k, known := domain.KindOf(e.Type)
	if !known {
		return e, nil, &bundle.Error{Code: bundle.Upgrade, Position: e.Pos, Msg: "upgrade this site first", Err: &domain.UnknownEventError{Type: e.Type, Schema: e.Schema}}
	}
	if !domain.ValidStream(e.Stream) || !c.admits(k, e.Stream) {
		return e, nil, &bundle.Error{Code: bundle.Refused, Position: e.Pos,
			Msg: fmt.Sprintf("%s in stream %s may not come from the %s site %s", e.Type, e.Stream, c.Role, c.From)}
	}
	var unknown *domain.UnknownEventError
	if err := c.Schemas.Validate(e.Type, e.Schema, e.Data); errors.As(err, &unknown) {
		return e, nil, &bundle.Error{Code: bundle.Upgrade, Position: e.Pos, Msg: "upgrade this site first", Err: err}
	} else if err != nil {
		return e, nil, &bundle.Error{Code: bundle.Refused, Position: e.Pos, Msg: "the data does not satisfy its schema", Err: err}
	}
	e, f, err := decoded(e)
	if err != nil {
		return e, nil, &bundle.Error{Code: bundle.Refused, Position: e.Pos, Msg: "the data does not decode", Err: err}
	}
	if !c.All && !k.Shows(f) {
		return e, nil, &bundle.Error{Code: bundle.Refused, Position: e.Pos,
			Msg: fmt.Sprintf("%s in stream %s says that it is not public: it should not have left its site", e.Type, e.Stream)}
	}
	return e, f, nil
}

func decoded(e domain.Event) (domain.Event, domain.Fact, error) {
	e, err := domain.Upcast(e)
	if err != nil {
		return e, nil, err
	}
	f, err := domain.Decode(e)
	return e, f, err
}

// OfLog says why a line may not be one of a site's log, whoever it may go to.
func (c Checker) OfLog(origin string, l bundle.Line) error {
	c.From, c.All = origin, true
	_, _, err := c.Check(l)
	return err
}

// owned refuses events in streams that another site writes, and answers to
// requests that are not ours.
func (b *Bridge) owned(ctx context.Context, from string, events []domain.Event) error {
	ask := make([]string, 0, 2*len(events))
	for _, e := range events {
		ask = append(ask, e.Stream)
		if id, ok := domain.RequestOf(e.Stream); ok {
			ask = append(ask, domain.RequestStream(id))
		}
	}
	origins, err := b.Log.Origins(ctx, ask)
	if err != nil {
		return err
	}
	for _, e := range events {
		if owner, exists := origins[e.Stream]; exists && owner != from {
			return &bundle.Error{Code: bundle.Refused, Position: e.Pos, Msg: fmt.Sprintf("stream %s belongs to %s, not to %s", e.Stream, owner, from)}
		}
		if k, _ := domain.KindOf(e.Type); k.Crossing == domain.ToAsker {
			id, _ := domain.RequestOf(e.Stream)
			if origins[domain.RequestStream(id)] != b.Log.Site() {
				return &bundle.Error{Code: bundle.Refused, Position: e.Pos, Msg: fmt.Sprintf("it answers request %s, which this site never asked", id)}
			}
		}
	}
	return nil
}
