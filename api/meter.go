package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sallyport/api/ratelimit"
	"sallyport/domain"
	"sallyport/eventstore"
)

// meter counts what one call submits. A call counts when it would be stored,
// and what was not stored after all is given back: whoever is refused for
// another reason, or repeats a call by its Idempotency-Key, has not used any of
// their limit.
//
//	decided ──▶ admit ──▶ append ──▶ settle
//	               │ 429                └ replayed, refused, failed: given back
type meter struct {
	s      *server
	c      *call
	ask    ratelimit.Ask
	report ratelimit.Report
}

func (s *server) meter(c *call) *meter { return &meter{s: s, c: c} }

// admit counts requests that the rules allow, or refuses them. It asks no
// database.
func (m *meter) admit(ctx context.Context, facts []domain.Fact) error {
	rights, err := m.s.Directory.Rights(ctx, m.c.user.ID)
	if err != nil {
		return err
	}
	ask := ratelimit.Ask{User: m.c.user.ID, At: m.s.Now(), N: len(facts), Limits: rights.RequestLimits(), Types: typesOf(rights, facts)}
	m.report = m.s.limiter.Take(ctx, ask)
	m.c.metered = &m.report
	m.s.metered(&m.report)
	if !m.report.Allowed {
		return limited(&m.report)
	}
	m.ask = ask
	return nil
}

// typesOf counts the types that have limits of their own.
func typesOf(rights domain.Rights, facts []domain.Fact) []ratelimit.OfType {
	var types []ratelimit.OfType
	at := map[string]int{}
	for _, f := range facts {
		submitted, ok := f.(domain.RequestSubmitted)
		if !ok {
			continue
		}
		limits := rights.TypeLimits(submitted.Type)
		if limits == (domain.Limits{}) {
			continue
		}
		i, seen := at[submitted.Type]
		if !seen {
			i, at[submitted.Type] = len(types), len(types)
			types = append(types, ratelimit.OfType{Name: submitted.Type, Limits: limits})
		}
		types[i].N++
	}
	return types
}

func limited(r *ratelimit.Report) error {
	detail := r.Message + "; nothing was stored, wait as Retry-After says"
	if r.Never {
		detail = r.Message + "; nothing was stored: so many never fit, submit fewer at once"
	}
	return &domain.Error{Kind: domain.Exhausted, Code: "rate-limit-exceeded", Detail: detail}
}

// settle gives back what was counted for a call that stored nothing.
func (m *meter) settle(ctx context.Context, replayed bool, err error) {
	counted := m.ask.N > 0
	if !counted || err == nil && !replayed || errors.Is(err, eventstore.ErrUnknown) {
		return
	}
	m.report = m.s.limiter.Give(context.WithoutCancel(ctx), m.ask)
}

// showLimits says how the limits stand.
func showLimits(h *headers, r *ratelimit.Report, now time.Time) {
	for i := range r.Uses {
		if u := &r.Uses[i]; u.Limit > 0 {
			beginLimit(h, u)
			h.add(";q=")
			h.addInt(int64(u.Limit))
			h.add(";w=")
			h.addInt(int64(u.Resets.Sub(u.Start) / time.Second))
		}
	}
	h.end("Ratelimit-Policy")
	for i := range r.Uses {
		if u := &r.Uses[i]; u.Limit > 0 {
			beginLimit(h, u)
			h.add(";r=")
			h.addInt(u.Remaining())
			h.add(";t=")
			h.addInt(seconds(max(0, u.Resets.Sub(now))))
		}
	}
	h.end("Ratelimit")
	showRemaining(h, r.Uses)
	h.set("X-Ratelimit-Status", string(r.Status))
	h.set("X-Ratelimit-Message", r.Message)
	if !r.GraceEnds.IsZero() {
		h.set("X-Ratelimit-Grace-Period-Ends", r.GraceEnds.Format(time.RFC3339))
	}
	if r.InMemory {
		h.set("X-Ratelimit-Backend", "memory")
	}
}

// beginLimit begins a member of a list of RFC 9651 by the limit's name as a
// string; names of types hold nothing that must be escaped.
func beginLimit(h *headers, u *ratelimit.Use) {
	h.next()
	h.add(`"`)
	if u.Type != "" {
		h.add(u.Type)
		h.add("/")
	}
	h.add(u.Window.String())
	h.add(`"`)
}

// showRemaining says what is left of the windows of all types.
func showRemaining(h *headers, uses []ratelimit.Use) {
	for _, u := range uses {
		switch name := remainingHeaders[u.Window]; {
		case u.Type != "":
		case u.Limit == 0:
			h.set(name, "unlimited")
		default:
			h.setInt(name, u.Remaining())
		}
	}
}

var remainingHeaders = [...]string{ratelimit.Minute: "X-Ratelimit-Remaining-Minute", ratelimit.Hour: "X-Ratelimit-Remaining-Hour",
	ratelimit.Day: "X-Ratelimit-Remaining-Day", ratelimit.Month: "X-Ratelimit-Remaining-Month"}

// redisFailed is told when the limits cannot be counted in Redis.
func (s *server) redisFailed(err error) {
	s.limitFailures.Inc()
	now, last := s.Now().Unix(), s.limitLog.Load()
	if now-last >= 10 && s.limitLog.CompareAndSwap(last, now) {
		s.Logger.LogAttrs(context.Background(), slog.LevelWarn, "Redis does not answer; limits are counted in this process until it does", slog.Any("error", err))
	}
}
