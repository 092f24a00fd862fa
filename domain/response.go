package domain

import (
	"encoding/json"
	"slices"
)

// ResponseStarted says that a worker began to answer.
type ResponseStarted struct {
	Responder ResponderKind `json:"responder"`
	Attempt   int           `json:"attempt"` // from 1
	Worker    string        `json:"worker"`
}

// ResponseRetryScheduled says that an attempt failed and another is to come.
type ResponseRetryScheduled struct {
	Attempt int       `json:"attempt"` // the one that failed
	Error   string    `json:"error"`   // for the one who asked; holds no secret
	NextAt  Timestamp `json:"next_at"` // about when the next one is due
}

// ResponseRecorded is the answer.
type ResponseRecorded struct {
	Status      Status          `json:"status"` // always answered
	Result      json.RawMessage `json:"result"`
	ResultCount int             `json:"result_count"`
	TookMS      int64           `json:"took_ms"`
	Truncated   bool            `json:"truncated"` // a limit cut the result
	Responder   ResponderKind   `json:"responder"`
	Cached      bool            `json:"cached"`
	ContentType string          `json:"content_type"`
}

// ResponseFailed says that there will be no answer, and why.
type ResponseFailed struct {
	Code     string `json:"code"`  // stable, such as `timeout`
	Error    string `json:"error"` // for the one who asked; holds no secret
	Attempts int    `json:"attempts"`
}

// ResponseWithdrawn says that there will be no answer because the request was
// cancelled before there was one.
type ResponseWithdrawn struct {
	Reason string `json:"reason"` // why the request was cancelled
}

// ResponseRetried says that a failure is taken back and the request is to be
// answered again.
type ResponseRetried struct {
	Reason string `json:"reason"`
}

// EventType implements [Fact].
func (ResponseWithdrawn) EventType() string { return "response.withdrawn" }

// EventType implements [Fact].
func (ResponseRetried) EventType() string { return "response.retried" }

// EventType implements [Fact].
func (ResponseRetryScheduled) EventType() string { return "response.retry_scheduled" }

// EventType implements [Fact].
func (ResponseStarted) EventType() string { return "response.started" }

// EventType implements [Fact].
func (ResponseRecorded) EventType() string { return "response.recorded" }

// EventType implements [Fact].
func (ResponseFailed) EventType() string { return "response.failed" }

// Response is the state that the rules about answers need. The zero value is
// an answer that nobody has begun.
type Response struct {
	finished  bool
	failed    bool // finished, but may be asked again
	begun     bool // since it was last asked for
	cancelled bool // its request was; known to whom applied the request's facts too
	attempts  int
}

// Begun reports whether somebody began to answer since it was last asked for.
func (r Response) Begun() bool { return r.begun }

// Attempts returns how many there were.
func (r Response) Attempts() int { return r.attempts }

// ErrAnswered is the refusal to answer a second time.
var ErrAnswered = refuse(Conflict, "already-answered", "this request was answered already; the first answer stands, and nothing was changed")

// ErrNotFailed is the refusal to answer again what has not failed.
var ErrNotFailed = refuse(Conflict, "not-failed", "only a request that failed can be answered again; nothing was changed")

// Cancelled reports whether the request was cancelled; only who applied the
// request's facts too knows.
func (r Response) Cancelled() bool { return r.cancelled }

// Decide returns the facts that a worker's outcome leads to. Exactly one
// outcome stands, an answer, a failure or a withdrawal: whatever comes after it
// is refused with [ErrAnswered]. Only a failure can be taken back, by
// [ResponseRetried], and then another outcome follows.
func (r Response) Decide(outcome Fact) ([]Fact, error) {
	if o, retry := outcome.(ResponseRetried); retry {
		if !r.failed {
			return nil, ErrNotFailed
		}
		o.Reason = shortText(o.Reason, maxRequestReason)
		return []Fact{o}, nil
	}
	if r.finished {
		return nil, ErrAnswered
	}
	switch o := outcome.(type) {
	case ResponseStarted:
		o.Attempt = r.attempts + 1
		o.Worker = shortText(o.Worker, maxWorker)
		outcome = o
	case ResponseRetryScheduled:
		o.Attempt = r.attempts
		o.Error = shortText(o.Error, maxErrorText)
		outcome = o
	case ResponseRecorded:
		o.Status = StatusAnswered
		o.ContentType = shortText(o.ContentType, maxContentType)
		outcome = o
	case ResponseWithdrawn:
		o.Reason = shortText(o.Reason, maxRequestReason)
		outcome = o
	case ResponseFailed:
		o.Error = shortText(o.Error, maxErrorText)
		outcome = o
	}
	return []Fact{outcome}, nil
}

// Bounds of texts that come from elsewhere, in characters. What is longer is
// cut: an answer must not fail because its failure was told at length.
const (
	maxWorker      = 200
	maxContentType = 200
	maxErrorText   = 4000
)

// shortText makes printable text of at most so many characters out of any.
func shortText(s string, most int) string {
	runes := []rune(s)
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	for i, r := range runes {
		if r < ' ' || r == 0x7f {
			runes[i] = ' '
		}
	}
	return string(runes)
}

// Apply returns the state after a fact.
func (r Response) Apply(f Fact) Response {
	switch f.(type) {
	case ResponseStarted:
		r.attempts, r.begun = r.attempts+1, true
	case ResponseRecorded, ResponseWithdrawn:
		r.finished = true
	case ResponseFailed:
		r.finished, r.failed = true, true
	case ResponseRetried:
		r.finished, r.failed, r.begun = false, false, false
	case RequestCancelled:
		r.cancelled = true
	}
	return r
}

// decodeRecorded decodes an answer around its result, which may be of many
// megabytes and stays the part of data that it is: nothing of it is copied.
func decodeRecorded(data json.RawMessage) (Fact, error) {
	var in struct {
		Result here `json:"result"`
	}
	if err := json.Unmarshal(data, &in); err != nil || in.Result == nil {
		return decode[ResponseRecorded](data) // which says what is wrong
	}
	from := cap(data) - cap(in.Result) // it is a part of data, so that they end together
	f, err := decode[ResponseRecorded](slices.Concat(data[:from], json.RawMessage("null"), data[from+len(in.Result):]))
	if err != nil {
		return nil, err
	}
	r, _ := f.(ResponseRecorded)
	r.Result = json.RawMessage(in.Result)
	return r, nil
}

// here is a JSON value where it stands in the bytes that are decoded.
type here []byte

// UnmarshalJSON implements [json.Unmarshaler].
func (h *here) UnmarshalJSON(b []byte) error {
	*h = b
	return nil
}
