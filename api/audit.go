package api

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"sallyport/api/session"
	"sallyport/eventstore"
	"sallyport/internal/commands"
)

// client says where a call came from, for the audit trail.
func (c *call) client() commands.Client {
	return commands.Client{IP: addressOf(c.RemoteAddr), Agent: c.UserAgent()}
}

func (c *call) caller() session.Caller {
	from := c.client()
	return session.Caller{IP: from.IP, Agent: from.Agent, Corr: c.id}
}

// addressOf is a connection's address without its port, an IPv4 address never
// written as an IPv6 one.
func addressOf(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	return ap.Addr().Unmap().String()
}

// viewed makes a handler that shows what belongs to others one that leaves a
// record of it, before the answer is given. What somebody sees of themselves is
// theirs.
func (s *server) viewed(h handler) handler {
	return func(ctx context.Context, c *call) (answer, error) {
		a, err := h(ctx, c)
		if err != nil || c.URL.Path == "/users/"+c.user.ID {
			return a, err
		}
		if err := s.looked(ctx, c); err != nil {
			return answer{}, err
		}
		return a, nil
	}
}

// looked records that a call looks at what belongs to others.
func (s *server) looked(ctx context.Context, c *call) error {
	what := c.Method + " " + c.URL.RequestURI()
	return s.unlessReadOnly(ctx, c, what, s.Commands.Viewed(ctx, c.by(), what))
}

// acted records an act of administration that leaves no other event. Call it
// when all is checked, before anything is done.
func (s *server) acted(ctx context.Context, c *call, action, target string) error {
	_, err := s.Commands.Acted(ctx, c.by(), action, target, c.client())
	return s.unlessReadOnly(ctx, c, action+" "+target, err)
}

// behind gives the answer to an act that was recorded the position of the log's
// end: behind the record, and behind all that the act itself stored.
func (s *server) behind(ctx context.Context, a answer, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return s.written(ctx, commands.Stored{}, a)
}

// unlessReadOnly lets a call go on whose record a read-only site cannot take
// into its log: to look, and to bring a restored site home, must be possible
// there. The program's own log then has what the audit trail lacks.
func (s *server) unlessReadOnly(ctx context.Context, c *call, what string, err error) error {
	var readOnly *eventstore.ReadOnlyError
	if !errors.As(err, &readOnly) {
		return err
	}
	from := c.client()
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "not in the audit trail, because the site is read-only", slog.String("trace_id", c.id),
		slog.String("actor", c.by().Actor), slog.String("what", what), slog.String("ip", from.IP), slog.String("user_agent", from.Agent))
	return nil
}
