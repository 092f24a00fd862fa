package api

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"time"

	"sallyport/api/ratelimit"
	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/internal/commands"
	"sallyport/projections"
)

// call is one HTTP request on its way through a handler.
type call struct {
	*http.Request
	id   string           // X-Request-Id, trace_id, and corr of what it stores
	user projections.User // who asks; zero on endpoints open to anyone
	sent sent             // what went out so far

	session string              // whose token this is; empty: none
	key     *projections.APIKey // what the call is made with; nil: a token
	metered *ratelimit.Report   // how the caller's limits stand; nil: nothing was counted
}

func (c *call) by() commands.By { return commands.By{Actor: domain.UserStream(c.user.ID), Corr: c.id} }

// answer is what a handler returns: a value to encode, or bytes as they are.
type answer struct {
	status   int // 0: 200
	value    any
	raw      []byte    // as media says
	rest     [2][]byte // what follows raw: large parts that are not copied
	media    string    // Content-Type; empty: JSON
	encoding string    // Content-Encoding of raw; empty: none
	policy   string    // Content-Security-Policy; empty: nothing may be loaded
	position int64     // X-Log-Position; 0: nothing was written
	location string
	link     string // where the list goes on
	etag     string
	file     *bridge.Fetched // the body, instead of value and raw
	// stream writes the body, instead of value and raw, as it is made.
	stream     func(context.Context, io.Writer) error
	cache      string        // X-Cache
	replay     bool          // Idempotent-Replay: it was answered before
	waited     time.Duration // Preference-Applied: how long the caller would wait
	retryAfter time.Duration
}

// handler answers a call that has passed all checks.
type handler func(ctx context.Context, c *call) (answer, error)

// taking makes a handler of a function that takes a decoded body.
func taking[In any](h func(context.Context, *call, In) (answer, error)) handler {
	return func(ctx context.Context, c *call) (answer, error) {
		if err := noQuery(c); err != nil {
			return answer{}, err
		}
		in, err := decode[In](c.Request)
		if err != nil {
			return answer{}, err
		}
		return h(ctx, c, in)
	}
}

// takingIfAny is taking for an endpoint that may be called without a body,
// which then is the zero value.
func takingIfAny[In any](h func(context.Context, *call, In) (answer, error)) handler {
	withBody := taking(h)
	return func(ctx context.Context, c *call) (answer, error) {
		if c.ContentLength != 0 {
			return withBody(ctx, c)
		}
		if err := noQuery(c); err != nil {
			return answer{}, err
		}
		var none In
		return h(ctx, c, none)
	}
}

// callTimeout ends what a call waits for, unless its endpoint has a time of
// its own.
const callTimeout = 15 * time.Second

// ServeHTTP answers one call, whatever becomes of it.
func (p path) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, began := p.server, time.Now()
	r.RemoteAddr = s.caller(r)
	c := &call{Request: r, id: callID(r), sent: sent{ResponseWriter: w}}
	s.inFlight.Inc()
	defer s.inFlight.Dec()
	s.secure(c)
	ctx, cancel := context.WithDeadline(r.Context(), began.Add(callTimeout))
	defer cancel()
	a, err := p.answer(ctx, &c.sent, c)
	if err != nil {
		a = s.problem(ctx, &c.sent, c, err)
	}
	s.write(ctx, &c.sent, c, a)
	s.observe(ctx, p.template, c, a, time.Since(began))
}

// answer finds the endpoint, sees that the call may have it, and calls it.
func (p path) answer(ctx context.Context, w http.ResponseWriter, c *call) (a answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			a, err = answer{}, panicked(v)
		}
	}()
	if p.server.preflight(w, c) {
		return answer{status: http.StatusNoContent}, nil
	}
	e, err := p.find(c.Method)
	if err != nil {
		return answer{}, err
	}
	if !e.who.open {
		if err := p.server.authenticate(ctx, c, e); err != nil {
			return answer{}, err
		}
	}
	if wait := preferredWait(c); e.holds && wait > 0 {
		e.bounds.time = wait + callTimeout
	}
	ctx, cancel, err := e.bounds.open(ctx, w, c)
	if err != nil {
		return answer{}, err
	}
	defer cancel()
	a, err = e.handler(ctx, c)
	if err == nil && a.waited > 0 { // what the caller may do may have changed meanwhile
		err = p.server.authenticate(ctx, c, e)
	}
	return a, err
}

// write sends an answer's headers and body.
func (s *server) write(ctx context.Context, w http.ResponseWriter, c *call, a answer) {
	if a.file != nil {
		s.send(ctx, w, c, a.file)
		return
	}
	d := drafts.Get().(*draft)
	body, err := d.body(&a)
	if err != nil {
		a = s.problem(ctx, w, c, err)
		body = a.raw
	}
	s.head(&d.headers, c, &a, len(body))
	if len(body) > 0 && w.Header()["Content-Type"] == nil {
		w.Header()["Content-Type"] = jsonType
	}
	d.headers.into(w.Header())
	if a.stream != nil {
		s.flow(w, c, a) //nolint:contextcheck // the handler's time is over, the stream has its own
		return
	}
	w.WriteHeader(a.statusCode())
	for _, part := range [][]byte{body, a.rest[0], a.rest[1]} {
		if _, err := w.Write(part); err != nil {
			if s.Logger.Enabled(ctx, slog.LevelDebug) {
				s.Logger.DebugContext(ctx, "the caller went away", "trace_id", c.id, "error", err)
			}
			return // HTTP/2 may still read the draft
		}
	}
	d.free()
}

// head says what an answer says before its body.
func (s *server) head(h *headers, c *call, a *answer, body int) {
	a.head(h)
	if n := body + len(a.rest[0]) + len(a.rest[1]); n > 0 {
		h.setInt("Content-Length", int64(n))
	}
	if c.metered != nil {
		showLimits(h, c.metered, s.Now())
		if !c.metered.Allowed && a.status == http.StatusTooManyRequests {
			h.setInt("Retry-After", seconds(c.metered.Wait))
		}
	}
}

// head is what an answer says of itself.
func (a *answer) head(h *headers) {
	h.set("Content-Type", a.media)
	h.set("Content-Encoding", a.encoding)
	h.set("Content-Security-Policy", a.policy)
	h.set("Location", a.location)
	h.set("Link", a.link)
	h.set("X-Cache", a.cache)
	if a.replay {
		h.set("Idempotent-Replay", "true")
	}
	if a.etag != "" {
		h.set("Etag", a.etag)
		h.set("Cache-Control", "private, no-cache")
	}
	if a.waited > 0 {
		h.add("wait=")
		h.setInt("Preference-Applied", seconds(a.waited))
	}
	if a.position > 0 {
		h.setInt("X-Log-Position", a.position)
	}
	if a.retryAfter > 0 {
		h.setInt("Retry-After", seconds(a.retryAfter))
	}
}

func (a answer) statusCode() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// seconds rounds up: who waits that long has waited enough.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

const maxCallID = 64

// callID takes the caller's X-Request-Id if it is fit to be logged and stored,
// else it makes one.
func callID(r *http.Request) string {
	if ids := r.Header["X-Request-Id"]; len(ids) == 1 && saneID(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

func saneID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s != "" && len(s) <= maxCallID
}
