package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/internal/commands"
	"sallyport/internal/password"
	"sallyport/internal/tryout"
	"sallyport/projections"
	"sallyport/responders"
)

// problem is a problem document (RFC 9457) on its way out. As an error it is
// a refusal that only the HTTP side knows of.
type problem struct {
	Type    string       `json:"type"`
	Title   string       `json:"title"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail"`
	TraceID string       `json:"trace_id"`
	Errors  []fieldError `json:"errors,omitempty"`

	code       string
	retryAfter time.Duration
	allow      []string
	challenge  bool // a login would help
}

func (p *problem) Error() string { return p.Detail }

// fieldError names what is wrong: a place in the body, by JSON Pointer
// (RFC 6901, empty for the whole of it), or a query parameter.
type fieldError struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter,omitempty"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	// Least and Most are the bounds that the code speaks of.
	Least json.Number `json:"least,omitempty"`
	Most  json.Number `json:"most,omitempty"`
}

const problemPrefix = "urn:sallyport:problem:"

var (
	errNoPath    = &problem{Status: http.StatusNotFound, code: "no-such-path", Detail: "this API has no such path: GET /openapi.json lists those that it has"}
	errNotFound  = &problem{Status: http.StatusNotFound, code: "not-found", Detail: "there is nothing of this name here, or it is not yours: look for it in its list; nothing was changed"}
	errNoLink    = &problem{Status: http.StatusNotFound, code: "not-found", Detail: "this site has no link to a site of this name: see GET /admin/links"}
	errCancelled = &problem{Status: http.StatusGone, code: "cancelled", Detail: "this request was cancelled: it gets no answer, submit it anew if you need one"}
	errCleared   = &problem{Status: http.StatusGone, code: "cleared-away", Detail: "this request was finished long ago and is no longer kept for looking up; its history is kept for auditors"}
	errMediaType = &problem{Status: http.StatusUnsupportedMediaType, code: "media-type", Detail: "send application/json in UTF-8, not compressed; nothing was stored"}
	errNoToken   = &problem{Status: http.StatusUnauthorized, code: "login-required", challenge: true, Detail: "log in by POST /auth/login and send the access token as Authorization: Bearer"}
	errToken     = &problem{Status: http.StatusUnauthorized, code: "invalid-token", challenge: true, Detail: "the access token is not valid here or has expired: log in again"}
	errAPIKey    = &problem{Status: http.StatusUnauthorized, code: "invalid-api-key", challenge: true, Detail: "the API key is not valid here, has expired or was revoked: log in and issue another by POST /api-keys"}
	errNoKeys    = &problem{Status: http.StatusForbidden, code: "login-required-in-person", Detail: "this cannot be done with an API key: log in by POST /auth/login; nothing was stored"}
	errLogin     = &problem{Status: http.StatusUnauthorized, code: "invalid-credentials", challenge: true, Detail: "the username or the password is wrong: try again, or ask an administrator for a new password"}
)

// wrongRole says who may call what somebody of another role called.
func wrongRole(e endpoint, role domain.UserRole) *problem {
	names := make([]string, len(e.who.roles))
	for i, r := range e.who.roles {
		names[i] = string(r)
	}
	detail := fmt.Sprintf("this takes the role %s, and yours is %s: ask somebody who has it", strings.Join(names, " or "), role)
	return &problem{Status: http.StatusForbidden, code: "role-not-allowed", Detail: unchanged(detail, e.method)}
}

// unchanged adds to a refusal that it left all as it was, if the call was to
// change something.
func unchanged(detail, method string) string {
	if method == get {
		return detail
	}
	return detail + "; nothing was stored"
}

func wrongMethod(allowed []string) *problem {
	return &problem{Status: http.StatusMethodNotAllowed, code: "wrong-method", allow: allowed,
		Detail: "this path takes " + strings.Join(allowed, ", ")}
}

// elsewhere says where to go with what the other role does: a path, or one
// method of a path that is here too.
func elsewhere(e endpoint, method string, allowed []string) *problem {
	what := e.path
	if e.method == method {
		what = method + " " + what
	}
	detail := fmt.Sprintf("%s is served by the %s site: go there with this call", what, e.site)
	return &problem{Status: http.StatusMethodNotAllowed, code: commands.CodeWrongSite, allow: allowed, Detail: unchanged(detail, method)}
}

// busy is a call that may be tried again soon.
func busy(code, detail string, after time.Duration) *problem {
	return &problem{Status: http.StatusServiceUnavailable, code: code, Detail: detail, retryAfter: after}
}

// panicError is a handler that fell over, with the place for the log.
type panicError struct {
	value any
	stack []byte
}

func panicked(v any) error { return &panicError{value: v, stack: debug.Stack()} }

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

var kindStatus = map[domain.ErrorKind]int{
	domain.Invalid:   http.StatusUnprocessableEntity,
	domain.Forbidden: http.StatusForbidden,
	domain.NotFound:  http.StatusNotFound,
	domain.Conflict:  http.StatusConflict,
	domain.Exhausted: http.StatusTooManyRequests,
}

