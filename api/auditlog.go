package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
)

// events shows what the log holds, by filters, one event a line. What is stored
// while they are sent is not among them.
func (s *server) events(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "after", "before", "limit", "order", "type", "stream", "actor", "corr", "origin", "from", "to")
	if err != nil {
		return answer{}, err
	}
	f := eventstore.Filter{Type: values.Get("type"), Stream: values.Get("stream"), Actor: values.Get("actor"),
		Corr: values.Get("corr"), Origin: values.Get("origin")}
	if _, known := domain.KindOf(f.Type); f.Type != "" && !known {
		return answer{}, badQuery("type", domain.FieldNotOneOf, "is no event type of this program")
	}
	limit, err := s.part(ctx, values, &f)
	if err != nil {
		return answer{}, err
	}
	return s.shown(ctx, f, limit)
}

type eventShape struct {
	Event  json.RawMessage `json:"event"`
	SHA256 string          `json:"sha256"` // of the line as it is stored
}

// event shows one event with the hash by which the chain holds it.
func (s *server) event(ctx context.Context, c *call) (answer, error) {
	if err := noQuery(c); err != nil {
		return answer{}, err
	}
	seq, err := strconv.ParseInt(mux.Vars(c.Request)["seq"], 10, 64)
	if err != nil || seq < 1 {
		return answer{}, errNotFound
	}
	for e, err := range s.Log.Search(ctx, eventstore.Filter{After: seq - 1, Through: seq}) {
		if err != nil {
			return answer{}, err
		}
		line, err := e.Shown()
		sum := sha256.Sum256(e.Line)
		return answer{value: eventShape{Event: line, SHA256: hex.EncodeToString(sum[:])}}, err
	}
	return answer{}, errNotFound
}

// streamEvents shows one stream from its first event on, or from its last back.
func (s *server) streamEvents(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "after", "before", "limit", "order")
	if err != nil {
		return answer{}, err
	}
	stream := mux.Vars(c.Request)["stream"]
	f := eventstore.Filter{Stream: stream}
	limit, err := s.part(ctx, values, &f)
	if err != nil {
		return answer{}, err
	}
	a, err := s.shown(ctx, f, limit)
	if err != nil || a.stream != nil {
		return a, err
	}
	// There is nothing more of it, or it does not exist.
	for _, err := range s.Log.Search(ctx, eventstore.Filter{Stream: stream}) {
		return a, err
	}
	return answer{}, errNotFound
}

// part reads which part of what is sought is asked for, in which order, and how
// much of it.
func (s *server) part(ctx context.Context, values url.Values, f *eventstore.Filter) (limit int64, err error) {
	switch order := values.Get("order"); order {
	case "", "asc":
	case "desc":
		f.Backward = true
	default:
		return 0, badQuery("order", domain.FieldNotOneOf, "is asc, the oldest first, or desc, the newest first")
	}
	if f.After, err = numberOf(values, "after"); err != nil {
		return 0, err
	}
	if limit, err = numberOf(values, "limit"); err != nil {
		return 0, err
	}
	before, err := numberOf(values, "before")
	if err != nil {
		return 0, err
	}
	if err := s.between(ctx, values, f); err != nil {
		return 0, err
	}
	if values.Has("before") {
		f.Through = min(f.Through, before-1)
	}
	return limit, nil
}

// state shows what a stream amounted to at a position or a time; at the end of
// the log if neither is given.
func (s *server) state(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "position", "at")
	if err != nil {
		return answer{}, err
	}
	var m eventstore.Moment
	if m.Seq, err = numberOf(values, "position"); err != nil {
		return answer{}, err
	}
	if m.At, err = timeOf(values, "at"); err != nil {
		return answer{}, err
	}
	switch {
	case values.Has("position") && values.Has("at"):
		return answer{}, badQuery("at", domain.FieldUnwanted, "must not be given together with position")
	case values.Has("position") && m.Seq == 0:
		return answer{}, badQuery("position", domain.FieldRange, "must be 1 or more")
	}
	then, err := projections.StateAt(ctx, s.Log, mux.Vars(c.Request)["stream"], m)
	return answer{value: then}, err
}

// between bounds a filter by the times asked for and by the end of the log.
func (s *server) between(ctx context.Context, values url.Values, f *eventstore.Filter) error {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	f.Through = head.Seq
	from, err := timeOf(values, "from")
	if err != nil {
		return err
	}
	to, err := timeOf(values, "to")
	if err != nil {
		return err
	}
	if !from.IsZero() {
		before, err := s.Log.SeqAt(ctx, from.Add(-time.Microsecond))
		if err != nil {
			return err
		}
		f.After = max(f.After, before)
	}
	if !to.IsZero() {
		through, err := s.Log.SeqAt(ctx, to)
		if err != nil {
			return err
		}
		f.Through = min(f.Through, through)
	}
	return nil
}

func numberOf(values url.Values, name string) (int64, error) {
	text := values.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badQuery(name, domain.FieldRange, "must be a whole number from 0 on")
	}
	return n, nil
}

