package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"sallyport/bridge"
	"sallyport/domain"
)

func (s *server) listLinks(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c)
	if err != nil {
		return answer{}, err
	}
	links, err := s.Bridge.Status(ctx)
	if err != nil {
		return answer{}, err
	}
	return listByName(c, q.page, links, func(l bridge.Status) string { return l.Peer })
}

// reasoned is a decision of a person, with the reason for the log.
type reasoned struct {
	Reason string `json:"reason"`
}

func (s *server) stopLink(ctx context.Context, c *call, in reasoned) (answer, error) {
	return s.changeLink(ctx, c, in, s.Bridge.Stop)
}

func (s *server) resumeLink(ctx context.Context, c *call, in reasoned) (answer, error) {
	return s.changeLink(ctx, c, in, s.Bridge.Resume)
}

// changeLink answers with the link as it is then. A link that is as it is
// wanted stays so, with the reason that it has.
func (s *server) changeLink(ctx context.Context, c *call, in reasoned, change func(ctx context.Context, peer, reason, actor string) error) (answer, error) {
	if err := domain.CheckReason(in.Reason); err != nil {
		return answer{}, err
	}
	peer := mux.Vars(c.Request)["peer"]
	if !domain.ValidSiteName(peer) {
		return answer{}, errNoLink
	}
	if err := change(ctx, peer, in.Reason, c.by().Actor); err != nil {
		return answer{}, err
	}
	links, err := s.Bridge.Status(ctx)
	if err != nil {
		return answer{}, err
	}
	i := slices.IndexFunc(links, func(l bridge.Status) bool { return l.Peer == peer })
	if i < 0 {
		return answer{}, errNoLink
	}
	return s.wrote(ctx, links[i])
}

// wrote answers a write whose events others stored.
func (s *server) wrote(ctx context.Context, value any) (answer, error) {
	return s.behind(ctx, answer{value: value}, nil)
}

func (s *server) listBundles(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "direction", "state", "peer")
	if err != nil {
		return answer{}, err
	}
	f := bridge.BundleFilter{Page: bridge.Page(q.page), Direction: q.values.Get("direction"), State: q.values.Get("state"), Peer: q.values.Get("peer")}
	for _, p := range []struct {
		name, value string
		known       []string
	}{{"direction", f.Direction, []string{"in", "out"}}, {"state", f.State, bridge.BundleStates()}} {
		if p.value != "" && !slices.Contains(p.known, p.value) {
			return answer{}, badQuery(p.name, domain.FieldNotOneOf, "must be one of "+strings.Join(p.known, ", "))
		}
	}
	if f.Peer != "" && !domain.ValidSiteName(f.Peer) {
		return answer{}, badQuery("peer", domain.FieldName, "must be the name of a site")
	}
	bundles, next, err := s.Bridge.BundlesPage(ctx, f)
	if err != nil {
		return answer{}, err
	}
	return list(c, bundles, next), nil
}

func (s *server) bundle(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	found, err := s.Bridge.Bundle(ctx, mux.Vars(c.Request)["id"])
	return answer{value: found}, err
}

// listCustody lists who had which medium in hand.
func (s *server) listCustody(ctx context.Context, c *call) (answer, error) {
	q, err := parseQuery(c, "medium")
	if err != nil {
		return answer{}, err
	}
	found, next, err := s.Bridge.CustodyPage(ctx, bridge.CustodyFilter{Page: bridge.Page(q.page), Medium: q.values.Get("medium")})
	if err != nil {
		return answer{}, err
	}
	return list(c, found, next), nil
}

type exportWanted struct {
	Peer string `json:"peer"` // empty: all
}

type exportShape struct {
	Items   []bridge.Exported `json:"items"`
	Stopped []stoppedShape    `json:"stopped"` // links that were left out
}

type stoppedShape struct {
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
}

// export writes what is due, to one peer or to all whose links run.
func (s *server) export(ctx context.Context, c *call, in exportWanted) (answer, error) {
	links, err := s.Bridge.Links(ctx)
	if err != nil {
		return answer{}, err
	}
	if in.Peer != "" {
		links = slices.DeleteFunc(links, func(l bridge.Link) bool { return l.Card.Name != in.Peer })
		if len(links) == 0 {
			return answer{}, errNoLink
		}
	}
	shown := exportShape{Items: []bridge.Exported{}, Stopped: []stoppedShape{}}
	for _, l := range links {
		written, err := s.Bridge.Export(ctx, l.Card.Name, c.by().Actor)
		shown.Items = append(shown.Items, written...)
		if errors.Is(err, bridge.ErrStopped) && in.Peer == "" {
			shown.Stopped = append(shown.Stopped, stoppedShape{l.Card.Name, l.Stopped})
			continue
		}
		if err != nil {
			return answer{}, unlessLate(ctx, err)
		}
	}
	return s.wrote(ctx, shown)
}

type importShape struct {
	Items []bridge.Outcome `json:"items"`
}

// importInbox takes in what lies in the inbox. What is wrong with a file is in
// its outcome.
func (s *server) importInbox(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	if err := s.acted(ctx, c, "bundles.import", ""); err != nil {
		return answer{}, err
	}
	outcomes, err := s.Bridge.Import(ctx)
	if err != nil {
		return answer{}, unlessLate(ctx, err)
	}
	return s.wrote(ctx, importShape{Items: append([]bridge.Outcome{}, outcomes...)})
}

// unlessLate tells work that has no end in sight from work that failed.
func unlessLate(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return busy("not-finished", fmt.Sprintf("it was not finished within %v; what was done stays done: call again", workBounds.time), 30*time.Second)
	}
	return err
}