// classify is the one table from errors to problems; false means that nobody
// foresaw this one.
func classify(err error) (problem, bool) {
	var own *problem
	var refused *domain.Error
	var readOnly *eventstore.ReadOnlyError
	var newer *domain.UnknownEventError
	var silent *responders.Failure // only when a source is to be checked
	switch {
	case errors.As(err, &own):
		return *own, true
	case errors.As(err, &refused):
		return refusal(refused), true
	case errors.Is(err, projections.ErrNotFound):
		return *errNotFound, true
	case errors.Is(err, projections.ErrCursor), errors.Is(err, bridge.ErrCursor):
		return *badQuery("cursor", domain.FieldRefused, "was not given by this list"), true
	case errors.Is(err, bridge.ErrNoLink):
		return *errNoLink, true
	case errors.Is(err, bridge.ErrStopped):
		return problem{Status: http.StatusConflict, code: "link-stopped", Detail: err.Error() + "; nothing was lost: settle it, then resume the link"}, true
	case errors.Is(err, syscall.ENOSPC):
		return problem{Status: http.StatusInsufficientStorage, code: "disk-full", Detail: "this site's disk is full; nothing was lost, make room and try again"}, true
	case errors.Is(err, eventstore.ErrOverloaded):
		return *busy("overloaded", "too many writes are waiting; nothing was stored, try again in a moment", time.Second), true
	case errors.Is(err, tryout.ErrBusy):
		return *busy("overloaded", err.Error(), time.Second), true
	case errors.As(err, &silent):
		return *busy("source-unavailable", "the source cannot be asked whether it can answer so: "+silent.Text+"; nothing was stored", 5*time.Second), true
	case errors.Is(err, password.ErrBusy):
		return *busy("overloaded", "too many logins are waiting; try again in a moment", time.Second), true
	case errors.Is(err, eventstore.ErrClosed):
		return *busy("stopping", "this site is stopping; nothing was stored, try again in a moment", 5*time.Second), true
	case errors.As(err, &readOnly):
		return *busy("read-only-site", readOnly.Error(), time.Minute), true
	case errors.As(err, &newer):
		return *busy("upgrade-needed", newer.Error(), time.Minute), true
	case errors.Is(err, eventstore.ErrUnknown):
		return *busy("outcome-unknown", "the database went away during the write: look whether it was stored before you try again", 5*time.Second), true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return *busy("timeout", "this took too long and was given up; nothing was stored", time.Second), true
	case unreachable(err):
		return *busy("database-unavailable", "the database cannot be reached; no event was stored, try again in a moment", 5*time.Second), true
	}
	return problem{Status: http.StatusInternalServerError, code: "internal",
		Detail: "something went wrong here; tell the operator the trace_id"}, false
}

func refusal(e *domain.Error) problem {
	p := problem{Status: kindStatus[e.Kind], code: e.Code, Detail: e.Detail}
	if e.Code == commands.CodeWrongSite {
		p.Status = http.StatusMethodNotAllowed
	}
	for _, f := range e.Fields {
		p.Errors = append(p.Errors, fieldError{Pointer: f.Pointer, Code: f.Code, Detail: f.Detail, Least: f.Least, Most: f.Most})
	}
	return p
}

// unreachable reports whether an error comes from the way to the database or
// from a database that is starting, stopping or full.
func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code[:2] {
		case "08", "53", "57", "58": // connection, resources, operator, system
			return true
		}
		return false
	}
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// problem turns an error into an answer and logs what nobody foresaw.
func (s *server) problem(ctx context.Context, w http.ResponseWriter, c *call, err error) answer {
	p, foreseen := classify(err)
	if !foreseen {
		s.Logger.ErrorContext(ctx, "a call failed", "trace_id", c.id, "method", c.Method, "path", c.URL.Path, "error", err)
	}
	p.Type, p.Title, p.TraceID = problemPrefix+p.code, title(p.code), c.id
	h := w.Header()
	h["Content-Type"] = problemType
	if p.Status == http.StatusMethodNotAllowed {
		h["Allow"] = []string{strings.Join(p.allow, ", ")}
	}
	if p.challenge {
		h["Www-Authenticate"] = challenge
		if p.code == errToken.code || p.code == errAPIKey.code {
			h["Www-Authenticate"] = challengeAgain
		}
	}
	return answer{status: p.Status, raw: p.encoded(), retryAfter: p.retryAfter}
}

// How to log in, and that what was sent is not good any more (RFC 6750, 3.1).
var (
	challenge      = []string{`Bearer realm="sallyport"`}
	challengeAgain = []string{`Bearer realm="sallyport", error="invalid_token"`}
)

func (p *problem) encoded() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		panic(err) // it holds nothing but strings and numbers
	}
	return b.Bytes()
}

// title makes words of a code: `type-not-allowed` becomes `Type not allowed`.
func title(code string) string {
	words := strings.ReplaceAll(code, "-", " ")
	words = strings.ReplaceAll(words, "json", "JSON")
	return strings.ToUpper(words[:1]) + words[1:]
}

// logSometimes logs a failing cache at most every ten seconds.
func (s *server) logSometimes(ctx context.Context, message string, err error) {
	now, last := s.Now().Unix(), s.cacheLog.Load()
	if now-last >= 10 && s.cacheLog.CompareAndSwap(last, now) {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, message, slog.Any("error", err))
	}
}
