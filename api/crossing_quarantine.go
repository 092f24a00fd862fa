package api

import (
	"context"

	"sallyport/bridge"
	"sallyport/domain"
)

// listQuarantine lists the refused files that wait for a decision, and with
// all=true the others too.
func (s *server) listQuarantine(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "all", "peer")
	if err != nil {
		return answer{}, err
	}
	all, peer := q.values.Get("all"), q.values.Get("peer")
	if all != "" && all != "true" && all != "false" {
		return answer{}, badQuery("all", domain.FieldNotOneOf, "must be true or false")
	}
	if peer != "" && !domain.ValidSiteName(peer) {
		return answer{}, badQuery("peer", domain.FieldName, "must be the name of a site")
	}
	files, next, err := s.Bridge.QuarantinePage(ctx, bridge.QuarantineFilter{Page: bridge.Page(q.page), Peer: peer, All: all == "true"})
	if err != nil {
		return answer{}, err
	}
	return list(c, files, next), nil
}

func (s *server) quarantined(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	q, err := s.Bridge.QuarantinedFile(ctx, id)
	return answer{value: q}, err
}

// decide makes the handler of one decision about a refused file.
func (s *server) decide(do func(ctx context.Context, id, reason, actor string) error) func(context.Context, *call, reasoned) (answer, error) {
	return func(ctx context.Context, c *call, in reasoned) (answer, error) {
		id, err := idOf(c)
		if err != nil {
			return answer{}, err
		}
		if err := do(ctx, id, in.Reason, c.by().Actor); err != nil {
			return answer{}, unlessLate(ctx, err)
		}
		q, err := s.Bridge.QuarantinedFile(ctx, id)
		if err != nil {
			return answer{}, err
		}
		return s.wrote(ctx, q)
	}
}