const jsonLines = "application/jsonl"

// shown is what a filter seeks, up to a limit unless that is 0. Its first event
// is read at once, so that what fails is told with its status; nothing found
// is an empty answer.
func (s *server) shown(ctx context.Context, f eventstore.Filter, limit int64) (answer, error) {
	if f.After >= f.Through {
		return answer{media: jsonLines}, nil
	}
	for _, err := range s.Log.Search(ctx, f) {
		if err != nil {
			return answer{}, err
		}
		return answer{media: jsonLines, stream: func(ctx context.Context, w io.Writer) error {
			return writeEvents(w, s.Log.Search(ctx, f), limit)
		}}, nil
	}
	return answer{media: jsonLines}, nil
}

func writeEvents(w io.Writer, events iter.Seq2[eventstore.Stored, error], limit int64) error {
	n := int64(0)
	for e, err := range events {
		if err != nil {
			return err
		}
		line, err := e.Shown()
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		if n++; n == limit {
			return nil
		}
	}
	return nil
}

// flow sends an answer that is made while it is sent. What fails then can only
// be told by an end that is none, so that nobody takes a part for the whole.
func (s *server) flow(w http.ResponseWriter, c *call, a answer) {
	ctx, cancel := context.WithTimeout(c.Context(), streamBounds.time)
	defer cancel()
	w.WriteHeader(a.statusCode())
	if c.Method == http.MethodHead {
		return
	}
	if err := a.stream(ctx, w); err != nil {
		s.Logger.WarnContext(ctx, "an answer was cut off while it was sent", "trace_id", c.id, "error", err)
		panic(http.ErrAbortHandler)
	}
}

// evidence gives the file that proves a request and its answer.
func (s *server) evidence(ctx context.Context, c *call) (answer, error) {
	id, err := idOf(c)
	if err != nil {
		return answer{}, err
	}
	file, err := s.Bridge.Evidence(ctx, id)
	if errors.Is(err, bridge.ErrNoEvidence) {
		err = errNotFound
	}
	return answer{raw: file, media: "text/plain; charset=utf-8"}, err
}

type verifiedShape struct {
	OK   bool                  `json:"ok"`
	Logs []eventstore.Verified `json:"logs"`
}

// verify recomputes the chains of the log and of the mirrors. It keeps all
// processors busy, so one at a time is enough.
func (s *server) verify(ctx context.Context, c *call) (answer, error) {
	values, err := onlyQuery(c, "progress")
	if err != nil {
		return answer{}, err
	}
	switch values.Get("progress") {
	case "", "false":
	case "true":
		return s.verifyTelling(ctx)
	default:
		return answer{}, badQuery("progress", domain.FieldNotOneOf, "must be true or false")
	}
	if !s.verifying.CompareAndSwap(false, true) {
		return answer{}, errVerifying
	}
	defer s.verifying.Store(false)
	all, err := s.Bridge.VerifyLogs(ctx, nil)
	if err != nil {
		return answer{}, err
	}
	return answer{value: shapeOfVerified(all)}, nil
}

func shapeOfVerified(all []eventstore.Verified) verifiedShape {
	wrong := slices.ContainsFunc(all, func(v eventstore.Verified) bool { return !v.OK })
	return verifiedShape{OK: !wrong, Logs: all}
}

// progressShape is how far a verification is.
type progressShape struct {
	Events int64 `json:"events"`
	Of     int64 `json:"of"`
}

// tellEvery bounds how often it is told.
const tellEvery = 200 * time.Millisecond

// verifyTelling verifies while it is sent how far that is, a line each; the last
// line is what was found.
func (s *server) verifyTelling(ctx context.Context) (answer, error) {
	head, err := s.Log.Head(ctx)
	if err != nil {
		return answer{}, err
	}
	if s.verifying.Load() {
		return answer{}, errVerifying
	}
	return answer{media: jsonLines, stream: func(ctx context.Context, w io.Writer) error {
		if !s.verifying.CompareAndSwap(false, true) {
			return errVerifying
		}
		defer s.verifying.Store(false)
		var mu sync.Mutex
		var told time.Time
		far := progressShape{Of: head.Seq}
		send := json.NewEncoder(w)
		all, err := s.Bridge.VerifyLogs(ctx, func(events int64) {
			mu.Lock()
			defer mu.Unlock()
			if far.Events += events; time.Since(told) < tellEvery {
				return
			}
			told = time.Now()
			if send.Encode(far) == nil {
				flush(w)
			}
		})
		if err != nil {
			return err
		}
		return send.Encode(shapeOfVerified(all))
	}}, nil
}

// flush sends what was written, where somebody can be sent anything.
func flush(w io.Writer) {
	if rw, ok := w.(http.ResponseWriter); ok {
		_ = http.NewResponseController(rw).Flush() // who has gone shows when more is written
	}
}

var errVerifying = &problem{Status: http.StatusConflict, code: "under-way",
	Detail: "the log is being verified already: ask again when that has ended"}
