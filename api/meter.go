package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
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
	s   *server
	c   *call
	ask ratelimit.Ask
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
	report := m.s.limiter.Take(ctx, ask)
	m.c.metered = &report
	m.s.metered(report)
	if !report.Allowed {
		return limited(ask, report)
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

func limited(a ratelimit.Ask, r ratelimit.Report) error {
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
	report := m.s.limiter.Give(context.WithoutCancel(ctx), m.ask)
	m.c.metered = &report
}

// showLimits writes how the limits stand into an answer's headers.
func showLimits(h http.Header, r *ratelimit.Report, now time.Time) {
	policy, left := make([]byte, 0, 128), make([]byte, 0, 128)
	for _, u := range r.Uses {
		if u.Type == "" {
			h[remainingHeaders[u.Window]] = []string{remaining(u)}
		}
		if u.Limit == 0 {
			continue
		}
		if len(policy) > 0 {
			policy, left = append(policy, ", "...), append(left, ", "...)
		}
		policy, left = appendName(policy, u), appendName(left, u)
		policy = strconv.AppendInt(append(policy, ";q="...), int64(u.Limit), 10)
		policy = strconv.AppendInt(append(policy, ";w="...), int64(u.Resets.Sub(u.Start)/time.Second), 10)
		left = strconv.AppendInt(append(left, ";r="...), u.Remaining(), 10)
		left = append(append(left, ";t="...), seconds(max(0, u.Resets.Sub(now)))...)
	}
	set(h, "Ratelimit-Policy", string(policy))
	set(h, "Ratelimit", string(left))
	h["X-Ratelimit-Status"] = []string{string(r.Status)}
	h["X-Ratelimit-Message"] = []string{r.Message}
	if !r.GraceEnds.IsZero() {
		h["X-Ratelimit-Grace-Period-Ends"] = []string{r.GraceEnds.Format(time.RFC3339)}
	}
	if r.InMemory {
		h["X-Ratelimit-Backend"] = inMemory
	}
}

var (
	remainingHeaders = [...]string{ratelimit.Minute: "X-Ratelimit-Remaining-Minute", ratelimit.Hour: "X-Ratelimit-Remaining-Hour",
		ratelimit.Day: "X-Ratelimit-Remaining-Day", ratelimit.Month: "X-Ratelimit-Remaining-Month"}
	inMemory = []string{"memory"}
)

func remaining(u ratelimit.Use) string {
	if u.Limit == 0 {
		return "unlimited"
	}
	return strconv.FormatInt(u.Remaining(), 10)
}

// appendName writes a policy's name as a string of RFC 9651; names of types
// hold nothing that must be escaped.
func appendName(b []byte, u ratelimit.Use) []byte {
	b = append(b, '"')
	if u.Type != "" {
		b = append(append(b, u.Type...), '/')
	}
	return append(append(b, u.Window.String()...), '"')
}

// redisFailed is told when the limits cannot be counted in Redis.
func (s *server) redisFailed(err error) {
	s.limitFailures.Inc()
	now, last := s.Now().Unix(), s.limitLog.Load()
	if now-last >= 10 && s.limitLog.CompareAndSwap(last, now) {
		s.Logger.LogAttrs(context.Background(), slog.LevelWarn, "Redis does not answer; limits are counted in this process until it does", slog.Any("error", err))
	}
}
